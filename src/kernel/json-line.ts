/**
 * Decides on bytes whether a line is one whole JSON object, and finds the members at its top, so that an encoder can splice its
 * own members in without building objects.
 *
 * Invariants: `scan` is true only for text that every strict parser takes (RFC 8259), nested at most JSON_DEPTH_MAX deep, with no
 * name twice in one object and no name that holds an escape (two spellings of one name could hide a duplicate). What it refuses
 * is not wrong: it is shipped as text. Nothing is allocated per line. May import: core.
 */
import { plainRunEnd } from './plain-run.ts';

/** Levels of objects and arrays: Elasticsearch maps at most 20 (index.mapping.depth.limit), deeper lines it would reject. */
export const JSON_DEPTH_MAX = 20;

/** Members of a line at all levels together: Elasticsearch maps at most 1,000 fields in an index (index.mapping.total_fields.limit). */
export const JSON_MEMBERS_MAX = 1_000;

/** Members that one object may have: their names are compared pairwise, 256 of them in about 0.1 ms. */
const OBJECT_MEMBERS_MAX = 256;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OBJECT = 0x7b;
const OBJECT_END = 0x7d;
const ARRAY = 0x5b;
const ARRAY_END = 0x5d;
const MINUS = 0x2d;
const DOT = 0x2e;
const SPACE = 0x20;

/** Not a position: the text is not what was asked for. */
const NONE = -1;

const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const NULL = Buffer.from('null');

export class JsonLineScanner {
  /** After a `scan` that was true: the bytes between the braces. */
  membersFrom = 0;
  membersTo = 0;
  /** Number of members at the top; their places stand in the four arrays. Names are without quotes, values with theirs. */
  members = 0;
  readonly nameFrom: Int32Array = new Int32Array(OBJECT_MEMBERS_MAX);
  readonly nameTo: Int32Array = new Int32Array(OBJECT_MEMBERS_MAX);
  readonly valueFrom: Int32Array = new Int32Array(OBJECT_MEMBERS_MAX);
  readonly valueTo: Int32Array = new Int32Array(OBJECT_MEMBERS_MAX);
  /** A name, at any level, that is empty, blank, begins or ends with a dot or has two in a row: Elasticsearch refuses those. */
  hasOddName = false;
  /** Names of the objects that are open, innermost last. */
  readonly #hash = new Int32Array(JSON_MEMBERS_MAX);
  readonly #from = new Int32Array(JSON_MEMBERS_MAX);
  readonly #length = new Int32Array(JSON_MEMBERS_MAX);
  #names = 0;
  /** Members seen in the whole line. */
  #total = 0;
  /** The byte that ends each open level, and where its names begin. */
  readonly #closing = new Uint8Array(JSON_DEPTH_MAX + 1);
  readonly #firstName = new Int32Array(JSON_DEPTH_MAX + 1);
  #depth = 0;

  /**
   * Reads `input[from, to)`, one line without its newline. The bytes must be well-formed UTF-8.
   *
   * @param view covers the same bytes as `input`
   * @returns whether the line is one object as the file's header says
   */
  scan(input: Uint8Array, view: DataView, from: number, to: number): boolean {
    this.#names = 0;
    this.#total = 0;
    this.#depth = 0;
    this.members = 0;
    this.hasOddName = false;
    let i = spaceEnd(input, from, to);
    if (i >= to || input[i] !== OBJECT) return false;
    this.membersFrom = i + 1;
    for (;;) {
      // `i` stands where a value begins.
      i = this.#opens(input[i]) ? this.#open(input, i, to) : valueEnd(input, view, i, to);
      if (i === NONE) return false;
      // `i` stands behind a value, behind an opening that has members, or behind all.
      if (i < 0) i = ~i;
      else if ((i = this.#afterValue(input, i, to)) === NONE) return false;
      if (this.#depth === 0) break;
      if (this.#closing[this.#depth] === OBJECT_END) i = this.#name(input, i, to);
      if (i === NONE || i >= to) return false;
    }
    this.membersTo = i - 1;
    return spaceEnd(input, i, to) === to;
  }

  #opens(byte: number | undefined): boolean {
    return byte === OBJECT || byte === ARRAY;
  }

  /** Steps into an object or array: behind it when it is empty, else the complement of where its first member begins. */
  #open(input: Uint8Array, at: number, to: number): number {
    if (this.#depth === JSON_DEPTH_MAX) return NONE;
    const closing = input[at] === OBJECT ? OBJECT_END : ARRAY_END;
    const i = spaceEnd(input, at + 1, to);
    if (i >= to) return NONE;
    if (input[i] === closing) return i + 1;
    this.#depth += 1;
    this.#closing[this.#depth] = closing;
    this.#firstName[this.#depth] = this.#names;
    return ~i;
  }

  /** Reads what follows a value: closes levels, or steps behind a comma to where the next member begins. */
  #afterValue(input: Uint8Array, at: number, to: number): number {
    let i = at;
    while (this.#depth > 0) {
      if (this.#depth === 1) this.valueTo[this.members - 1] = i;
      i = spaceEnd(input, i, to);
      if (i >= to) return NONE;
      if (input[i] === COMMA) return spaceEnd(input, i + 1, to);
      if (input[i] !== this.#closing[this.#depth]) return NONE;
      this.#names = this.#firstName[this.#depth] ?? 0;
      this.#depth -= 1;
      i += 1;
    }
    return i;
  }

  /** Reads a name without escapes that its object does not have yet, and its colon; gives where the value begins. */
  #name(input: Uint8Array, at: number, to: number): number {
    if (at >= to || input[at] !== QUOTE) return NONE;
    const from = at + 1;
    let hash = 0;
    let before = DOT;
    let isOdd = false;
    let i = from;
    let byte = 0;
    for (; i < to && (byte = input[i] ?? 0) !== QUOTE; i += 1) {
      if (byte < SPACE || byte === BACKSLASH) return NONE;
      if (byte === DOT && before === DOT) isOdd = true;
      hash = (Math.imul(hash, 31) + byte) | 0;
      before = byte;
    }
    if (i >= to) return NONE;
    if (isOdd || before === DOT || (input[from] === SPACE && isBlank(input, from, i))) this.hasOddName = true;
    if (!this.#remember(input, hash, from, i - from)) return NONE;
    const colon = spaceEnd(input, i + 1, to);
    if (colon >= to || input[colon] !== COLON) return NONE;
    const value = spaceEnd(input, colon + 1, to);
    if (this.#depth === 1) {
      this.nameFrom[this.members] = from;
      this.nameTo[this.members] = i;
      this.valueFrom[this.members] = value;
      this.members += 1;
    }
    return value;
  }

  /** Adds a name to the innermost object; false when it is there already or there are too many. */
  #remember(input: Uint8Array, hash: number, from: number, length: number): boolean {
    const first = this.#firstName[this.#depth] ?? 0;
    const names = this.#names;
    if (this.#total >= JSON_MEMBERS_MAX || names - first >= OBJECT_MEMBERS_MAX) return false;
    for (let n = first; n < names; n += 1) {
      if (this.#hash[n] !== hash || this.#length[n] !== length) continue;
      if (isSame(input, this.#from[n] ?? 0, from, length)) return false;
    }
    this.#hash[names] = hash;
    this.#from[names] = from;
    this.#length[names] = length;
    this.#names = names + 1;
    this.#total += 1;
    return true;
  }
}

/** Each reader takes the position of its first byte and gives the one after its last, or NONE. */
function valueEnd(input: Uint8Array, view: DataView, at: number, to: number): number {
  const byte = input[at];
  if (byte === QUOTE) return stringEnd(input, view, at, to);
  if (byte === 0x74) return wordEnd(input, at, to, TRUE);
  if (byte === 0x66) return wordEnd(input, at, to, FALSE);
  if (byte === 0x6e) return wordEnd(input, at, to, NULL);
  return numberEnd(input, at, to);
}

function stringEnd(input: Uint8Array, view: DataView, at: number, to: number): number {
  let i = at + 1;
  for (;;) {
    i = plainRunEnd(input, view, i, to);
    if (i >= to) return NONE;
    if (input[i] === QUOTE) return i + 1;
    if (input[i] !== BACKSLASH) return NONE;
    i = escapeEnd(input, i + 1, to);
    if (i === NONE) return NONE;
  }
}

/** The part of an escape after its backslash. */
function escapeEnd(input: Uint8Array, at: number, to: number): number {
  if (at >= to) return NONE;
  switch (input[at]) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // slash
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 1;
    case 0x75: {
      if (at + 5 > to) return NONE;
      for (let i = at + 1; i < at + 5; i += 1) if (!isHex(input[i] ?? 0)) return NONE;
      return at + 5;
    }
    default:
      return NONE;
  }
}

/** RFC 8259 section 6: [ minus ] int [ frac ] [ exp ]. */
function numberEnd(input: Uint8Array, at: number, to: number): number {
  const first = at < to && input[at] === MINUS ? at + 1 : at;
  let i = digitsEnd(input, first, to);
  if (i === first || (input[first] === 0x30 && i > first + 1)) return NONE;
  if (i < to && input[i] === DOT) {
    const fraction = i + 1;
    i = digitsEnd(input, fraction, to);
    if (i === fraction) return NONE;
  }
  if (i < to && (input[i] === 0x65 || input[i] === 0x45)) {
    const hasSign = i + 1 < to && (input[i + 1] === 0x2b || input[i + 1] === MINUS);
    const exponent = i + (hasSign ? 2 : 1);
    i = digitsEnd(input, exponent, to);
    if (i === exponent) return NONE;
  }
  return i;
}

function digitsEnd(input: Uint8Array, at: number, to: number): number {
  let i = at;
  while (i < to && isDigit(input[i] ?? 0)) i += 1;
  return i;
}

function wordEnd(input: Uint8Array, at: number, to: number, word: Uint8Array): number {
  if (at + word.length > to) return NONE;
  for (let i = 0; i < word.length; i += 1) if (input[at + i] !== word[i]) return NONE;
  return at + word.length;
}

/** White space of RFC 8259 section 2. A line feed cannot occur in a line. */
function spaceEnd(input: Uint8Array, at: number, to: number): number {
  let i = at;
  for (; i < to; i += 1) {
    const byte = input[i] ?? 0;
    if (byte > SPACE || (byte !== SPACE && byte !== 0x09 && byte !== 0x0d && byte !== 0x0a)) break;
  }
  return i;
}

function isBlank(input: Uint8Array, from: number, to: number): boolean {
  let i = from;
  while (i < to && input[i] === SPACE) i += 1;
  return i === to;
}

function isSame(input: Uint8Array, one: number, other: number, length: number): boolean {
  let i = 0;
  while (i < length && input[one + i] === input[other + i]) i += 1;
  return i === length;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isHex(byte: number): boolean {
  return isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
}
