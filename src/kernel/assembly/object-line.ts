/**
 * Reads a line that is one JSON object, in one pass: whether every strict parser takes it, where its members stand and what time it says.
 * Part of the byte kernel; its twin in plain TypeScript is ../object-line.ts, which names the rules.
 *
 * Invariants: what is read ends with a line feed, which no part of an object may hold, so nothing reads on behind it; SLACK bytes behind
 * that are readable. `table` has room for TABLE_BYTES (../wasm-line-kernel.ts): where the names of each open level begin, then the names.
 */
import { digitsEnd, epochMs, isDigit, isEpoch, isTime } from './time';

const LF: u32 = 10;
const QUOTE: u32 = 0x22;
const BACKSLASH: u32 = 0x5c;
const DOT: u32 = 0x2e;
const MINUS: u32 = 0x2d;
const SPACE: u32 = 0x20;
const OBJECT: u32 = 0x7b;
const OBJECT_END: u32 = 0x7d;
const ARRAY: u32 = 0x5b;
const ARRAY_END: u32 = 0x5d;

const DEPTH_MAX: i32 = 20;
const MEMBERS_MAX: i32 = 1000;
const OBJECT_MEMBERS_MAX: i32 = 256;
/** Behind the 21 words of the levels. A name is its first eight bytes, its length and its place. */
const NAMES_AT: usize = 96;
const NAME_BYTES: usize = 16;

/** Where the time of a document comes from: reading, a text, a number, the line's own `@timestamp`. */
export const TIME_READ: u32 = 0;
export const TIME_TEXT: u32 = 1;
export const TIME_NUMBER: u32 = 2;
export const TIME_OWN: u32 = 3;

/** Names that say a time, the best first, and what stands for none. */
const RANK_OWN: i32 = 1;
const RANK_TIMESTAMP: i32 = 2;
const RANK_TIME: i32 = 3;
const RANK_TS: i32 = 4;
const RANK_NONE: i32 = 5;
/** The name is one that the line may not have here. */
const REFUSED: i32 = -1;

/** The first eight bytes of names, as a little-endian word. */
const W_TIMESTAM: u64 = 0x6d617473656d6974;
const W_TIME: u64 = 0x656d6974;
const W_TS: u64 = 0x7374;
const W_AT_TIMESTA: u64 = 0x617473656d697440;
const W_KUBERNET: u64 = 0x74656e726562756b;
const W_ORCHESTR: u64 = 0x727473656863726f;
const W_LOG: u64 = 0x676f6c;
const W_LOG_FILE: u64 = 0x656c69662e676f6c;
const W_LOG_OFFS: u64 = 0x7366666f2e676f6c;
const W_STREAM: u64 = 0x6d6165727473;

/** Of the object that was read last: its members at the top, how many they are, and its time. */
export let membersFrom: usize = 0;
export let membersTo: usize = 0;
export let members: i32 = 0;
export let timeKind: u32 = TIME_READ;
export let timeFrom: usize = 0;
export let timeTo: usize = 0;
/** Milliseconds since the epoch, of a number. */
export let timeMs: u64 = 0;

// @ts-ignore: decorator
@inline
function isSpace(byte: u32): bool {
  return byte == SPACE || byte == 9 || byte == 13;
}

// @ts-ignore: decorator
@inline
function spaceEnd(at: usize): usize {
  let i = at;
  while (isSpace(load<u8>(i))) i += 1;
  return i;
}

/**
 * Reads the object that begins with the brace at `from`, and the white space behind it.
 *
 * @param hasPlaces whether kubernetes, orchestrator and log are ours to say
 * @param hasStdio whether `stream` is
 * @returns where its line feed stands; 0 when the line is none, or one whose members and ours do not go together in the usual way
 */
export function objectLineEnd(from: usize, table: usize, seen: usize, hasPlaces: bool, hasStdio: bool): usize {
  let i = from;
  let depth: i32 = 0;
  /** A bit for each open level, the innermost last: 1 for an object. */
  let kinds: u32 = 0;
  let first: i32 = 0;
  let names: i32 = 0;
  let total: i32 = 0;
  let top: i32 = 0;
  let rank: i32 = RANK_NONE;
  let best: i32 = RANK_NONE;
  timeKind = TIME_READ;
  do {
    // `i` stands where a value begins.
    const byte: u32 = load<u8>(i);
    let isOpen = false;
    if (byte == QUOTE) {
      const end = stringEnd(i + 1);
      if (end == 0) return 0;
      if (rank != RANK_NONE) {
        if (!isTime(i + 1, end, seen)) return 0;
        if (rank < best) {
          best = rank;
          timeKind = rank == RANK_OWN ? TIME_OWN : TIME_TEXT;
          timeFrom = i + 1;
          timeTo = end;
        }
        rank = RANK_NONE;
      }
      i = end + 1;
    } else if (byte == OBJECT || byte == ARRAY) {
      if (depth == DEPTH_MAX || rank != RANK_NONE) return 0;
      const inner = spaceEnd(i + 1);
      if (load<u8>(inner) == (byte == OBJECT ? OBJECT_END : ARRAY_END)) {
        i = inner + 1;
      } else {
        depth += 1;
        kinds = (kinds << 1) | (byte == OBJECT ? 1 : 0);
        first = names;
        store<i32>(table + (<usize>depth << 2), first);
        i = inner;
        isOpen = true;
      }
    } else if (byte == MINUS || isDigit(byte)) {
      const end = numberEnd(i);
      if (end == 0) return 0;
      if (rank != RANK_NONE) {
        if (rank == RANK_OWN || !isEpoch(i, end)) return 0;
        if (rank < best) {
          best = rank;
          timeKind = TIME_NUMBER;
          timeMs = epochMs;
        }
        rank = RANK_NONE;
      }
      i = end;
    } else {
      if (rank != RANK_NONE) return 0;
      const word = load<u32>(i);
      // true, null, false
      if (word == 0x65757274 || word == 0x6c6c756e) i += 4;
      else if (word == 0x736c6166 && load<u8>(i + 4) == 0x65) i += 5;
      else return 0;
    }
    if (!isOpen) {
      // Behind a value: closes levels, or steps to the next member.
      while (depth > 0) {
        i = spaceEnd(i);
        const next: u32 = load<u8>(i);
        if (next == 0x2c) {
          i = spaceEnd(i + 1);
          break;
        }
        if (next != ((kinds & 1) == 1 ? OBJECT_END : ARRAY_END)) return 0;
        names = first;
        depth -= 1;
        kinds >>= 1;
        first = load<i32>(table + (<usize>depth << 2));
        i += 1;
      }
    }
    if (depth > 0 && (kinds & 1) == 1) {
      if (load<u8>(i) != QUOTE) return 0;
      const name = i + 1;
      const end = nameEnd(name);
      if (end == 0) return 0;
      const length = end - name;
      let word = load<u64>(name);
      if (length < 8) word &= (<u64>1 << (<u64>length << 3)) - 1;
      if (total == MEMBERS_MAX || names - first == OBJECT_MEMBERS_MAX) return 0;
      let entry = table + NAMES_AT + <usize>first * NAME_BYTES;
      const free = table + NAMES_AT + <usize>names * NAME_BYTES;
      for (; entry < free; entry += NAME_BYTES)
        if (load<u64>(entry) == word && load<u32>(entry + 8) == <u32>length)
          if (length <= 8 || isSame(load<u32>(entry + 12), name, length)) return 0;
      store<u64>(free, word);
      store<u32>(free + 8, <u32>length);
      store<u32>(free + 12, <u32>name);
      names += 1;
      total += 1;
      i = spaceEnd(end + 1);
      if (load<u8>(i) != 0x3a) return 0;
      i = spaceEnd(i + 1);
      if (depth == 1) {
        top += 1;
        rank = rankOf(name, word, length, hasPlaces, hasStdio);
        if (rank == REFUSED) return 0;
      }
    }
  } while (depth > 0);
  members = top;
  membersFrom = from + 1;
  membersTo = i - 1;
  i = spaceEnd(i);
  return load<u8>(i) == LF ? i : 0;
}

/** What a name at the top is to us: one of the ranks, or REFUSED. */
function rankOf(name: usize, word: u64, length: usize, hasPlaces: bool, hasStdio: bool): i32 {
  switch (<u32>(word & 0xff)) {
    case 0x40: // @
      return word == W_AT_TIMESTA && length == 10 && load<u16>(name + 8) == 0x706d ? RANK_OWN : RANK_NONE;
    case 0x74: // t
      if (length == 9 && word == W_TIMESTAM && load<u8>(name + 8) == 0x70) return RANK_TIMESTAMP;
      if (length == 4 && word == W_TIME) return RANK_TIME;
      return length == 2 && word == W_TS ? RANK_TS : RANK_NONE;
    case 0x5f: // _
      return REFUSED;
    case 0x6b: // k
      return hasPlaces && word == W_KUBERNET ? REFUSED : RANK_NONE;
    case 0x6f: // o
      return hasPlaces && word == W_ORCHESTR ? REFUSED : RANK_NONE;
    case 0x6c: // l
      if (!hasPlaces) return RANK_NONE;
      return (word == W_LOG && length == 3) || word == W_LOG_FILE || word == W_LOG_OFFS ? REFUSED : RANK_NONE;
    case 0x73: // s
      return hasStdio && length == 6 && word == W_STREAM ? REFUSED : RANK_NONE;
    default:
      return RANK_NONE;
  }
}

/** Where the quote behind a string's content stands, 0 when it is none. */
function stringEnd(at: usize): usize {
  let i = at;
  while (true) {
    const mask = escapedMask(v128.load(i));
    if (mask == 0) {
      i += 16;
      continue;
    }
    i += <usize>ctz(mask);
    const byte: u32 = load<u8>(i);
    if (byte == QUOTE) return i;
    if (byte != BACKSLASH) return 0;
    switch (load<u8>(i + 1)) {
      case 0x22: // "
      case 0x5c: // backslash
      case 0x2f: // slash
      case 0x62: // b
      case 0x66: // f
      case 0x6e: // n
      case 0x72: // r
      case 0x74: // t
        i += 2;
        break;
      case 0x75: // u
        if (!isHex(load<u8>(i + 2)) || !isHex(load<u8>(i + 3))) return 0;
        if (!isHex(load<u8>(i + 4)) || !isHex(load<u8>(i + 5))) return 0;
        i += 6;
        break;
      default:
        return 0;
    }
  }
}

/** The same of a name, which holds no escape and is none that Elasticsearch refuses: empty, blank, or with an empty part between dots. */
function nameEnd(at: usize): usize {
  let i = at;
  /** The byte before was a dot, or the name begins here. */
  let carry: i32 = 1;
  while (true) {
    const bytes = v128.load(i);
    const mask = escapedMask(bytes);
    const plain: i32 = mask == 0 ? 16 : ctz(mask);
    const dots = i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(0x2e))) & ((1 << plain) - 1);
    if ((dots & ((dots << 1) | carry)) != 0) return 0;
    if (mask == 0) {
      i += 16;
      carry = (dots >> 15) & 1;
      continue;
    }
    i += <usize>plain;
    if (load<u8>(i) != QUOTE || i == at || load<u8>(i - 1) == DOT) return 0;
    if (load<u8>(at) == SPACE) {
      let blank = at;
      while (blank < i && load<u8>(blank) == SPACE) blank += 1;
      if (blank == i) return 0;
    }
    return i;
  }
}

/** A bit for each byte that cannot stand for itself in a JSON string (RFC 8259 section 7). */
// @ts-ignore: decorator
@inline
function escapedMask(bytes: v128): i32 {
  const low = i8x16.lt_u(bytes, i8x16.splat(0x20));
  const quote = i8x16.eq(bytes, i8x16.splat(0x22));
  const backslash = i8x16.eq(bytes, i8x16.splat(0x5c));
  return i8x16.bitmask(v128.or(low, v128.or(quote, backslash)));
}

/** Whether two names of more than eight bytes are the same, whose first eight are. The ends of names differ most often. */
function isSame(one: usize, other: usize, length: usize): bool {
  const last = length - 8;
  if (load<u64>(one + last) != load<u64>(other + last)) return false;
  for (let i: usize = 8; i < last; i += 8) if (load<u64>(one + i) != load<u64>(other + i)) return false;
  return true;
}

function isHex(byte: u32): bool {
  return isDigit(byte) || (byte | 0x20) - 0x61 < 6;
}

/** RFC 8259 section 6: [ minus ] int [ frac ] [ exp ]. 0 when there is none. */
function numberEnd(at: usize): usize {
  let i = at;
  if (load<u8>(i) == MINUS) i += 1;
  if (load<u8>(i) == 0x30) {
    i += 1;
  } else {
    const first = i;
    i = digitsEnd(i);
    if (i == first) return 0;
  }
  if (load<u8>(i) == DOT) {
    const first = i + 1;
    i = digitsEnd(first);
    if (i == first) return 0;
  }
  if ((load<u8>(i) | 0x20) == 0x65) {
    i += 1;
    const sign: u32 = load<u8>(i);
    if (sign == 0x2b || sign == MINUS) i += 1;
    const first = i;
    i = digitsEnd(first);
    if (i == first) return 0;
  }
  return i;
}
