/**
 * The ledger of a forwarder as `logtender verify` needs it, and where the records of a source have to begin by its file.
 *
 * Invariants: memory does not grow with the number of records; a file is taken for a source only where device and inode say so. May
 * import: everything but test.
 */
import { closeSync, openSync } from 'node:fs';
import { Reader } from '../config/fields.ts';
import type { Problem } from '../config/fields.ts';
import { problemText } from '../config/fields.ts';
import type { FileGlob } from '../config/forwarder-config.ts';
import { OperationalError } from '../core/errors.ts';
import { LINE_BYTES_MAX, READ_BYTES } from '../core/limits.ts';
import { utf8MarkEnd } from '../pipeline/byte-order-mark.ts';
import { lineCut } from '../pipeline/line-cut.ts';
import { holeEnd } from '../pipeline/nul-hole.ts';
import { FolderScanner } from '../source/directory-scan.ts';
import { readAt, TAIL_BYTES_MAX } from '../source/identity.ts';

/** What a ledger says of one source in one sink. */
export interface LedgerSource {
  readonly id: string;
  readonly container: string;
  readonly path: string;
  /** `{file}` of templates, as SourceInfo has it. */
  readonly file: string;
  readonly device: string;
  readonly inode: string;
  /** Everything before this offset is settled. */
  readonly ackedTo: number;
  readonly deliveredLines: number;
  readonly deliveredBytes: number;
  /** Lines that will never arrive, whatever the reason; a replay may bring them all the same. */
  readonly droppedLines: number;
  readonly droppedBytes: number;
  readonly duplicatesMax: number;
  /** False for stdio, whose lines may be parts of one. */
  readonly linesAreRecords: boolean;
}

export interface Ledger {
  readonly uid: string;
  readonly linesAreRecords: boolean;
  readonly sources: readonly LedgerSource[];
  /** Delivered lines of sources that the ledger does not list any more, and how many of them may be there twice. */
  readonly unlistedLines: number;
  readonly unlistedDuplicatesMax: number;
}

const COUNT_MAX = Number.MAX_SAFE_INTEGER;

/**
 * @param raw what the ledger page or `ledger.json` holds
 * @throws OperationalError USAGE for what is no ledger, and for a sink that it does not know
 */
export function readLedger(raw: unknown, sink: string): Ledger {
  const problems: Problem[] = [];
  const top = new Reader(raw, '', problems);
  const sinks = top.raw('sinks');
  const list: readonly unknown[] = Array.isArray(sinks) ? sinks : [];
  const readers = list.map((one, i) => new Reader(one, `sinks[${i}]`, problems));
  const own = readers.find((reader) => reader.text('sink', '') === sink);
  if (own === undefined) {
    throw new OperationalError('USAGE', `read ledger: expected the sink ${sink}, got ${list.length} others`, {
      hint: 'the ledger is the page /ledger of a forwarder, or ledger.json in its state folder',
    });
  }
  const sources = own.raw('sources');
  const listed = (Array.isArray(sources) ? (sources as readonly unknown[]) : []).map((one, i) =>
    readSource(new Reader(one, `sources[${i}]`, problems)),
  );
  const delivered = own.section('delivered').integer('lines', { min: 0, max: COUNT_MAX }, 0);
  const duplicatesMax = own.integer('duplicatesMax', { min: 0, max: COUNT_MAX }, 0);
  const ledger = {
    uid: top.text('uid', ''),
    linesAreRecords: top.flag('lines_are_records', false),
    sources: listed,
    unlistedLines: Math.max(0, delivered - listed.reduce((sum, { deliveredLines }) => sum + deliveredLines, 0)),
    unlistedDuplicatesMax: Math.max(0, duplicatesMax - listed.reduce((sum, one) => sum + one.duplicatesMax, 0)),
  };
  if (problems.length > 0)
    throw new OperationalError('USAGE', `read ledger: ${problems.slice(0, 5).map(problemText).join('; ')}`);
  return ledger;
}

function readSource(reader: Reader): LedgerSource {
  const count = (section: Reader, key: string): number => section.integer(key, { min: 0, max: COUNT_MAX }, 0);
  const delivered = reader.section('delivered');
  const dropped = reader.raw('dropped');
  const drops = Object.values(typeof dropped === 'object' && dropped !== null ? dropped : {}).map(
    (one: unknown) => new Reader(one, 'dropped', reader.problems),
  );
  const path = reader.text('path', '');
  const sum = (key: string): number => drops.reduce((total, drop) => total + count(drop, key), 0);
  return {
    id: reader.text('id', ''),
    container: reader.text('container', ''),
    path,
    file: reader.text('file', path.replace(/^\//, '')),
    device: reader.text('device', ''),
    inode: reader.text('inode', ''),
    ackedTo: count(reader, 'acked_to'),
    deliveredLines: count(delivered, 'lines'),
    deliveredBytes: count(delivered, 'bytes'),
    droppedLines: sum('lines'),
    droppedBytes: sum('bytes'),
    duplicatesMax: count(reader, 'duplicatesMax'),
    linesAreRecords: reader.flag('lines_are_records', true),
  };
}

/** Where the files of the sources are now, by source id; sources whose file is gone are absent. */
export function findFiles(globs: readonly FileGlob[], sources: readonly LedgerSource[]): ReadonlyMap<string, string> {
  const names = new Map(
    new FolderScanner(globs).scan().sightings.map(({ identity, name }) => [`${identity.dev}:${identity.ino}`, name]),
  );
  return new Map(
    sources.flatMap(({ id, device, inode }) => {
      const name = names.get(`${device}:${inode}`);
      return name === undefined ? [] : [[id, name] as const];
    }),
  );
}

/**
 * Where each record of a file begins, in order, up to `to`: by the very rule that cut them. Reads the file as it goes. A byte order mark
 * and a hole at its beginning are no records.
 *
 * @param path a file whose lines are records
 */
export function* recordOffsets(path: string, to: number): Generator<number> {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES + LINE_BYTES_MAX);
    for (let at = textBegin(fd, buffer, to); at < to;) {
      const got = readAt(fd, buffer, Math.min(buffer.length, to - at), at);
      const isLast = at + got >= to;
      let from = 0;
      while (from < got) {
        const newline = buffer.subarray(from, got).indexOf(10);
        const end = newline >= 0 && newline <= LINE_BYTES_MAX ? from + newline + 1 : lineCut(buffer, from, got, isLast);
        if (end === from) break;
        yield at + from;
        from = end;
      }
      if (from === 0) return;
      at += from;
    }
  } finally {
    closeSync(fd);
  }
}

/** Where the first record before `to` begins: behind a mark, or a hole, which may be longer than a read. */
export function textBegin(fd: number, buffer: Buffer, to: number): number {
  const got = readAt(fd, buffer, Math.min(READ_BYTES, to), 0);
  const markEnd = utf8MarkEnd(buffer, 0, got);
  if (markEnd > 0) return markEnd;
  let at = holeEnd(buffer, 0, got, buffer.subarray(0, 0));
  while (at > 0 && at < to) {
    const lead = Math.min(TAIL_BYTES_MAX, at);
    const end = readAt(fd, buffer, Math.min(READ_BYTES, to - at + lead), at - lead);
    const next = at - lead + holeEnd(buffer, lead, end, buffer.subarray(0, lead));
    if (next === at) break;
    at = next;
  }
  return at;
}
