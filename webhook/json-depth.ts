/**
 * How deep JSON bytes are nested, without parsing them.
 *
 * Seven MiB of `[` take a second and 200 MiB to parse and break every recursive walk; a scan of the bytes costs nothing.
 * Invariant: it counts brackets outside of strings and judges nothing else. May import: nothing.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `[` and `{` differ in this bit alone, and so do `]` and `}`. */
const OBJECT_BIT = 0x20;
const OPEN = 0x7b;
const CLOSE = 0x7d;
/** A longer string is searched for its end by the runtime, whose call costs as much as so many bytes looked at here. */
const SHORT_BYTES = 64;

/** True when the bytes open more than `depthMax` lists and objects inside each other. */
export function isDeeperThan(bytes: Buffer, depthMax: number): boolean {
  let depth = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i] ?? 0;
    if (byte === QUOTE) {
      i = endOfString(bytes, i + 1);
    } else if ((byte | OBJECT_BIT) === OPEN) {
      depth += 1;
      if (depth > depthMax) return true;
    } else if ((byte | OBJECT_BIT) === CLOSE) {
      depth -= 1;
    }
  }
  return false;
}

/** Index of the quote that ends the string; the length of the bytes where none does. */
function endOfString(bytes: Buffer, begin: number): number {
  const shortEnd = Math.min(begin + SHORT_BYTES, bytes.length);
  let from = begin;
  for (; from < shortEnd; from += 1) {
    const byte = bytes[from];
    if (byte === QUOTE) return from;
    if (byte === BACKSLASH) from += 1;
  }
  for (let at = bytes.indexOf(QUOTE, from); at !== -1; at = bytes.indexOf(QUOTE, at + 1)) {
    let backslashes = 0;
    while (at - backslashes - 1 >= from && bytes[at - backslashes - 1] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return at;
  }
  return bytes.length;
}
