/**
 * The log of one container on our own disk: what the API gave and the sinks have not taken yet, in the runtimes' own line format.
 *
 * `<time> - F:<crc> <text>`, the CRC-32 in hexadecimal over time, tag and text: to the pipeline a file of a container runtime like any
 * other, to us a journal that says of every line whether it is whole. `stdio.log` is written to; a full one is renamed to
 * `stdio.log.<number>` and deleted when everybody has it. Invariants: bounded; only whole lines are ever appended, in one order; what a
 * kill tore off is cut away before anything is appended, and a long line of which it left the first parts is ended there, so that nothing
 * else is taken for its rest; a full or failing disk costs time, not lines.
 * May import: core, source, node:.
 */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

import { errorText } from '../../core/errors.ts';
import { MiB } from '../../core/limits.ts';
import { readTime } from './timed-line.ts';
import type { Piece, TimedLine } from './timed-line.ts';

/** A renamed segment is waited at for a second before the next one is read (SEAL_QUIET_MS), so a second of the fastest log has to fit. */
const SEGMENT_BYTES = 8 * MiB;
/** Of one container. When the sinks are away longer than this lasts we stop reading, and the file of the node is the queue. */
const SPILL_BYTES_MAX = 32 * MiB;
const LIVE = 'stdio.log';
/** Fourteen digits, as dates of rotated names are: the larger, the younger. */
const FIRST_NUMBER = 20_000_000_000_001;
const ROTATED = /^stdio\.log\.(\d{14})$/;
const LF = 10;
const FULL = 'F';
const PARTIAL = 'P';

export interface SpillOptions {
  readonly folder: string;
  readonly segmentBytes?: number;
  readonly bytesMax?: number;
}

export interface Recovered {
  /** Lines of the two youngest segments that are there to their end, oldest first. */
  readonly lines: readonly TimedLine[];
  /** Lines that are not what was written. */
  readonly damaged: number;
  /** Bytes of a torn last line that were cut away. */
  readonly tornBytes: number;
}

export class SpillLog {
  readonly #folder: string;
  readonly #segmentBytes: number;
  readonly #bytesMax: number;
  #fd: number | undefined;
  #size = 0;
  #next = FIRST_NUMBER;
  #pending: Buffer[] = [];
  /** Why the last `flush` did not do all of its work. */
  problem: string | undefined;

  constructor(options: SpillOptions) {
    this.#folder = options.folder;
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    this.#bytesMax = options.bytesMax ?? SPILL_BYTES_MAX;
  }

  /** Opens it, and reads back what a resume needs. Throws the system's error. */
  open(): Recovered {
    mkdirSync(this.#folder, { recursive: true });
    const rotated = this.#rotated();
    const youngest = rotated.at(-1);
    if (youngest !== undefined) this.#next = youngest + 1;
    const lines = new Lines();
    let damaged = 0;
    if (youngest !== undefined) damaged += readLines(join(this.#folder, `${LIVE}.${youngest}`), lines).damaged;
    const live = join(this.#folder, LIVE);
    this.#fd = openSync(live, 'a+');
    const found = readLines(live, lines);
    damaged += found.damaged;
    if (found.tornBytes > 0) ftruncateSync(this.#fd, found.size - found.tornBytes);
    this.#size = found.size - found.tornBytes;
    const { openTime } = lines;
    if (openTime !== undefined) {
      // Its rest is not among what a resume knows, so that the whole line comes again behind this.
      this.append({ time: openTime, text: NOTHING, isPartial: false });
      this.flush();
    }
    return { lines: lines.ended, damaged, tornBytes: found.tornBytes };
  }

  /** Takes a piece; it is written with the next `flush`. */
  append({ time, text, isPartial }: Omit<Piece, 'line'>): void {
    const tag = isPartial ? PARTIAL : FULL;
    const crc = checksum(time, tag, text).toString(16).padStart(8, '0');
    this.#pending.push(Buffer.from(time), Buffer.from(` - ${tag}:${crc} `), Buffer.from(text), NEWLINE);
  }

  /** Writes what was appended. False when the disk does not take it now (`problem` says why): the rest is kept, ask again. */
  flush(): boolean {
    this.problem = undefined;
    if (this.#fd === undefined || this.#pending.length === 0) return true;
    let bytes = this.#pending.length === 1 ? (this.#pending[0] ?? NEWLINE) : Buffer.concat(this.#pending);
    try {
      while (bytes.length > 0) {
        const written = writeSync(this.#fd, bytes);
        this.#size += written;
        bytes = bytes.subarray(written);
      }
    } catch (error) {
      this.problem = errorText(error);
    }
    this.#pending = bytes.length === 0 ? [] : [bytes];
    if (bytes.length > 0) return false;
    if (this.#size < this.#segmentBytes) return true;
    try {
      this.#rotate();
    } catch (error) {
      // All is written; the segment is put aside with the next flush.
      this.problem = errorText(error);
    }
    return true;
  }

  /** Is there no room until somebody has taken more of it? */
  get isFull(): boolean {
    if (this.#size < this.#segmentBytes / 2 && this.#rotated().length < 2) return false;
    const rotated = this.#rotated().reduce((sum, number) => sum + sizeOf(join(this.#folder, `${LIVE}.${number}`)), 0);
    return rotated + this.#size >= this.#bytesMax;
  }

  /** May this spent file be deleted? Not the one written to, and not the youngest full one, which a resume reads back. */
  isDispensable(name: string): boolean {
    const rotated = this.#rotated();
    return rotated.slice(0, -1).some((number) => join(this.#folder, `${LIVE}.${number}`) === name);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #rotate(): void {
    if (this.#fd === undefined) return;
    const live = join(this.#folder, LIVE);
    const aside = `${live}.${this.#next}`;
    renameSync(live, aside);
    let fd: number;
    try {
      fd = openSync(live, 'a+');
    } catch (error) {
      renameSync(aside, live);
      throw error;
    }
    closeSync(this.#fd);
    this.#fd = fd;
    this.#next += 1;
    this.#size = 0;
  }

  #rotated(): readonly number[] {
    return readdirSync(this.#folder)
      .flatMap((name) => {
        const match = ROTATED.exec(name);
        return match === null ? [] : [Number(match[1])];
      })
      .toSorted((a, b) => a - b);
  }
}

const NEWLINE = Buffer.from('\n');
const BLANK = Buffer.from(' ');
const NOTHING = Buffer.alloc(0);

/** 0 for what somebody deleted meanwhile. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function checksum(time: Uint8Array, tag: string, text: Uint8Array): number {
  return crc32(text, crc32(tag, crc32(time)));
}

/** Lines as their parts come. */
class Lines {
  readonly ended: TimedLine[] = [];
  /** Of the line whose parts have no end yet. */
  openTime: Buffer | undefined;
  #open: TimedLine | undefined;

  /**
   * A line is known by its first part, and from its last one on. One that was cut off has an empty last part: it is not known, so that a
   * resume brings it whole. (One whose length says the same may come twice.)
   */
  take({ time, timed, isPartial, isEmpty }: Part): void {
    const isFirst = this.openTime === undefined;
    if (isFirst) this.#open = timed;
    this.openTime = isPartial ? time : undefined;
    if (!isPartial && (isFirst || !isEmpty) && this.#open !== undefined) this.ended.push(this.#open);
  }
}

/** Adds a segment to `lines`. */
function readLines(path: string, lines: Lines): { damaged: number; tornBytes: number; size: number } {
  const bytes = readFileSync(path);
  let damaged = 0;
  let at = 0;
  let good = 0;
  for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, at)) {
    const line = readLine(bytes.subarray(at, end));
    at = end + 1;
    if (line === undefined) damaged += 1;
    else {
      lines.take(line);
      good = at;
    }
  }
  // A torn end, and what is damaged behind the last whole line (pages that a power cut left empty), never was sent as it should be.
  const tail = bytes.subarray(good);
  const isTorn = tail.length > 0;
  const damagedInTail = isTorn ? countLines(tail) : 0;
  return { damaged: damaged - damagedInTail, tornBytes: bytes.length - good, size: bytes.length };
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (const byte of bytes) if (byte === LF) count += 1;
  return count;
}

const LINE = /^(\S+) - ([FP]):([0-9a-f]{8}) /;

/** One line of the spill log. */
interface Part {
  readonly time: Buffer;
  readonly timed: TimedLine | undefined;
  readonly isPartial: boolean;
  readonly isEmpty: boolean;
}

function readLine(bytes: Buffer): Part | undefined {
  const match = LINE.exec(bytes.toString('latin1', 0, Math.min(bytes.length, 96)));
  if (match === null) return undefined;
  const [header, time = '', tag = FULL, crc = ''] = match;
  const text = bytes.subarray(header.length);
  const stamp = Buffer.from(time);
  if (checksum(stamp, tag, text) !== Number.parseInt(crc, 16)) return undefined;
  const timed = readTime(Buffer.concat([stamp, BLANK, text]));
  return { time: stamp, timed, isPartial: tag === PARTIAL, isEmpty: text.length === 0 };
}
