/**
 * Lines of a buffer as the inside of JSON strings in another buffer: finds the end of the line and escapes it in one pass.
 *
 * Invariants: the output between the quotes is valid JSON and valid UTF-8 whatever the input; JSON.parse of it gives the line as
 * the WHATWG UTF-8 decoder would read it. NUL and control bytes are escaped, CR before LF is left out, a line longer than
 * LINE_BYTES_MAX is cut into parts at UTF-8 boundaries. Rule of escaping: RFC 8259 section 7. May import: core.
 */
import { isUtf8 } from 'node:buffer';
import { JSON_ESCAPE_GROWTH_MAX, LINE_BYTES_MAX } from '../core/limits.ts';
import { ESCAPED, wordHasEscape } from './plain-run.ts';
import { boundaryBefore, REPLACEMENT, sequenceLength } from './utf8.ts';

/** Most bytes that one call of `escapeLine` writes: what must be free in the output. */
export const ESCAPED_LINE_BYTES_MAX = LINE_BYTES_MAX * JSON_ESCAPE_GROWTH_MAX;

const LF = 10;
const CR = 13;
const BACKSLASH = 0x5c;
const HEX = Buffer.from('0123456789abcdef');
/** The letter of the two-character escape of a byte, 0 where it has none. */
const SHORT = Uint8Array.from({ length: 256 }, (_, byte) => {
  const at = [8, 9, 10, 12, 13, 0x22, 0x5c].indexOf(byte);
  return at < 0 ? 0 : ('btnfr"\\'.codePointAt(at) ?? 0);
});

export class LineEscaper {
  /** After `escapeLine`: where the next line begins in the input. */
  next = 0;
  /** After `escapeLine`: bytes of the line as UTF-8, before escaping, without its line end. */
  messageBytes = 0;
  /** Ill-formed UTF-8 runs that were replaced by U+FFFD since the escaper was made. */
  replaced = 0;
  readonly #out: Uint8Array;
  readonly #outView: DataView;
  #input: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #isValid = true;
  /** Input bytes that were replaced: what `messageBytes` must leave out. */
  #illFormedBytes = 0;

  /** @param out where everything is written; a call needs ESCAPED_LINE_BYTES_MAX free bytes */
  constructor(out: Uint8Array) {
    this.#out = out;
    this.#outView = new DataView(out.buffer, out.byteOffset, out.byteLength);
  }

  /** Makes `input` the one that lines are read from and checks [from, to) for UTF-8 once, at memory speed. */
  bind(input: Uint8Array, from: number, to: number): void {
    this.bindWellFormed(input);
    this.#isValid = isUtf8(input.subarray(from, to));
  }

  /** The same for an input of which nothing is read but what is known to be well-formed. */
  bindWellFormed(input: Uint8Array): void {
    if (input !== this.#input) {
      this.#input = input;
      this.#view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    }
    this.#isValid = true;
  }

  /** A view of the bound input, for others who read words from it. */
  get view(): DataView {
    return this.#view;
  }

  /** Whether all that was bound is well-formed UTF-8. */
  get isValid(): boolean {
    return this.#isValid;
  }

  /** Copies [from, to) of the bound input as it stands; returns the position after it. Cheaper than a view for one line. */
  copy(from: number, to: number, at: number): number {
    const view = this.#view;
    const outView = this.#outView;
    let i = from;
    let o = at;
    for (const lastWord = to - 4; i <= lastWord; i += 4, o += 4) outView.setInt32(o, view.getInt32(i, true), true);
    for (; i < to; i += 1, o += 1) this.#out[o] = this.#input[i] ?? 0;
    return o;
  }

  /**
   * Escapes the line that begins at `from` and ends at a newline, at `to` or after LINE_BYTES_MAX.
   *
   * @param at where in the output the first byte goes
   * @returns the position after the last byte written; `next` and `messageBytes` tell the rest
   */
  escapeLine(from: number, to: number, at: number): number {
    const limit = Math.min(to, from + LINE_BYTES_MAX);
    if (!this.#isValid) return this.#escapeUnchecked(from, to, limit, at);
    const end = this.#escapeValid(from, to, limit, at);
    if (this.next < limit || limit === to || this.#input[limit] === LF) return this.#ended(from, to, end);
    const boundary = boundaryBefore(this.#input, from, limit);
    return boundary === limit
      ? this.#ended(from, to, end)
      : this.#ended(from, to, this.#escapeValid(from, to, boundary, at));
  }

  /** Settles `messageBytes` and steps over the line end at `next`. */
  #ended(from: number, to: number, end: number): number {
    const input = this.#input;
    this.messageBytes = this.next - from;
    if (this.next < to && input[this.next] === CR && input[this.next + 1] === LF && this.next + 1 < to) this.next += 1;
    if (this.next < to && input[this.next] === LF) this.next += 1;
    return end;
  }

  /** Copies and escapes well-formed bytes up to a line end or `limit`; leaves `next` there. */
  #escapeValid(from: number, to: number, limit: number, at: number): number {
    const input = this.#input;
    const view = this.#view;
    const out = this.#out;
    const outView = this.#outView;
    const lastWord = limit - 4;
    let i = from;
    let o = at;
    while (i < limit) {
      while (i <= lastWord) {
        const word = view.getInt32(i, true);
        if (wordHasEscape(word) !== 0) break;
        outView.setInt32(o, word, true);
        i += 4;
        o += 4;
      }
      let byte = 0;
      while (i < limit && ESCAPED[(byte = input[i] ?? 0)] === 0) {
        out[o] = byte;
        o += 1;
        i += 1;
      }
      if (i >= limit || byte === LF) break;
      if (byte === CR && i + 1 < to && input[i + 1] === LF) break;
      o = this.#escape(byte, o);
      i += 1;
    }
    this.next = i;
    return o;
  }

  #escape(byte: number, at: number): number {
    const out = this.#out;
    out[at] = BACKSLASH;
    const letter = SHORT[byte] ?? 0;
    if (letter !== 0) {
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

  /** Somewhere in what was bound there are ill-formed bytes: looks whether this line has any. */
  #escapeUnchecked(from: number, to: number, limit: number, at: number): number {
    const input = this.#input;
    const newline = input.subarray(from, limit).indexOf(LF);
    let stop = newline >= 0 ? from + newline : limit;
    if (newline > 0 && input[stop - 1] === CR) stop -= 1;
    if (stop === limit && limit < to && input[limit] !== LF) stop = boundaryBefore(input, from, limit);
    if (isUtf8(input.subarray(from, stop))) return this.#ended(from, to, this.#escapeValid(from, to, stop, at));
    const replacedBefore = this.replaced;
    const lostBefore = this.#illFormedBytes;
    const end = this.#ended(from, to, this.#escapeIllFormed(from, stop, at));
    this.messageBytes += (this.replaced - replacedBefore) * REPLACEMENT.length - (this.#illFormedBytes - lostBefore);
    return end;
  }

  /** The slow road, byte by byte: each ill-formed run becomes one U+FFFD and is counted. */
  #escapeIllFormed(from: number, stop: number, at: number): number {
    const input = this.#input;
    let o = at;
    let i = from;
    while (i < stop) {
      const byte = input[i] ?? 0;
      const length = sequenceLength(input, i, stop);
      if (ESCAPED[byte] === 1) {
        o = this.#escape(byte, o);
        i += 1;
      } else if (length > 0) {
        for (let n = 0; n < length; n += 1) this.#out[o + n] = input[i + n] ?? 0;
        o += length;
        i += length;
      } else {
        this.#out.set(REPLACEMENT, o);
        o += REPLACEMENT.length;
        i -= length;
        this.replaced += 1;
        this.#illFormedBytes -= length;
      }
    }
    this.next = i;
    return o;
  }
}
