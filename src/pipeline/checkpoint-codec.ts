/**
 * The checkpoint as bytes: one JSON entry a line, each behind the CRC-32 of its bytes. Pure.
 *
 * Entries are absolute ("acknowledged up to N"), never steps, so that a line which is lost costs only what it said. A line without a
 * newline at the very end is a torn write and is cut without alarm: nobody relied on it, because whoever relies on a line waits for the
 * fsync after it. Any other bad line is damage, skipped and reported.
 * May import: core, node:, pipeline.
 */
import { crc32 } from 'node:zlib';

import { KiB } from '../core/limits.ts';
import { DROP_REASONS } from './ledger.ts';
import type { AccountState, Count } from './ledger.ts';

export const CHECKPOINT_VERSION = 1;

/** What is known of one source. Birth in microseconds since the epoch. */
export interface SourceEntry {
  readonly t: 'source';
  readonly id: string;
  readonly container: string;
  readonly path: string;
  readonly dev: string;
  readonly ino: string;
  readonly birthUs: number;
  readonly order: number;
  readonly headLength: number;
  readonly headHash: string;
  readonly copy: boolean;
  readonly orphan: boolean;
  /** Of an orphan: its file was truncated by then, microseconds since the epoch; absent where that is not known. */
  readonly truncatedUs?: number;
  /** What was sent under its id is not known for sure: it goes on under a new one as soon as it is found. */
  readonly doubtful?: true;
}

/** A request with a name that may have reached the destination: the same range goes first, under the same name. */
export interface PromisedObject {
  /** Source bytes [from, to). */
  readonly from: number;
  readonly to: number;
  readonly key: string;
  /** When its first bytes were read, in milliseconds: they get the same time again. */
  readonly timeMs: number;
}

/** Source bytes [from, to). */
export type Part = readonly [from: number, to: number];

/** What completes the line that a file ends with, in the file that followed it (see torn-line.ts). */
export interface Rest {
  /** The source that has it. */
  readonly id: string;
  /** Where the torn file ends. */
  readonly at: number;
  /** Where it stands, ascending. */
  readonly parts: readonly Part[];
  /** Hash of these bytes, one after another. */
  readonly hash: string;
}

/** Where one sink stands in one source. Offsets in bytes. */
export interface LaneEntry {
  readonly t: 'lane';
  readonly sink: string;
  readonly id: string;
  readonly acked: number;
  /** Hash of the bytes before `acked`. */
  readonly tail: string;
  /** Nothing at or beyond this offset was ever sent. */
  readonly reserved: number;
  /** How far requests reached beyond `acked`, and the hash of the bytes before that: what was sent must still stand there. */
  readonly sent: number;
  readonly sentTail: string;
  /** When the bytes of the last request were read, milliseconds since the epoch: a resend carries the same time. */
  readonly sentMs?: number;
  /** What lies before this offset may be stored under another id; absent where nothing does. */
  readonly mayRepeatTo?: number;
  /** Offsets beyond `acked`, within what was sent, where a record was ended by force. */
  readonly cuts: readonly number[];
  /** Named requests beyond `acked`, by offset; absent where the sink has none. */
  readonly objects?: readonly PromisedObject[];
  /** The last record goes on in another source; absent where it does not. */
  readonly rest?: Rest;
  /** What lies beyond `acked` and belongs to a record of the source before; absent where nothing does. */
  readonly skips?: readonly Part[];
  readonly account: AccountState;
}

/** A source is done with: its counts went into the sinks' totals, which are given as they are after that. */
export interface GoneEntry {
  readonly t: 'gone';
  readonly id: string;
  readonly retired: Readonly<Record<string, AccountState>>;
}

export type Entry = SourceEntry | LaneEntry | GoneEntry;

/** First line of a snapshot or log. */
export interface HeaderEntry {
  readonly t: 'logtender-checkpoint' | 'logtender-checkpoint-log';
  readonly version: number;
  /** Snapshot and log belong together when they carry the same. */
  readonly seq: number;
  /** Which boot of the machine wrote the snapshot; absent where that cannot be had. */
  readonly boot?: string;
  /** The rule by which lines become records; absent where each line is one. */
  readonly grouping?: string;
}

/** Last line of a snapshot: how many entries there are. */
export interface EndEntry {
  readonly t: 'end';
  readonly entries: number;
}

export function encodeLine(entry: Entry | HeaderEntry | EndEntry): string {
  const json = JSON.stringify(entry);
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
}

const PIECE_BYTES = 16 * KiB;

/** Lines one after another. Written straight into the buffer: thousands of entries leave no strings behind that the heap keeps for a while. */
export function encodeLines(entries: Iterable<Entry | HeaderEntry | EndEntry>): Buffer {
  let out = Buffer.allocUnsafeSlow(PIECE_BYTES);
  let at = 0;
  for (const entry of entries) {
    const line = encodeLine(entry);
    const bytes = Buffer.byteLength(line);
    if (at + bytes > out.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(out.length * 2, at + bytes));
      out.copy(larger, 0, 0, at);
      out = larger;
    }
    at += out.write(line, at);
  }
  return out.subarray(0, at);
}

export interface Decoded {
  readonly header: HeaderEntry | undefined;
  readonly entries: readonly Entry[];
  readonly end: EndEntry | undefined;
  /** Complete lines that are not what they should be. */
  readonly damagedLines: number;
  /** Bytes after the last newline. */
  readonly tornBytes: number;
}

/** Reads whatever can be read. Never throws: a checkpoint may hold anything. */
export function decodeLines(bytes: Buffer): Decoded {
  const entries: Entry[] = [];
  let header: HeaderEntry | undefined;
  let end: EndEntry | undefined;
  let damagedLines = 0;
  let at = 0;
  for (let newline = bytes.indexOf(10, at); newline >= 0; newline = bytes.indexOf(10, at)) {
    const parsed = decodeLine(bytes.subarray(at, newline));
    const isFirst = at === 0;
    at = newline + 1;
    if (parsed === undefined || (isFirst && !isHeader(parsed))) damagedLines += 1;
    else if (isHeader(parsed)) header = parsed;
    else if (isEnd(parsed)) end = parsed;
    else if (isSource(parsed) || isLane(parsed) || isGone(parsed)) entries.push(parsed);
    else damagedLines += 1;
  }
  return { header, entries, end, damagedLines, tornBytes: bytes.length - at };
}

type Fields = Readonly<Record<string, unknown>>;

function decodeLine(line: Buffer): Fields | undefined {
  const json = line.subarray(9);
  if (line.length < 10 || line.toString('latin1', 0, 9) !== `${crc32(json).toString(16).padStart(8, '0')} `)
    return undefined;
  try {
    const value: unknown = JSON.parse(json.toString('utf8'));
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function areTexts(fields: Fields, keys: readonly string[]): boolean {
  return keys.every((key) => typeof fields[key] === 'string');
}

function areCounts(fields: Fields, keys: readonly string[]): boolean {
  return keys.every((key) => Number.isSafeInteger(fields[key]) && Number(fields[key]) >= 0);
}

function isHeader(fields: Fields): fields is Fields & HeaderEntry {
  return (
    (fields['t'] === 'logtender-checkpoint' || fields['t'] === 'logtender-checkpoint-log') &&
    areCounts(fields, ['version', 'seq']) &&
    (fields['boot'] === undefined || typeof fields['boot'] === 'string') &&
    (fields['grouping'] === undefined || typeof fields['grouping'] === 'string')
  );
}

function isEnd(fields: Fields): fields is Fields & EndEntry {
  return fields['t'] === 'end' && areCounts(fields, ['entries']);
}

function isSource(fields: Fields): fields is Fields & SourceEntry {
  return (
    fields['t'] === 'source' &&
    areTexts(fields, ['id', 'container', 'path', 'dev', 'ino', 'headHash']) &&
    areCounts(fields, ['birthUs', 'headLength']) &&
    Number.isFinite(fields['order']) &&
    typeof fields['copy'] === 'boolean' &&
    typeof fields['orphan'] === 'boolean' &&
    (fields['truncatedUs'] === undefined || areCounts(fields, ['truncatedUs'])) &&
    (fields['doubtful'] === undefined || fields['doubtful'] === true)
  );
}

function isLane(fields: Fields): fields is Fields & LaneEntry {
  return (
    fields['t'] === 'lane' &&
    areTexts(fields, ['sink', 'id', 'tail', 'sentTail']) &&
    areCounts(fields, ['acked', 'reserved', 'sent']) &&
    (fields['mayRepeatTo'] === undefined || areCounts(fields, ['mayRepeatTo'])) &&
    (fields['sentMs'] === undefined || areCounts(fields, ['sentMs'])) &&
    Array.isArray(fields['cuts']) &&
    fields['cuts'].every(Number.isSafeInteger) &&
    (fields['objects'] === undefined || (Array.isArray(fields['objects']) && fields['objects'].every(isObject))) &&
    (fields['rest'] === undefined || isRest(fields['rest'])) &&
    (fields['skips'] === undefined || areParts(fields['skips'])) &&
    isAccount(fields['account'])
  );
}

function isRest(value: unknown): value is Rest {
  return isFields(value) && areTexts(value, ['id', 'hash']) && areCounts(value, ['at']) && areParts(value['parts']);
}

function areParts(value: unknown): value is readonly Part[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((part) => Array.isArray(part) && part.length === 2 && part.every(Number.isSafeInteger))
  );
}

function isObject(value: unknown): value is PromisedObject {
  return isFields(value) && areTexts(value, ['key']) && areCounts(value, ['from', 'to', 'timeMs']);
}

function isGone(fields: Fields): fields is Fields & GoneEntry {
  const retired = fields['retired'];
  return (
    fields['t'] === 'gone' && areTexts(fields, ['id']) && isFields(retired) && Object.values(retired).every(isAccount)
  );
}

function isAccount(value: unknown): value is AccountState {
  if (!isFields(value) || !areCounts(value, ['duplicates']) || !isCount(value['delivered'])) return false;
  if (value['duplicatesMax'] !== undefined && !areCounts(value, ['duplicatesMax'])) return false;
  const dropped = value['dropped'];
  return isFields(dropped) && Object.entries(dropped).every(([reason, count]) => isReason(reason) && isCount(count));
}

function isReason(text: string): boolean {
  return DROP_REASONS.some((reason) => reason === text);
}

function isCount(value: unknown): value is Count {
  return isFields(value) && areCounts(value, ['lines', 'bytes']);
}
