/**
 * A text of well-formed UTF-8 as the inside of a JSON string, line ends included: for records that are more than one line.
 *
 * Rule of escaping: RFC 8259 section 7. May import: core.
 */
import { isUtf8 } from 'node:buffer';

import { ESCAPED, plainRunEnd } from './plain-run.ts';
import { REPLACEMENT, sequenceLength } from './utf8.ts';

const HEX = Buffer.from('0123456789abcdef');
const SHORT: Readonly<Record<number, number>> = {
  8: 0x62,
  9: 0x74,
  10: 0x6e,
  12: 0x66,
  13: 0x72,
  0x22: 0x22,
  0x5c: 0x5c,
};

/** Writes one buffer's bytes into another; remembers the view of the buffer that it read last. */
export class TextEscaper {
  readonly #out: Uint8Array;
  #input: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));

  /** @param out where everything is written; a call needs six times the bytes of its text */
  constructor(out: Uint8Array) {
    this.#out = out;
  }

  /** Escapes `input[from, to)` to `at`; returns the position after the last byte written. */
  escape(input: Uint8Array, from: number, to: number, at: number): number {
    if (input !== this.#input) {
      this.#input = input;
      this.#view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    }
    const out = this.#out;
    let o = at;
    for (let i = from; i < to;) {
      const end = plainRunEnd(input, this.#view, i, to);
      out.set(input.subarray(i, end), o);
      o += end - i;
      for (i = end; i < to && ESCAPED[input[i] ?? 0] === 1; i += 1) o = escapeByte(out, input[i] ?? 0, o);
    }
    return o;
  }
}

function escapeByte(out: Uint8Array, byte: number, at: number): number {
  out[at] = 0x5c;
  const letter = SHORT[byte];
  if (letter !== undefined) {
    out[at + 1] = letter;
    return at + 2;
  }
  out[at + 1] = 0x75;
  out[at + 2] = 0x30;
  out[at + 3] = 0x30;
  out[at + 4] = HEX[byte >> 4] ?? 0;
  out[at + 5] = HEX[byte & 15] ?? 0;
  return at + 6;
}

/**
 * Copies `input[from, to)` to `out` with U+FFFD for each ill-formed sequence (WHATWG Encoding Standard, "UTF-8 decoder"), so that at most
 * three bytes come of one.
 *
 * @returns how many were replaced, and where the copy ends
 */
export function copyWellFormed(
  input: Uint8Array,
  from: number,
  to: number,
  out: Uint8Array,
): { readonly replaced: number; readonly end: number } {
  let replaced = 0;
  let o = 0;
  for (let i = from; i < to;) {
    const length = sequenceLength(input, i, to);
    if (length > 0) {
      for (let n = 0; n < length; n += 1) out[o + n] = input[i + n] ?? 0;
      o += length;
      i += length;
    } else {
      out.set(REPLACEMENT, o);
      o += REPLACEMENT.length;
      i -= length;
      replaced += 1;
    }
  }
  return { replaced, end: o };
}

/** Whether `input[from, to)` is well-formed UTF-8. */
export function isWellFormed(input: Uint8Array, from: number, to: number): boolean {
  return isUtf8(input.subarray(from, to));
}
