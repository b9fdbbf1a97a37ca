/**
 * The version of this package, once more: package.json lies in no room, and a bundle has none beside it. A test compares the two.
 *
 * May import: nothing.
 */
export const VERSION = '0.1.0';
/** Image of this version where the operator names none. */
export const IMAGE = `logtender:${VERSION}`;
