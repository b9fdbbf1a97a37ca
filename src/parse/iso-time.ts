/**
 * Dates of the form `2026-11-28T12:34:56.789Z` and their relatives, read from bytes as milliseconds since the epoch.
 *
 * Taken: `T`, `t` or a blank between date and time; a fraction of any length after `.` or `,`; `Z`, `+hh:mm`, `+hhmm`, `+hh` with an optional
 * blank before it. Without a zone the time is UTC: where a container has another zone its texts have to say so. Sources: RFC 3339 section
 * 5.6, ISO 8601, and the comma of Python's and Log4j's default formats. Nothing is allocated. May import: nothing.
 */

/** Where a date that was read ends: whoever reads a date at the beginning of a line goes on there. */
export const dateEnd = { at: 0 };

const DAY_MS = 86_400_000;

/** The time that fills `text[from, to)`, or NaN. */
export function isoTimeMs(text: Uint8Array, from: number, to: number): number {
  const timeMs = isoPrefixMs(text, from, to);
  return dateEnd.at === to ? timeMs : Number.NaN;
}

/** The time at the beginning of `text[from, to)`, or NaN; `dateEnd` says where it ends. */
export function isoPrefixMs(text: Uint8Array, from: number, to: number): number {
  dateEnd.at = from;
  if (to - from < 19 || !hasMarks(text, from)) return Number.NaN;
  const dayMs = dateMs(digits(text, from, 4), digits(text, from + 5, 2), digits(text, from + 8, 2));
  const clockMs = timeOfDayMs(digits(text, from + 11, 2), digits(text, from + 14, 2), digits(text, from + 17, 2));
  if (Number.isNaN(dayMs) || Number.isNaN(clockMs)) return Number.NaN;
  let fraction = 0;
  let at = from + 19;
  if (at + 1 < to && (text[at] === 0x2e || text[at] === 0x2c) && isDigit(text[at + 1] ?? 0)) {
    let weight = 100;
    for (at += 1; at < to && isDigit(text[at] ?? 0); at += 1, weight = Math.floor(weight / 10))
      fraction += ((text[at] ?? 0) - 0x30) * weight;
  }
  dateEnd.at = at;
  return dayMs + clockMs + fraction - zoneMs(text, at, to);
}

/** Milliseconds of a zone at `at`, 0 where there is none; moves `dateEnd` behind it. */
export function zoneMs(text: Uint8Array, from: number, to: number): number {
  const at = text[from] === 0x20 && from + 1 < to ? from + 1 : from;
  const sign = text[at];
  if (at < to && (sign === 0x5a || sign === 0x7a)) {
    // A word that begins with Z is no zone.
    if (at + 1 < to && isLetter(text[at + 1] ?? 0)) return 0;
    dateEnd.at = at + 1;
    return 0;
  }
  if (at + 3 > to || (sign !== 0x2b && sign !== 0x2d)) return 0;
  const hours = digits(text, at + 1, 2);
  const colon = text[at + 3] === 0x3a ? 1 : 0;
  const hasMinutes = at + 5 + colon <= to && digits(text, at + 3 + colon, 2) >= 0;
  const minutes = hasMinutes ? digits(text, at + 3 + colon, 2) : 0;
  if (hours < 0 || hours > 23 || minutes > 59) return 0;
  dateEnd.at = hasMinutes ? at + 5 + colon : at + 3;
  return (sign === 0x2b ? 1 : -1) * (hours * 60 + minutes) * 60_000;
}

/** A day of the calendar as milliseconds since the epoch, NaN where there is no such day. Months from 1. */
export function dateMs(year: number, month: number, day: number): number {
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > 31) return Number.NaN;
  // Days from civil (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", public domain).
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const ofEra = y - era * 400;
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const days = era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468;
  return day <= lengthOf(year, month) ? days * DAY_MS : Number.NaN;
}

function lengthOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** A time of the day in milliseconds, NaN where there is none; 60 is a leap second and counts as 59. */
export function timeOfDayMs(hours: number, minutes: number, seconds: number): number {
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || seconds < 0 || seconds > 60) return Number.NaN;
  return ((hours * 60 + minutes) * 60 + Math.min(seconds, 59)) * 1000;
}

/** `count` decimal digits as a number, -1 when one of them is none. */
export function digits(text: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i += 1) {
    const digit = (text[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function hasMarks(text: Uint8Array, from: number): boolean {
  const between = text[from + 10];
  if (text[from + 4] !== 0x2d || text[from + 7] !== 0x2d) return false;
  if (between !== 0x54 && between !== 0x74 && between !== 0x20) return false;
  return text[from + 13] === 0x3a && text[from + 16] === 0x3a;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isLetter(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}
