/**
 * The level of a record, by the words that loggers use; read from bytes.
 *
 *   log.level | words, in any case where the place says that it is a level          | pino, bunyan | klog | syslog severity
 *   trace     | trace verbose finest                                               | 10           |      |
 *   debug     | debug dbg fine finer                                               | 20           |      | 7
 *   info      | info information notice informational                              | 30           | I    | 5 6
 *   warn      | warn warning                                                       | 40           | W    | 4
 *   error     | error err severe                                                   | 50           | E    | 3
 *   fatal     | fatal critical crit alert emerg emergency panic                    | 60           | F    | 0 1 2
 *
 * In a text the first of them within TEXT_BYTES counts that is in capitals, or stands in brackets, before a colon, or behind `=`, `="`
 * or `":"`. In JSON and logfmt it is the member `level`, `log.level`, `severity`, `lvl` or `levelname`. Nothing is allocated per line.
 * May import: config, parse.
 */
import { LEVELS } from '../config/record-rules.ts';
import { digits } from './iso-time.ts';
import type { JsonLineScanner } from '../kernel/json-line.ts';

/** Nobody writes the level behind this. */
const TEXT_BYTES = 256;
export const NO_LEVEL = -1;
export const ERROR_LEVEL: number = LEVELS.indexOf('error');

const WORDS: Readonly<Record<string, (typeof LEVELS)[number]>> = {
  trace: 'trace',
  verbose: 'trace',
  finest: 'trace',
  debug: 'debug',
  dbg: 'debug',
  fine: 'debug',
  finer: 'debug',
  info: 'info',
  information: 'info',
  notice: 'info',
  informational: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  err: 'error',
  severe: 'error',
  fatal: 'fatal',
  critical: 'fatal',
  crit: 'fatal',
  alert: 'fatal',
  emerg: 'fatal',
  emergency: 'fatal',
  panic: 'fatal',
};
const WORD_BYTES_MAX = 13;
const BY_HASH = new Map(
  Object.entries(WORDS).map(([word, level]) => [
    hashOf(Buffer.from(word), 0, word.length),
    { word: Buffer.from(word), level: LEVELS.indexOf(level) },
  ]),
);
const MEMBERS: readonly Uint8Array[] = ['level', 'log.level', 'severity', 'lvl', 'levelname'].map((name) =>
  Buffer.from(name),
);
const SEVERITIES: readonly number[] = [5, 5, 5, 4, 3, 2, 2, 1];
const KLOG: Readonly<Record<number, number>> = { 0x49: 2, 0x57: 3, 0x45: 4, 0x46: 5 };

/** Place in LEVELS of the level that the text `text[from, to)` says, or NO_LEVEL. */
export function textLevel(text: Uint8Array, from: number, to: number): number {
  const known = headLevel(text, from, to);
  if (known !== NO_LEVEL) return known;
  const end = Math.min(to, from + TEXT_BYTES);
  for (let at = from; at < end; at += 1) {
    if (!isLetter(text[at] ?? 0)) continue;
    let next = at + 1;
    while (next < end && isWord(text[next] ?? 0)) next += 1;
    const level = next - at <= WORD_BYTES_MAX ? wordLevel(text, at, next) : NO_LEVEL;
    if (level !== NO_LEVEL && isMarked(text, from, at, next)) return level;
    at = next;
  }
  return NO_LEVEL;
}

/** The level that a member of a JSON line says. The scanner has just taken the line. */
export function jsonLevel(scanner: JsonLineScanner, input: Uint8Array): number {
  for (let i = 0; i < scanner.members; i += 1) {
    const from = scanner.nameFrom[i] ?? 0;
    const to = scanner.nameTo[i] ?? 0;
    if (isLevelName(input, from, to)) return valueLevel(input, scanner.valueFrom[i] ?? 0, scanner.valueTo[i] ?? 0);
  }
  return NO_LEVEL;
}

function valueLevel(input: Uint8Array, from: number, to: number): number {
  if (input[from] === 0x22) return wordLevel(input, from + 1, to - 1);
  const number = to - from === 2 ? digits(input, from, 2) : -1;
  return number >= 10 && number <= 60 && number % 10 === 0 ? number / 10 - 1 : NO_LEVEL;
}

/** The level that a word says, in any case. */
export function wordLevel(text: Uint8Array, from: number, to: number): number {
  const known = BY_HASH.get(hashOf(text, from, to));
  if (known === undefined || known.word.length !== to - from) return NO_LEVEL;
  for (let i = 0; i < known.word.length; i += 1) if (((text[from + i] ?? 0) | 0x20) !== known.word[i]) return NO_LEVEL;
  return known.level;
}

/** klog's letter and syslog's priority at the beginning. */
function headLevel(text: Uint8Array, from: number, to: number): number {
  const first = text[from] ?? 0;
  const klog = KLOG[first];
  if (klog !== undefined && to - from > 14 && digits(text, from + 1, 4) >= 0 && text[from + 5] === 0x20) return klog;
  if (first !== 0x3c) return NO_LEVEL;
  let at = from + 1;
  let priority = 0;
  for (; at < to && at < from + 4 && digits(text, at, 1) >= 0; at += 1) priority = priority * 10 + digits(text, at, 1);
  return at > from + 1 && text[at] === 0x3e ? (SEVERITIES[priority % 8] ?? NO_LEVEL) : NO_LEVEL;
}

function isMarked(text: Uint8Array, from: number, at: number, next: number): boolean {
  const after = text[next] ?? 0;
  const before = at > from ? (text[at - 1] ?? 0) : 0;
  if (after === 0x3a || after === 0x5d || after === 0x3e || after === 0x7c) return true;
  if (before === 0x3d || (before === 0x22 && (text[at - 2] === 0x3d || text[at - 2] === 0x3a))) return true;
  for (let i = at; i < next; i += 1) if ((text[i] ?? 0) > 0x5a) return false;
  return true;
}

function hashOf(text: Uint8Array, from: number, to: number): number {
  let hash = 0;
  for (let i = from; i < to; i += 1) hash = (Math.imul(hash, 31) + ((text[i] ?? 0) | 0x20)) | 0;
  return hash;
}

function isLevelName(input: Uint8Array, from: number, to: number): boolean {
  for (const name of MEMBERS) if (isSame(input, from, to, name)) return true;
  return false;
}

function isSame(input: Uint8Array, from: number, to: number, name: Uint8Array): boolean {
  if (to - from !== name.length) return false;
  for (let i = 0; i < name.length; i += 1) if (input[from + i] !== name[i]) return false;
  return true;
}

function isLetter(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}

function isWord(byte: number): boolean {
  return isLetter(byte) || (byte >= 0x30 && byte <= 0x39) || byte === 0x5f;
}
