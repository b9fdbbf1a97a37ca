/**
 * References of images, and which of them annotations may name.
 *
 * A reference that the kubelet cannot read keeps the whole pod from starting (InvalidImageName), so what is accepted here is the
 * grammar and no more. Source: github.com/distribution/reference, grammar in the package's documentation; OCI image specification,
 * "Digests". May import: core, config.
 */
import { textForm } from './fields.ts';
import type { TextForm } from './fields.ts';

const LABELS = '[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*';
const DOMAIN = `(?:${LABELS}(?:\\.${LABELS})*|\\[[0-9A-Fa-f:]+\\])(?::[0-9]+)?`;
const PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const TAG = '[A-Za-z0-9_][A-Za-z0-9_.\\-]{0,127}';
const DIGEST = 'sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}';
/** The bound of the whole keeps the rest of the work small; the path has one of its own, and 64 hexadecimal digits are an id. */
const REFERENCE =
  `^(?=.{1,512}$)(?![0-9a-f]{64}$)(?:${DOMAIN}\\/)?(?=[^:@]{1,255}(?:[:@]|$))${PART}(?:\\/${PART})*` +
  `(?::${TAG})?(?:@(?:${DIGEST}))?$`;

/** `registry.example.com/team/app:1@sha256:...`. */
export const IMAGE_REFERENCE = textForm(
  'an image reference, [HOST/]PATH[:TAG][@sha256:DIGEST] with a path in lower case',
  new RegExp(REFERENCE),
);

/** A reference, or the beginning of one: it ends where a name ends, or `reg.example*` would let `reg.example.evil.com` in. */
export const IMAGE_ALLOWED: TextForm = textForm(
  'image references, or beginnings of them up to a /, : or @ with a star after it',
  new RegExp(`${REFERENCE}|^[A-Za-z0-9[][A-Za-z0-9._\\-:@/[\\]]{0,500}[/:@]\\*$`),
);

/** True when the operator allows it: the image of the configuration itself, or one that the list names. */
export function isImageAllowed(
  text: string,
  { image, imagesAllowed }: { readonly image: string; readonly imagesAllowed: readonly string[] },
): boolean {
  return (
    text === image ||
    imagesAllowed.some((allowed) => (allowed.endsWith('*') ? text.startsWith(allowed.slice(0, -1)) : text === allowed))
  );
}
