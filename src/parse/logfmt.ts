/**
 * `level=info msg="two words" took=12ms` as a JSON object, so that it goes the way of every JSON line.
 *
 * A value is a text, whatever it looks like (a field that is a number once and a word later would be refused by Elasticsearch), but for an
 * epoch in `ts`, `time` or `timestamp`. A key without `=` is true. Not logfmt, and shipped as text: a line without any `key=`, one with a
 * broken quote, one with more than MEMBERS_MAX keys. The rules are those of go-logfmt (github.com/go-logfmt/logfmt, decode.go).
 * Nothing is allocated per line. May import: core, kernel.
 */
import { TextEscaper } from '../kernel/text-escaper.ts';

const MEMBERS_MAX = 256;
const SPACE = 0x20;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const TIME_NAMES: readonly Uint8Array[] = ['ts', 'time', 'timestamp'].map((name) => Buffer.from(name));
const TRUE = Buffer.from('true');

/** Bytes that come of a line of `bytes` bytes at most: each key may bring quotes, colon, comma and `true`, and each byte an escape. */
export function jsonBytesMax(bytes: number): number {
  return bytes * 6 + MEMBERS_MAX * 12 + 2;
}

export class LogfmtWriter {
  readonly #out: Uint8Array;
  readonly #escaper: TextEscaper;

  /** @param out holds `jsonBytesMax` of the longest line */
  constructor(out: Uint8Array) {
    this.#out = out;
    this.#escaper = new TextEscaper(out);
  }

  /** Writes the line `text[from, to)` from the beginning of `out`; gives where the object ends, 0 for what is no logfmt. */
  write(text: Uint8Array, from: number, to: number): number {
    const out = this.#out;
    out[0] = 0x7b;
    let o = 1;
    let members = 0;
    let hasValue = false;
    for (let at = skipSpaces(text, from, to); at < to; at = skipSpaces(text, at, to)) {
      const keyTo = keyEnd(text, at, to);
      if (keyTo === at || (members += 1) > MEMBERS_MAX) return 0;
      if (members > 1) out[o++] = 0x2c;
      o = this.#quoted(text, at, keyTo, o);
      out[o++] = 0x3a;
      if (text[keyTo] !== EQUALS) {
        out.set(TRUE, o);
        o += TRUE.length;
        at = keyTo;
        continue;
      }
      hasValue = true;
      const valueTo = valueEnd(text, keyTo + 1, to);
      if (valueTo < 0) return 0;
      o = this.#value(text, at, keyTo, valueTo, o);
      at = valueTo;
    }
    out[o] = 0x7d;
    return hasValue ? o + 1 : 0;
  }

  #quoted(text: Uint8Array, from: number, to: number, at: number): number {
    this.#out[at] = QUOTE;
    const end = this.#escaper.escape(text, from, to, at + 1);
    this.#out[end] = QUOTE;
    return end + 1;
  }

  #value(text: Uint8Array, keyFrom: number, keyTo: number, valueTo: number, at: number): number {
    const from = keyTo + 1;
    if (text[from] === QUOTE) {
      // JSON's own escapes stand as they are; the scanner of JSON lines judges the rest.
      return this.#escaper.copy(text, from, valueTo, at);
    }
    if (isNumber(text, from, valueTo) && isTimeName(text, keyFrom, keyTo))
      return this.#escaper.copy(text, from, valueTo, at);
    return this.#quoted(text, from, valueTo, at);
  }
}

/** Up to a blank, `=` or quote. */
function keyEnd(text: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && (text[at] ?? 0) > SPACE && text[at] !== EQUALS && text[at] !== QUOTE) at += 1;
  return at < to && text[at] === QUOTE ? from : at;
}

/** -1 for a quote that does not end. */
function valueEnd(text: Uint8Array, from: number, to: number): number {
  let at = from;
  if (text[at] !== QUOTE) {
    while (at < to && (text[at] ?? 0) > SPACE) {
      if (text[at] === QUOTE) return -1;
      at += 1;
    }
    return at;
  }
  for (at += 1; at < to && text[at] !== QUOTE; at += 1) if (text[at] === BACKSLASH) at += 1;
  const end = at + 1;
  return end <= to && (end === to || (text[end] ?? 0) <= SPACE) ? end : -1;
}

function skipSpaces(text: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && (text[at] ?? 0) <= SPACE) at += 1;
  return at;
}

/** Digits with at most one dot between them, not led by a zero: also a number of JSON. */
function isNumber(text: Uint8Array, from: number, to: number): boolean {
  let dots = 0;
  for (let at = from; at < to; at += 1) {
    const byte = text[at] ?? 0;
    if (byte === 0x2e && at > from && at + 1 < to) dots += 1;
    else if (byte < 0x30 || byte > 0x39) return false;
  }
  return to > from && dots <= 1 && text[from] !== 0x30;
}

function isTimeName(text: Uint8Array, from: number, to: number): boolean {
  for (const name of TIME_NAMES) if (isSame(text, from, to, name)) return true;
  return false;
}

function isSame(text: Uint8Array, from: number, to: number, name: Uint8Array): boolean {
  if (to - from !== name.length) return false;
  for (let i = 0; i < name.length; i += 1) if (text[from + i] !== name[i]) return false;
  return true;
}
