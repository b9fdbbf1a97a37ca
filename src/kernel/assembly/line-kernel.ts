/**
 * The byte kernel in AssemblyScript: frames and escapes runs of lines, 16 bytes a step. `deploy/kernel.ts` compiles it into
 * ../line-kernel-wasm.ts; its twin in plain TypeScript is ../plain-line-kernel.ts, and one suite tests both.
 *
 * Invariants: no static data and no allocation, so all memory belongs to the caller; the input is well-formed UTF-8 and has SLACK readable
 * bytes behind it, the output SLACK writable ones. The words of the job and their meaning: ../wasm-line-kernel.ts.
 */

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

/** Where a header's first bytes are all those of a second. */
const SECOND_BYTES: usize = 19;

/** Position behind the last byte that `escapeLine` wrote; 0 when the line is not for us. */
let outEnd: usize = 0;

/** Of the header that `headerEnd` read: place of its part of the frame among those of stdout, stderr and unsaid; three digits, as bytes. */
let headerStdio: usize = 0;
let headerMillis: u32 = 0;

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
  while (at < to && records < recordsMax) {
    let begin = at;
    if (flags & HAS_HEADERS) {
      begin = headerEnd(at, to, seen);
      if (begin == 0) break;
    }
    if (flags & STOPS_AT_OBJECTS && beginsObject(begin, to)) break;
    const offset = base + <f64>at;
    let o = copy(first, firstBytes, out);
    const text: usize = flags & (OFFSET_AFTER_FIRST | OFFSET_AFTER_SECOND) ? decimal(<u64>offset, digits) : 0;
    if (flags & OFFSET_AFTER_FIRST) o = copy16(text, digits + SLACK - text, o);
    const time = o + timeAt;
    o = copy(second, secondBytes, o);
    if (flags & HAS_HEADERS) writeTime(at, time);
    if (flags & OFFSET_AFTER_SECOND) o = copy16(text, digits + SLACK - text, o);
    if (flags & HAS_HEADERS) o = copy(word(job, 27 + headerStdio), word(job, 28 + headerStdio), o);
    else if (flags & OFFSET_AFTER_SECOND) o = copy(third, thirdBytes, o);
    const limit = min(to, at + lineBytesMax);
    const next = escapeLine(begin, to, limit, o);
    if (next == 0) break;
    // With headers the whole line counts, its line end but for the newline too: so does whoever takes those that are left.
    if (flags & HAS_HEADERS && next - at > lineBytesMax + 1) break;
    let end = outEnd;
    let bytes: i32 = <i32>(next - begin) - 1;
    if (bytes > 0 && load<u8>(next - 2) == CR) bytes -= 1;
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
    counted = sum;
    records += 1;
    out = end;
    at = next;
  }
  setWord(job, 0, <i32>at);
  setWord(job, 2, <i32>out);
  setWord(job, 5, <i32>records);
  setWord(job, 18, counted);
}

/**
 * Reads the header of a whole line as container runtimes write it (`2016-10-06T00:17:09.669794202Z stdout F `): gives where the text
 * begins, 0 for any other form of it. `seen` has the second that was found to be one last: lines come in runs of equal seconds.
 */
function headerEnd(at: usize, to: usize, seen: usize): usize {
  if (at + SECOND_BYTES + 5 > to) return 0;
  const begin = v128.load(at);
  if (
    !v128.all_true<i8>(v128.eq<i8>(begin, v128.load(seen))) ||
    load<u8>(at + 16) != load<u8>(seen + 16) ||
    load<u16>(at + 17) != load<u16>(seen + 17)
  ) {
    if (!isSecond(at)) return 0;
    v128.store(seen, begin);
    store<u8>(seen + 16, load<u8>(at + 16));
    store<u16>(seen + 17, load<u16>(at + 17));
  }
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
  // `F `
  if (load<u16>(i) != 0x2046 || i + 2 > to) return 0;
  return i + 2;
}

/** Whether the 19 bytes at `at` are a second of the calendar: `2016-10-06T00:17:09`. A leap second is none. */
function isSecond(at: usize): bool {
  if (load<u8>(at + 4) != 0x2d || load<u8>(at + 7) != 0x2d || load<u8>(at + 10) != 0x54) return false;
  if (load<u8>(at + 13) != 0x3a || load<u8>(at + 16) != 0x3a) return false;
  const century = twoDigits(at);
  const ofCentury = twoDigits(at + 2);
  const month = twoDigits(at + 5);
  const day = twoDigits(at + 8);
  if ((century | ofCentury | month | day) < 0) return false;
  const year = century * 100 + ofCentury;
  if (year == 0 || month == 0 || month > 12 || day == 0) return false;
  let days = 31;
  if (month == 4 || month == 6 || month == 9 || month == 11) days = 30;
  else if (month == 2) days = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  if (day > days) return false;
  const hours = twoDigits(at + 11);
  const minutes = twoDigits(at + 14);
  const seconds = twoDigits(at + 17);
  return (hours | minutes | seconds) >= 0 && hours < 24 && minutes < 60 && seconds < 60;
}

/** Two digits as a number, negative when they are none. */
function twoDigits(at: usize): i32 {
  const tens: u32 = load<u8>(at);
  const ones: u32 = load<u8>(at + 1);
  return isDigit(tens) && isDigit(ones) ? <i32>((tens - 48) * 10 + ones - 48) : i32.MIN_VALUE;
}

// @ts-ignore: decorator
@inline
function isDigit(byte: u32): bool {
  return byte - 48 < 10;
}

/** The time of the header at `from` with its milliseconds: 24 bytes at `to`. */
function writeTime(from: usize, to: usize): void {
  v128.store(to, v128.load(from));
  store<u8>(to + 16, 0x3a);
  store<u16>(to + 17, load<u16>(from + 17));
  store<u8>(to + 19, 0x2e);
  store<u32>(to + 20, headerMillis | 0x5a000000);
}

/** Whether the first byte of the line that is no white space is `{`. */
function beginsObject(from: usize, to: usize): bool {
  let at = from;
  while (at < to) {
    const byte: u32 = load<u8>(at);
    if (byte != 0x20 && byte != 0x09) return byte == OBJECT;
    at += 1;
  }
  return false;
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
