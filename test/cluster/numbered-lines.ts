/**
 * A load of numbered lines over several files, rotated by renaming while it is written, and the judge of what arrived.
 *
 * May import: src/core.
 */
import { appendFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';

export interface Load {
  readonly files: number;
  readonly linesPerFile: number;
  /** Rotations of each file while it is written. */
  readonly rotations: number;
}

/** Lines that one file gets at a time; between two of them the forwarder may read, rotate or die. */
const CHUNK_LINES = 200;
const CHUNK_EVERY_MS = 60;
const PADDING = 'x'.repeat(80);

export function lineOf(file: number, number: number): string {
  return `file-${file} line ${String(number).padStart(8, '0')} ${PADDING}`;
}

/** Writes the whole load into `folder`, as loggers do: append, and at a rotation `a.log.1` to `a.log.2`, `a.log` to `a.log.1`. */
export async function writeLoad(folder: string, load: Load): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const rotateEvery = Math.ceil(load.linesPerFile / (load.rotations + 1));
  for (let from = 0; from < load.linesPerFile; from += CHUNK_LINES) {
    for (let file = 0; file < load.files; file += 1) {
      const path = join(folder, `app-${file}.log`);
      const to = Math.min(from + CHUNK_LINES, load.linesPerFile);
      const boundary = Math.floor(from / rotateEvery) !== Math.floor(to / rotateEvery) && to < load.linesPerFile;
      let text = '';
      for (let number = from; number < to; number += 1) text += `${lineOf(file, number)}\n`;
      appendFileSync(path, text);
      if (boundary) rotate(path, load.rotations);
    }
    await systemClock.sleep(CHUNK_EVERY_MS);
  }
}

function rotate(path: string, keep: number): void {
  for (let number = keep - 1; number >= 1; number -= 1) {
    if (existsSync(`${path}.${number}`)) renameSync(`${path}.${number}`, `${path}.${number + 1}`);
  }
  renameSync(path, `${path}.1`);
}

export interface Verdict {
  readonly arrived: number;
  readonly lost: number;
  readonly duplicates: number;
  /** Texts that are none of the lines. */
  readonly strangers: readonly string[];
  /** Lines that arrived for the first time after a later line of the same file had. */
  readonly outOfOrder: number;
}

/** Counts what arrived, in the order in which it is given. */
export function judge(load: Load, messages: Iterable<string>): Verdict {
  const seen = Array.from({ length: load.files }, () => new Uint32Array(load.linesPerFile));
  const highest = new Array<number>(load.files).fill(-1);
  const strangers: string[] = [];
  let arrived = 0;
  let duplicates = 0;
  let outOfOrder = 0;
  for (const message of messages) {
    arrived += 1;
    const match = /^file-(\d+) line (\d{8}) /.exec(message);
    const file = Number(match?.[1] ?? -1);
    const number = Number(match?.[2] ?? -1);
    const counts = seen[file];
    if (counts === undefined || message !== lineOf(file, number)) {
      if (strangers.length < 5) strangers.push(message.slice(0, 200));
      continue;
    }
    const before = counts[number] ?? 0;
    counts[number] = before + 1;
    if (before > 0) duplicates += 1;
    else if (number < (highest[file] ?? -1)) outOfOrder += 1;
    highest[file] = Math.max(highest[file] ?? -1, number);
  }
  const lost = seen.reduce((sum, counts) => sum + counts.filter((count) => count === 0).length, 0);
  return { arrived, lost, duplicates, strangers, outOfOrder };
}
