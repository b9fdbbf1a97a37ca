/**
 * How many bytes of annotations a pod may have, and the longest of several texts that still fits.
 *
 * Pure. Source of the limit: apimachinery, pkg/api/validation, TotalAnnotationSizeLimitB and ValidateAnnotationsSize: all keys and
 * values together. The API server refuses a pod that is above it, even where our failurePolicy is Ignore. May import: nothing.
 */
export const ANNOTATION_BYTES_MAX = 256 * 1024;

/**
 * The first candidate with which all annotations fit.
 *
 * @param found the annotations of the pod
 * @param candidates sets of annotations that would be set in it, the preferred one first
 * @returns undefined when none fits
 */
export function firstThatFits<T extends ReadonlyMap<string, string>>(
  found: ReadonlyMap<string, string>,
  candidates: readonly T[],
): T | undefined {
  return candidates.find((wanted) => bytesOf(new Map([...found, ...wanted])) <= ANNOTATION_BYTES_MAX);
}

function bytesOf(annotations: ReadonlyMap<string, string>): number {
  let bytes = 0;
  for (const [key, text] of annotations) bytes += Buffer.byteLength(key) + Buffer.byteLength(text);
  return bytes;
}
