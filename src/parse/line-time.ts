/**
 * The time that a line of text says, in the forms that servers print; read from bytes.
 *
 *   RFC 3339, ISO 8601, comma millis | 2026-11-28T12:34:56.789Z   2026-11-28 12:34:56,789   at the beginning, also after `[`
 *   slashes (Go, nginx errors)       | 2026/11/28 12:34:56
 *   klog                             | I1128 12:34:56.789012     no year
 *   syslog, with or without <PRI>    | <34>Nov 28 12:34:56       no year; <34>1 2026-11-28T… (RFC 5424)
 *   CLF (access logs)                | … [28/Nov/2026:12:34:56 +0000] within the first CLF_BYTES
 *   epoch                            | 1764333296, with a fraction, in millis, micros, nanos (timestamp.ts); at the beginning, then a blank
 *
 * Zone rule: a time without a zone is UTC. Year rule: a time without a year is in the year that brings it nearest to the time of reading.
 * A time that does not read is left in the text and the record has the time of its reading. Nothing is allocated.
 * May import: core, parse.
 */
import { dateEnd, dateMs, digits, isoPrefixMs, timeOfDayMs, zoneMs } from './iso-time.ts';
import { epochMs } from '../kernel/timestamp.ts';

/** Address, identity and user stand before the time of an access log. */
const CLF_BYTES = 256;
const MONTHS = Buffer.from('JanFebMarAprMayJunJulAugSepOctNovDec');
const OPEN = 0x5b;
const SPACE = 0x20;
const YEAR_MS = 365.25 * 86_400_000;

/** The time of the line `text[from, to)` in milliseconds since the epoch, or NaN. `nowMs` is the time of its reading. */
export function lineTimeMs(text: Uint8Array, from: number, to: number, nowMs: number): number {
  let at = from;
  if (text[at] === 0x3c) at = behindPriority(text, at, to);
  const first = text[at] ?? 0;
  const begins = first === OPEN ? at + 1 : at;
  const byte = text[begins] ?? 0;
  let timeMs = Number.NaN;
  if (byte >= 0x30 && byte <= 0x39) timeMs = numberedMs(text, begins, to);
  else if (byte === 0x49 || byte === 0x57 || byte === 0x45 || byte === 0x46) timeMs = klogMs(text, begins, to, nowMs);
  if (Number.isNaN(timeMs) && byte >= 0x41 && byte <= 0x53) timeMs = syslogMs(text, begins, to, nowMs);
  return Number.isNaN(timeMs) ? clfMs(text, from, to) : timeMs;
}

/** Behind `<34>`, and behind the version of RFC 5424. */
function behindPriority(text: Uint8Array, from: number, to: number): number {
  let at = from + 1;
  while (at < to && at < from + 4 && digits(text, at, 1) >= 0) at += 1;
  if (text[at] !== 0x3e) return from;
  return text[at + 1] === 0x31 && text[at + 2] === SPACE ? at + 3 : at + 1;
}

function numberedMs(text: Uint8Array, from: number, to: number): number {
  const iso = isoPrefixMs(text, from, to);
  if (!Number.isNaN(iso)) return iso;
  if (text[from + 4] === 0x2f && text[from + 7] === 0x2f && text[from + 10] === SPACE)
    return (
      dateMs(digits(text, from, 4), digits(text, from + 5, 2), digits(text, from + 8, 2)) + clockMs(text, from + 11, to)
    );
  let end = from;
  while (end < to && end - from < 24 && (digits(text, end, 1) >= 0 || text[end] === 0x2e)) end += 1;
  const isAlone = end === to || text[end] === SPACE || text[end] === 0x5d;
  return isAlone && end - from >= 10 ? (epochMs(text, from, end) ?? Number.NaN) : Number.NaN;
}

/** `I1128 12:34:56.789012`. */
function klogMs(text: Uint8Array, from: number, to: number, nowMs: number): number {
  if (to - from < 14 || text[from + 5] !== SPACE) return Number.NaN;
  return inNearestYear(digits(text, from + 1, 2), digits(text, from + 3, 2), clockMs(text, from + 6, to), nowMs);
}

/** `Nov 28 12:34:56`, the day padded with a blank or a zero. */
function syslogMs(text: Uint8Array, from: number, to: number, nowMs: number): number {
  const month = monthAt(text, from);
  if (month === 0 || to - from < 15 || text[from + 3] !== SPACE || text[from + 6] !== SPACE) return Number.NaN;
  const day = text[from + 4] === SPACE ? digits(text, from + 5, 1) : digits(text, from + 4, 2);
  return inNearestYear(month, day, clockMs(text, from + 7, to), nowMs);
}

/** `[28/Nov/2026:12:34:56 +0000]`. */
function clfMs(text: Uint8Array, from: number, to: number): number {
  const last = Math.min(to, from + CLF_BYTES) - 21;
  for (let at = from; at <= last; at += 1) {
    if (text[at] !== OPEN || text[at + 3] !== 0x2f || text[at + 7] !== 0x2f || text[at + 12] !== 0x3a) continue;
    const dayMs = dateMs(digits(text, at + 8, 4), monthAt(text, at + 4), digits(text, at + 1, 2));
    dateEnd.at = at + 21;
    return dayMs + clockMs(text, at + 13, to) - zoneMs(text, at + 21, to);
  }
  return Number.NaN;
}

/** `12:34:56` with an optional fraction. */
function clockMs(text: Uint8Array, from: number, to: number): number {
  if (from + 8 > to || text[from + 2] !== 0x3a || text[from + 5] !== 0x3a) return Number.NaN;
  const timeMs = timeOfDayMs(digits(text, from, 2), digits(text, from + 3, 2), digits(text, from + 6, 2));
  const hasFraction = from + 12 <= to && (text[from + 8] === 0x2e || text[from + 8] === 0x2c);
  const fraction = hasFraction ? digits(text, from + 9, 3) : 0;
  return timeMs + Math.max(0, fraction);
}

function inNearestYear(month: number, day: number, clock: number, nowMs: number): number {
  const year = yearOf(nowMs);
  let best = Number.NaN;
  for (let candidate = year - 1; candidate <= year + 1; candidate += 1) {
    const timeMs = dateMs(candidate, month, day) + clock;
    if (Number.isNaN(best) || Math.abs(timeMs - nowMs) < Math.abs(best - nowMs)) best = timeMs;
  }
  return Math.abs(best - nowMs) <= YEAR_MS ? best : Number.NaN;
}

/** The year that was asked for last: lines are read by the thousand at one time. */
const knownYear = { ofMs: Number.NaN, year: 0 };

function yearOf(timeMs: number): number {
  if (knownYear.ofMs !== timeMs) {
    knownYear.ofMs = timeMs;
    knownYear.year = new Date(timeMs).getUTCFullYear();
  }
  return knownYear.year;
}

/** 1 to 12, 0 for no month. */
function monthAt(text: Uint8Array, at: number): number {
  for (let month = 0; month < 12; month += 1) {
    const name = month * 3;
    if (text[at] === MONTHS[name] && text[at + 1] === MONTHS[name + 1] && text[at + 2] === MONTHS[name + 2])
      return month + 1;
  }
  return 0;
}
