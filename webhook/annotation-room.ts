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
 * @param candidates make sets of annotations that would be set in it, the preferred one first; one is asked only when those before it
 *   did not fit
 * @returns undefined when none fits
 */
export function firstThatFits<T extends ReadonlyMap<string, string>>(
  found: ReadonlyMap<string, string>,
  candidates: readonly (() => T)[],
): T | undefined {
  for (const make of candidates) {
    const wanted = make();
    const fits =
      charsTogether(found, wanted) * BYTES_PER_CHAR_MAX <= ANNOTATION_BYTES_MAX ||
      bytesTogether(found, wanted) <= ANNOTATION_BYTES_MAX;
    if (fits) return wanted;
  }
  return undefined;
}

/** UTF-8 has at most three bytes for a UTF-16 code unit: four are for two of them. */
const BYTES_PER_CHAR_MAX = 3;

/** At least as many characters as the annotations have together: what is counted twice only makes it more. */
function charsTogether(found: ReadonlyMap<string, string>, wanted: ReadonlyMap<string, string>): number {
  let chars = 0;
  for (const [key, text] of found) chars += key.length + text.length;
  for (const [key, text] of wanted) chars += key.length + text.length;
  return chars;
}

function bytesTogether(found: ReadonlyMap<string, string>, wanted: ReadonlyMap<string, string>): number {
  let bytes = 0;
  for (const [key, text] of wanted) bytes += Buffer.byteLength(key) + Buffer.byteLength(text);
  for (const [key, text] of found) if (!wanted.has(key)) bytes += Buffer.byteLength(key) + Buffer.byteLength(text);
  return bytes;
}
