/**
 * The byte kernel in AssemblyScript: frames and escapes runs of lines, 16 bytes a step. `deploy/kernel.ts` compiles it into
 * ../line-kernel-wasm.ts; its twin in plain TypeScript is ../plain-line-kernel.ts, and one suite tests both.
 *
 * Invariants: no static data and no allocation, so all memory belongs to the caller; the input is well-formed UTF-8 and has SLACK readable
 * bytes behind it, the output SLACK writable ones. The words of the job and their meaning: ../wasm-line-kernel.ts.
 */
import {
  members,
  membersFrom,
  membersTo,
  objectLineEnd,
  TIME_NUMBER,
  TIME_OWN,
  TIME_TEXT,
  timeFrom,
  timeKind,
  timeMs,
  timeTo,
} from './object-line';
import { isDigit, isSeenSecond, SECOND_BYTES, seenMs, writeEpoch } from './time';

/** Bytes that may be read or written behind what is meant: one vector. */
const SLACK: usize = 16;

const LF: u32 = 10;
const CR: u32 = 13;
const QUOTE: u32 = 0x22;
const BACKSLASH: u32 = 0x5c;
const OBJECT: u32 = 0x7b;

const OFFSET_AFTER_FIRST: i32 = 1;
const OFFSET_AFTER_SECOND: i32 = 2;
const STOPS_AT_OBJECTS: i32 = 4;
const PADS_EMPTY: i32 = 8;
const HAS_HEADERS: i32 = 16;
const TAKES_OBJECTS: i32 = 32;
const EPOCH_TIMES: i32 = 64;
const TIME_BYTES: usize = 24;
const EPOCH_BYTES: usize = 13;
/** ../line-kernel.ts */
const PARTS_MAX: i32 = 255;

/** Position behind the last byte that `escapeLine` wrote; 0 when the line is not for us. */
let outEnd: usize = 0;

/** Of the header that `headerEnd` read: place of its part of the frame among those of stdout, stderr and unsaid; three digits, as bytes. */
let headerStdio: usize = 0;
let headerMillis: u32 = 0;
/** And whether the line goes on in the next one. */
let headerIsPartial: bool = false;

/** Of the line that `joinParts` put together: bytes of its text, of how many parts. */
let joinedBytes: i32 = 0;
let joinedParts: i32 = 0;

// @ts-ignore: decorator
@inline
function word(job: usize, index: usize): i32 {
  return load<i32>(job + (index << 2));
}

// @ts-ignore: decorator
@inline
function setWord(job: usize, index: usize, value: i32): void {
  store<i32>(job + (index << 2), value);
}

/**
 * Encodes lines from word 0 on until one does not fit, is not for us, or there are no more. Leaves the first byte of the line it stopped
 * at in word 0, and moves the words that count.
 */
export function encodeLines(job: usize): void {
  let at: usize = word(job, 0);
  const to: usize = word(job, 1);
  let out: usize = word(job, 2);
  const outBase: usize = word(job, 3);
  const outLimit: usize = word(job, 4);
  let records: usize = word(job, 5);
  const recordsMax: usize = word(job, 6);
  const ends: usize = word(job, 7);
  const offsets: usize = word(job, 8);
  const first: usize = word(job, 9);
  const firstBytes: usize = word(job, 10);
  const second: usize = word(job, 11);
  const secondBytes: usize = word(job, 12);
  const third: usize = word(job, 13);
  const thirdBytes: usize = word(job, 14);
  const closing: u32 = word(job, 15);
  const closingBytes: usize = word(job, 16);
  const flags = word(job, 17);
  let counted: i32 = word(job, 18);
  const countedMax: i32 = word(job, 19);
  const overhead: i32 = word(job, 20);
  const lineBytesMax: usize = word(job, 21);
  const digits: usize = word(job, 22);
  const seen: usize = word(job, 23);
  // What a position in the input must be added to for its offset in the source.
  const base = load<f64>(job + (23 << 2) + 4);
  const timeAt: usize = word(job, 26);
  const table: usize = word(job, 36);
  let objects: i32 = word(job, 37);
  const lines: usize = word(job, 39);
  const fromMs = load<f64>(job + (40 << 2));
  const toMs = load<f64>(job + (42 << 2));
  let lastMs = load<f64>(job + (44 << 2));
  let latestMs = load<f64>(job + (46 << 2));
  // What reads an object stops at a line feed: so it does at the end.
  if (flags & TAKES_OBJECTS) store<u8>(to, <u8>LF);
  while (at < to && records < recordsMax) {
    let begin = at;
    if (flags & HAS_HEADERS) {
      begin = headerEnd(at, to, seen);
      if (begin == 0) break;
    }
    let timeMs = lastMs;
    if (flags & EPOCH_TIMES) {
      const own = headerMs(seen);
      if (own < fromMs || own > toMs) break;
      timeMs = max(own, lastMs);
      if (records != 0 && timeMs > latestMs) break;
    }
    let lineEnd: usize = 0;
    const isPartial = (flags & HAS_HEADERS) != 0 && headerIsPartial;
    if (isPartial && flags & STOPS_AT_OBJECTS) {
      // Where all that stands there is white space the object may begin in the next part.
      const byte: u32 = load<u8>(begin);
      if (byte <= 0x20 || byte == OBJECT) break;
    } else if (flags & STOPS_AT_OBJECTS) {
      const object = objectBegin(begin, to);
      if (object != 0) {
        if (!(flags & TAKES_OBJECTS)) break;
        const hasPlaces = (flags & OFFSET_AFTER_SECOND) != 0;
        lineEnd = objectLineEnd(object, table, seen, hasPlaces, (flags & HAS_HEADERS) != 0);
        if (lineEnd == 0 || lineEnd >= to || lineEnd - at > lineBytesMax) break;
      }
    }
    const offset = base + <f64>at;
    let o = copy(first, firstBytes, out);
    const text: usize = flags & (OFFSET_AFTER_FIRST | OFFSET_AFTER_SECOND) ? decimal(<u64>offset, digits) : 0;
    if (flags & OFFSET_AFTER_FIRST) o = copy16(text, digits + SLACK - text, o);
    if (lineEnd != 0) {
      const end = writeObject(job, at, o, text, digits + SLACK - text);
      if (end > outLimit) break;
      store<u32>(ends + (records << 2), <u32>(end - outBase));
      store<f64>(offsets + (records << 3), offset);
      store<u8>(lines + records, 1);
      records += 1;
      objects += 1;
      out = end;
      at = lineEnd + 1;
      continue;
    }
    const time = o + timeAt;
    o = copy(second, secondBytes, o);
    if (flags & EPOCH_TIMES) decimal(<u64>timeMs, time + EPOCH_BYTES - SLACK);
    else if (flags & HAS_HEADERS) writeTime(at, time);
    if (flags & OFFSET_AFTER_SECOND) o = copy16(text, digits + SLACK - text, o);
    if (flags & HAS_HEADERS) o = copy(word(job, 27 + headerStdio), word(job, 28 + headerStdio), o);
    else if (flags & OFFSET_AFTER_SECOND) o = copy(third, thirdBytes, o);
    const limit = min(to, at + lineBytesMax);
    let next = escapeLine(begin, to, limit, o);
    if (next == 0) break;
    // With headers the whole line counts, its line end but for the newline too: so does whoever takes those that are left.
    if (flags & HAS_HEADERS && next - at > lineBytesMax + 1) break;
    let bytes = textBytes(begin, next);
    let parts: i32 = 1;
    if (isPartial) {
      next = joinParts(next, to, at + lineBytesMax, seen);
      if (next == 0) break;
      bytes += joinedBytes;
      parts += joinedParts;
    }
    let end = outEnd;
    if (flags & PADS_EMPTY && bytes == 0) {
      store<u8>(end, 0x20);
      end += 1;
      bytes = 1;
    }
    store<u32>(end, closing);
    end += closingBytes;
    const sum = counted + bytes + overhead;
    if (end > outLimit || sum > countedMax) break;
    store<u32>(ends + (records << 2), <u32>(end - outBase));
    store<f64>(offsets + (records << 3), offset);
    store<u8>(lines + records, parts);
    counted = sum;
    lastMs = timeMs;
    if (records == 0) latestMs = timeMs + <f64>word(job, 48);
    records += 1;
    out = end;
    at = next;
  }
  setWord(job, 0, <i32>at);
  setWord(job, 2, <i32>out);
  setWord(job, 5, <i32>records);
  setWord(job, 18, counted);
  setWord(job, 37, objects);
  store<f64>(job + (44 << 2), lastMs);
  store<f64>(job + (46 << 2), latestMs);
}

/**
 * Writes the other parts of a line behind its first one, whose text ends at `outEnd`; its header was read last, and the next part begins
 * at `at`. Gives where the line behind them begins; 0 when one is not for us or ends behind `limit`.
 */
function joinParts(at: usize, to: usize, limit: usize, seen: usize): usize {
  const stdio = headerStdio;
  let i = at;
  joinedBytes = 0;
  joinedParts = 0;
  while (headerIsPartial) {
    const begin = headerEnd(i, to, seen);
    if (begin == 0 || headerStdio != stdio || joinedParts + 1 == PARTS_MAX) return 0;
    const next = escapeLine(begin, to, min(to, limit), outEnd);
    if (next == 0 || next > limit) return 0;
    joinedBytes += textBytes(begin, next);
    joinedParts += 1;
    i = next;
  }
  return i;
}

/** Bytes of a text that was escaped: from its beginning to the line end before the next line. */
function textBytes(begin: usize, next: usize): i32 {
  const bytes = <i32>(next - begin) - 1;
  return bytes > 0 && load<u8>(next - 2) == CR ? bytes - 1 : bytes;
}

/**
 * Writes to `to` what stands behind the first part of the record of the line at `at`, which `objectLineEnd` has just read: our members, then
 * its own. The line's offset stands in the `digitsBytes` bytes at `digits`. Gives where the record ends.
 */
function writeObject(job: usize, at: usize, to: usize, digits: usize, digitsBytes: usize): usize {
  const second: usize = word(job, 11);
  const flags = word(job, 17);
  const timeAt: usize = word(job, 26);
  const openBytes: usize = word(job, 33);
  const placesAt: usize = word(job, 34);
  const bytes: usize = word(job, 35);
  let o = to;
  if (timeKind == TIME_OWN) {
    o = copy(second, openBytes, o);
    // Without a time before them the places begin without their comma.
    const places = min(placesAt + 1, bytes);
    o = copy(second + places, bytes - places, o);
  } else if (timeKind == TIME_TEXT && timeTo - timeFrom != TIME_BYTES) {
    o = copy(second, timeAt, o);
    o = copy(timeFrom, timeTo - timeFrom, o);
    const rest = timeAt + TIME_BYTES;
    o = copy(second + rest, bytes - rest, o);
  } else {
    const time = o + timeAt;
    o = copy(second, bytes, o);
    if (timeKind == TIME_TEXT) {
      v128.store(time, v128.load(timeFrom));
      store<u64>(time + 16, load<u64>(timeFrom + 16));
    } else if (timeKind == TIME_NUMBER) {
      writeEpoch(timeMs, time);
    } else if (flags & HAS_HEADERS) {
      writeTime(at, time);
    }
  }
  if (flags & OFFSET_AFTER_SECOND) {
    o = copy16(digits, digitsBytes, o);
    // With headers the part by the stdio begins with it.
    if (!(flags & HAS_HEADERS)) {
      store<u8>(o, 0x7d);
      o += 1;
    }
  }
  if (flags & HAS_HEADERS) {
    let part: usize = word(job, 27 + headerStdio);
    let partBytes: usize = word(job, 28 + headerStdio) - word(job, 38);
    // No comma behind the opening brace.
    if (partBytes != 0 && load<u8>(o - 1) == <u8>OBJECT) {
      part += 1;
      partBytes -= 1;
    }
    o = copy(part, partBytes, o);
  }
  if (members != 0) {
    // Whatever we wrote ends a member, unless nothing but the brace stands there.
    if (load<u8>(o - 1) != <u8>OBJECT) {
      store<u8>(o, 0x2c);
      o += 1;
    }
    o = copy(membersFrom, membersTo - membersFrom, o);
  }
  // `}` and a line feed
  store<u16>(o, 0x0a7d);
  return o + 2;
}

/**
 * Reads the header of a line as container runtimes write it (`2016-10-06T00:17:09.669794202Z stdout F `, or `P`): gives where the text
 * begins, 0 for any other form of it. `seen`: time.ts.
 */
function headerEnd(at: usize, to: usize, seen: usize): usize {
  if (at + SECOND_BYTES + 5 > to || !isSeenSecond(at, seen)) return 0;
  let i = at + SECOND_BYTES;
  headerMillis = 0x303030;
  if (load<u8>(i) == 0x2e) {
    i += 1;
    const first = i;
    while (i < to && isDigit(load<u8>(i))) i += 1;
    const count = i - first;
    if (count == 0) return 0;
    const three = load<u32>(first) & 0xffffff;
    headerMillis = count >= 3 ? three : count == 2 ? (three & 0xffff) | 0x300000 : (three & 0xff) | 0x303000;
  }
  // `Z `
  if (load<u16>(i) != 0x205a) return 0;
  i += 2;
  const word = load<u32>(i);
  const rest = load<u32>(i + 4) & 0xffffff;
  if (word == 0x6f647473 && rest == 0x207475) {
    headerStdio = 0;
    i += 7;
  } else if (word == 0x65647473 && rest == 0x207272) {
    headerStdio = 2;
    i += 7;
  } else if ((word & 0xffff) == 0x202d) {
    headerStdio = 4;
    i += 2;
  } else {
    return 0;
  }
  // `F ` or `P `
  const tag: u32 = load<u16>(i);
  headerIsPartial = tag == 0x2050;
  if ((tag != 0x2046 && tag != 0x2050) || i + 2 > to) return 0;
  return i + 2;
}

/** The time of the header that was just read, in milliseconds since the epoch. */
function headerMs(seen: usize): f64 {
  const millis = (headerMillis & 15) * 100 + ((headerMillis >> 8) & 15) * 10 + ((headerMillis >> 16) & 15);
  return <f64>(seenMs(seen) + millis);
}

/** The time of the header at `from` with its milliseconds: 24 bytes at `to`. */
function writeTime(from: usize, to: usize): void {
  v128.store(to, v128.load(from));
  store<u8>(to + 16, 0x3a);
  store<u16>(to + 17, load<u16>(from + 17));
  store<u8>(to + 19, 0x2e);
  store<u32>(to + 20, headerMillis | 0x5a000000);
}

/** Where the `{` stands that is the first byte of the line but for white space; 0 when another byte is. */
function objectBegin(from: usize, to: usize): usize {
  let at = from;
  while (at < to) {
    const byte: u32 = load<u8>(at);
    if (byte != 0x20 && byte != 0x09) return byte == OBJECT ? at : 0;
    at += 1;
  }
  return 0;
}

// @ts-ignore: decorator
@inline
function copy(from: usize, bytes: usize, to: usize): usize {
  for (let i: usize = 0; i < bytes; i += 16) v128.store(to + i, v128.load(from + i));
  return to + bytes;
}

// @ts-ignore: decorator
@inline
function copy16(from: usize, bytes: usize, to: usize): usize {
  v128.store(to, v128.load(from));
  return to + bytes;
}

/** Writes `value` so that it ends 16 bytes behind `place`; returns where it begins. At most 16 digits: 2^53 has as many. */
function decimal(value: u64, place: usize): usize {
  let at = place + SLACK;
  let rest = value;
  while (rest >= 100_000_000) {
    const quotient = rest / 100_000_000;
    let low = <u32>(rest - quotient * 100_000_000);
    for (let i = 0; i < 8; i += 1) {
      const tenth = low / 10;
      at -= 1;
      store<u8>(at, 48 + (low - tenth * 10));
      low = tenth;
    }
    rest = quotient;
  }
  let low = <u32>rest;
  do {
    const tenth = low / 10;
    at -= 1;
    store<u8>(at, 48 + (low - tenth * 10));
    low = tenth;
  } while (low > 0);
  return at;
}

/**
 * Escapes the line at `from` to `at`. Gives where the next line begins and leaves the end of the text in `outEnd`; 0 when the line does
 * not end with a newline before `to`, or has more than the bytes up to `limit`: then what was written counts for nothing.
 */
function escapeLine(from: usize, to: usize, limit: usize, at: usize): usize {
  let i = from;
  let o = at;
  while (i < to) {
    const bytes = v128.load(i);
    const low = i8x16.lt_u(bytes, i8x16.splat(0x20));
    const quote = i8x16.eq(bytes, i8x16.splat(0x22));
    const backslash = i8x16.eq(bytes, i8x16.splat(0x5c));
    v128.store(o, bytes);
    const mask = i8x16.bitmask(v128.or(low, v128.or(quote, backslash)));
    if (mask == 0) {
      i += 16;
      o += 16;
      // A line that is too long is found out before it fills the output.
      if (i > limit) return 0;
      continue;
    }
    const plain: usize = ctz(mask);
    i += plain;
    o += plain;
    if (i >= to) return 0;
    const byte: u32 = load<u8>(i);
    if (byte == LF || (byte == CR && i + 1 < to && load<u8>(i + 1) == LF)) {
      if (i > limit) return 0;
      outEnd = o;
      return i + (byte == LF ? 1 : 2);
    }
    o = escape(byte, o);
    i += 1;
    if (i > limit) return 0;
  }
  return 0;
}

/** The escape of one byte (RFC 8259 section 7): two characters where there is such a one, else six. */
function escape(byte: u32, at: usize): usize {
  let letter: u32 = 0;
  switch (byte) {
    case QUOTE:
    case BACKSLASH:
      letter = byte;
      break;
    case 8:
      letter = 0x62;
      break;
    case 9:
      letter = 0x74;
      break;
    case 10:
      letter = 0x6e;
      break;
    case 12:
      letter = 0x66;
      break;
    case 13:
      letter = 0x72;
      break;
  }
  if (letter != 0) {
    store<u16>(at, BACKSLASH | (letter << 8));
    return at + 2;
  }
  // \u00XY, little-endian
  store<u32>(at, 0x3030755c);
  const low = byte & 15;
  store<u8>(at + 4, 48 + (byte >> 4));
  store<u8>(at + 5, low < 10 ? 48 + low : 87 + low);
  return at + 6;
}
