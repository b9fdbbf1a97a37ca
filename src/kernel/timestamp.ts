/**
 * Times as applications write them into JSON: RFC 3339 texts and epoch numbers, read from bytes.
 *
 * Invariants: a text that `isRfc3339` takes is also taken by Elasticsearch's `strict_date_optional_time`, so it can be copied as
 * it stands; everything else reads as undefined and is left alone. May import: core.
 */

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Digits of a fraction of a second: nanoseconds, the most that Elasticsearch and Java keep. */
const FRACTION_DIGITS_MAX = 9;
/** Hours of an offset: java.time.ZoneOffset ends at 18, RFC 3339 would allow 23. */
const OFFSET_HOURS_MAX = 18;

/**
 * Whether `input[from, to)` is an RFC 3339 date-time (section 5.6) with upper-case T and Z, a real calendar day, no leap second,
 * at most nine digits of fraction.
 */
export function isRfc3339(input: Uint8Array, from: number, to: number): boolean {
  if (to - from < 20 || !hasMarks(input, from)) return false;
  const year = digits(input, from, 4);
  const month = digits(input, from + 5, 2);
  const day = digits(input, from + 8, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return false;
  if (!isWithin(digits(input, from + 11, 2), 23)) return false;
  if (!isWithin(digits(input, from + 14, 2), 59) || !isWithin(digits(input, from + 17, 2), 59)) return false;
  let i = from + 19;
  if (input[i] === 0x2e) {
    const first = i + 1;
    for (i = first; i < to && isDigit(input[i] ?? 0);) i += 1;
    if (i === first || i - first > FRACTION_DIGITS_MAX) return false;
  }
  return isZone(input, i, to);
}

/** Milliseconds since the epoch of a text that `isRfc3339` took, its fraction cut after three digits. */
export function rfc3339Ms(input: Uint8Array, from: number, to: number): number {
  const seconds = Date.UTC(
    digits(input, from, 4),
    digits(input, from + 5, 2) - 1,
    digits(input, from + 8, 2),
    digits(input, from + 11, 2),
    digits(input, from + 14, 2),
    digits(input, from + 17, 2),
  );
  let at = from + 19;
  let fractionMs = 0;
  if (input[at] === 0x2e) {
    at += 1;
    for (let weight = 100; isDigit(input[at] ?? 0) && at < to; at += 1, weight = Math.floor(weight / 10)) {
      fractionMs += ((input[at] ?? 0) - 0x30) * weight;
    }
  }
  if (input[at] === 0x5a) return seconds + fractionMs;
  const offsetMs = (digits(input, at + 1, 2) * 60 + digits(input, at + 4, 2)) * 60_000;
  return seconds + fractionMs - (input[at] === 0x2d ? -offsetMs : offsetMs);
}

/** The separators of `yyyy-MM-ddTHH:mm:ss`. */
function hasMarks(input: Uint8Array, from: number): boolean {
  if (input[from + 4] !== 0x2d || input[from + 7] !== 0x2d || input[from + 10] !== 0x54) return false;
  return input[from + 13] === 0x3a && input[from + 16] === 0x3a;
}

/** `Z` or `+hh:mm`. */
function isZone(input: Uint8Array, at: number, to: number): boolean {
  if (at + 1 === to) return input[at] === 0x5a;
  if (at + 6 !== to || (input[at] !== 0x2b && input[at] !== 0x2d) || input[at + 3] !== 0x3a) return false;
  const hours = digits(input, at + 1, 2);
  const minutes = digits(input, at + 4, 2);
  return isWithin(minutes, 59) && isWithin(hours, OFFSET_HOURS_MAX) && (hours < OFFSET_HOURS_MAX || minutes === 0);
}

/**
 * An epoch number in seconds, milliseconds, microseconds or nanoseconds, by its size, as milliseconds since the epoch (cut).
 *
 * Seconds from 1973 (10^8) to 5138 (10^11), the others the same years: the ranges do not overlap. Exponents and negative numbers
 * are not read.
 * @returns undefined for anything else
 */
export function epochMs(input: Uint8Array, from: number, to: number): number | undefined {
  let whole = 0;
  let i = from;
  for (; i < to && isDigit(input[i] ?? 0); i += 1) {
    if (i - from >= 20) return undefined;
    whole = whole * 10 + (input[i] ?? 0) - 0x30;
  }
  if (whole < 1e8 || whole >= 1e20) return undefined;
  let fraction = 0;
  if (i < to) {
    if (input[i] !== 0x2e) return undefined;
    const first = i + 1;
    let weight = 100;
    for (i = first; i < to; i += 1, weight /= 10) {
      if (!isDigit(input[i] ?? 0)) return undefined;
      if (i - first < 3) fraction += ((input[i] ?? 0) - 0x30) * weight;
    }
  }
  if (whole < 1e11) return whole * 1000 + Math.round(fraction);
  return whole < 1e14 ? whole : whole < 1e17 ? Math.floor(whole / 1e3) : Math.floor(whole / 1e6);
}

/** `count` decimal digits as a number, -1 when one of them is none. */
function digits(input: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i += 1) {
    const digit = (input[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function isWithin(value: number, max: number): boolean {
  return value >= 0 && value <= max;
}

function daysIn(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && isLeap ? 29 : (DAYS[month - 1] ?? 0);
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
