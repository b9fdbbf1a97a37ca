/**
 * Times as texts and as numbers, for the byte kernel. The same in plain TypeScript: ../line-header.ts, ../timestamp.ts, ../rfc3339.ts.
 */

const DOT: u32 = 0x2e;
const MINUS: u32 = 0x2d;

/** What `isEpoch` read: milliseconds since the epoch. */
export let epochMs: u64 = 0;

/** What `seenMs` computed of the second that was seen last; negative when another was seen since. */
let secondMs: i64 = -1;

/** Bytes of `2016-10-06T00:17:09`. */
export const SECOND_BYTES: usize = 19;

/**
 * Whether the 19 bytes at `at` are a second of the calendar after the year 0. `seen` has the one that was found to be one last: lines come in
 * runs of equal seconds.
 */
export function isSeenSecond(at: usize, seen: usize): bool {
  const begin = v128.load(at);
  if (
    v128.all_true<i8>(v128.eq<i8>(begin, v128.load(seen))) &&
    load<u8>(at + 16) == load<u8>(seen + 16) &&
    load<u16>(at + 17) == load<u16>(seen + 17)
  )
    return true;
  if (!isSecond(at)) return false;
  v128.store(seen, begin);
  store<u8>(seen + 16, load<u8>(at + 16));
  store<u16>(seen + 17, load<u16>(at + 17));
  secondMs = -1;
  return true;
}

/** Milliseconds since the epoch of the second that `isSeenSecond` found last, in UTC. */
export function seenMs(seen: usize): i64 {
  if (secondMs >= 0) return secondMs;
  const month = twoDigits(seen + 5);
  // H. Hinnant, "chrono-compatible low-level date algorithms", days_from_civil: years begin in March, eras of 400 years.
  const year = twoDigits(seen) * 100 + twoDigits(seen + 2) - (month <= 2 ? 1 : 0);
  const era = year / 400;
  const yearOfEra = year - era * 400;
  const dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + twoDigits(seen + 8) - 1;
  const days = era * 146097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719468;
  const ofDay = (twoDigits(seen + 11) * 60 + twoDigits(seen + 14)) * 60 + twoDigits(seen + 17);
  secondMs = (<i64>days * 86400 + ofDay) * 1000;
  return secondMs;
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
export function twoDigits(at: usize): i32 {
  const tens: u32 = load<u8>(at);
  const ones: u32 = load<u8>(at + 1);
  return isDigit(tens) && isDigit(ones) ? <i32>((tens - 48) * 10 + ones - 48) : i32.MIN_VALUE;
}

// @ts-ignore: decorator
@inline
export function isDigit(byte: u32): bool {
  return byte - 48 < 10;
}

// @ts-ignore: decorator
@inline
export function digitsEnd(at: usize): usize {
  let i = at;
  while (isDigit(load<u8>(i))) i += 1;
  return i;
}

/**
 * Whether the number is an epoch time of today's kind: 10 digits of seconds or 13 of milliseconds (2001 to 2286), with or without a
 * fraction. Leaves it in `epochMs`, cut.
 */
export function isEpoch(from: usize, to: usize): bool {
  let whole: u64 = 0;
  let i = from;
  for (; isDigit(load<u8>(i)); i += 1) {
    if (i - from == 13) return false;
    whole = whole * 10 + load<u8>(i) - 48;
  }
  const count = i - from;
  if (count != 10 && count != 13) return false;
  let fraction: u64 = 0;
  if (i < to) {
    if (load<u8>(i) != DOT) return false;
    i += 1;
    let weight: u64 = 100;
    for (; i < to; i += 1) {
      if (!isDigit(load<u8>(i))) return false;
      fraction += weight * (load<u8>(i) - 48);
      weight /= 10;
    }
  }
  epochMs = count == 13 ? whole : whole * 1000 + fraction;
  return true;
}

/** Whether the text is a time in RFC 3339 with upper-case T and Z that Elasticsearch takes as it stands (../timestamp.ts), after the year 0. */
export function isTime(from: usize, to: usize, seen: usize): bool {
  if (to - from < 20 || !isSeenSecond(from, seen)) return false;
  let i = from + 19;
  if (load<u8>(i) == DOT) {
    const first = i + 1;
    i = digitsEnd(first);
    if (i == first || i - first > 9) return false;
  }
  const zone: u32 = load<u8>(i);
  if (zone == 0x5a) return i + 1 == to;
  if ((zone != 0x2b && zone != MINUS) || i + 6 != to || load<u8>(i + 3) != 0x3a) return false;
  const hours = twoDigits(i + 1);
  const minutes = twoDigits(i + 4);
  return (hours | minutes) >= 0 && minutes < 60 && (hours < 18 || (hours == 18 && minutes == 0));
}

/** Writes milliseconds since the epoch as `2026-01-31T23:59:59.999Z`, 24 bytes. */
export function writeEpoch(ms: u64, at: usize): void {
  // Seconds of the year 2286 need more than 32 bits.
  const seconds = ms / 1000;
  const millis = <u32>(ms - seconds * 1000);
  const days = <u32>(seconds / 86400);
  const ofDay = <u32>(seconds - <u64>days * 86400);
  // H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days: years begin in March, eras of 400 years.
  const shifted = days + 719468;
  const era = shifted / 146097;
  const dayOfEra = shifted - era * 146097;
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365;
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const shiftedMonth = (5 * dayOfYear + 2) / 153;
  const day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  putTwo(at, year / 100);
  putTwo(at + 2, year % 100);
  store<u8>(at + 4, 0x2d);
  putTwo(at + 5, month);
  store<u8>(at + 7, 0x2d);
  putTwo(at + 8, day);
  store<u8>(at + 10, 0x54);
  putTwo(at + 11, ofDay / 3600);
  store<u8>(at + 13, 0x3a);
  putTwo(at + 14, (ofDay / 60) % 60);
  store<u8>(at + 16, 0x3a);
  putTwo(at + 17, ofDay % 60);
  store<u8>(at + 19, 0x2e);
  store<u8>(at + 20, 48 + millis / 100);
  putTwo(at + 21, millis % 100);
  store<u8>(at + 23, 0x5a);
}

// @ts-ignore: decorator
@inline
function putTwo(at: usize, value: u32): void {
  store<u16>(at, (48 + value / 10) | ((48 + (value % 10)) << 8));
}
