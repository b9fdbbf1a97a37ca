/**
 * A text of well-formed UTF-8 as the inside of a JSON string, line ends included: for records that are more than one line.
 *
 * Rule of escaping: RFC 8259 section 7. May import: core.
 */
import { isUtf8 } from 'node:buffer';

import { ESCAPED, wordHasEscape } from './plain-run.ts';
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
  readonly #outView: DataView;
  #input: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));

  /** @param out where everything is written; a call needs six times the bytes of its text */
  constructor(out: Uint8Array) {
    this.#out = out;
    this.#outView = new DataView(out.buffer, out.byteOffset, out.byteLength);
  }

  /** Escapes `input[from, to)` to `at`; returns the position after the last byte written. */
  escape(input: Uint8Array, from: number, to: number, at: number): number {
    this.#see(input);
    const out = this.#out;
    const view = this.#view;
    const outView = this.#outView;
    const lastWord = to - 4;
    let o = at;
    for (let i = from; i < to;) {
      for (; i <= lastWord; i += 4, o += 4) {
        const word = view.getInt32(i, true);
        if (wordHasEscape(word) !== 0) break;
        outView.setInt32(o, word, true);
      }
      // What is left of the text, or the word that has something to escape: the next one may be plain again.
      const end = Math.min(to, i + 4);
      for (; i < end; i += 1) {
        const byte = input[i] ?? 0;
        if (ESCAPED[byte] === 1) o = escapeByte(out, byte, o);
        else out[o++] = byte;
      }
    }
    return o;
  }

  /** Copies `input[from, to)` to `at` as it stands; returns the position after the last byte written. */
  copy(input: Uint8Array, from: number, to: number, at: number): number {
    this.#see(input);
    const view = this.#view;
    const outView = this.#outView;
    let i = from;
    let o = at;
    for (const lastWord = to - 4; i <= lastWord; i += 4, o += 4) outView.setInt32(o, view.getInt32(i, true), true);
    for (; i < to; i += 1, o += 1) this.#out[o] = input[i] ?? 0;
    return o;
  }

  #see(input: Uint8Array): void {
    if (input === this.#input) return;
    this.#input = input;
    this.#view = new DataView(input.buffer, input.byteOffset, input.byteLength);
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
