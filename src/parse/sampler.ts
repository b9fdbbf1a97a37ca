/**
 * Which records of many are shipped: by share, by rate, per level or pattern. Errors always are.
 *
 * A share is decided by the record's own id (source and offset), so a record that is read again is decided alike. A rate goes by the time
 * of reading: at most that many records a second, with one second's worth in reserve; what may have been sent before is not limited anew.
 * May import: core, config, pattern, parse.
 */
import assert from 'node:assert/strict';

import { LEVELS } from '../config/record-rules.ts';
import type { Sample } from '../config/record-rules.ts';
import { compilePatterns } from '../pattern/pattern-list.ts';
import type { PatternList } from '../pattern/pattern-list.ts';
import { ERROR_LEVEL, NO_LEVEL } from './line-level.ts';

export type Sampled = 'sampled' | 'rate_limited' | undefined;

interface Entry {
  readonly share: number | undefined;
  readonly perSecondMax: number;
  /** By place in LEVELS; empty: every level. */
  readonly levels: ReadonlySet<number>;
  readonly pattern: PatternList | undefined;
  /** Records that may still pass, and when that was so. */
  tokens: number;
  atMs: number;
  /** Records that have passed, ever; and how many had at the last `mark` and at the last `keep`. */
  passed: number;
  marked: number;
  kept: number;
}

export interface SampledRecord {
  readonly text: Uint8Array;
  readonly from: number;
  readonly to: number;
  readonly level: number;
  readonly offset: number;
}

export class Sampler {
  readonly #entries: readonly Entry[];

  constructor(samples: readonly Sample[]) {
    this.#entries = samples.map(({ share, perSecondMax, levels, pattern }) => ({
      share,
      perSecondMax: perSecondMax ?? 0,
      levels: new Set(levels.map((level) => LEVELS.indexOf(level))),
      pattern: pattern === undefined ? undefined : compiled(pattern),
      tokens: perSecondMax ?? 0,
      atMs: Number.NEGATIVE_INFINITY,
      passed: 0,
      marked: 0,
      kept: 0,
    }));
  }

  /**
   * Why the record is not shipped, or undefined.
   *
   * @param salt number of its source, the same after a restart
   * @param nowMs on the monotonic clock
   * @param wasSent the record may have been sent before
   */
  decide(record: SampledRecord, salt: number, nowMs: number, wasSent: boolean): Sampled {
    if (record.level >= ERROR_LEVEL) return undefined;
    const entry = this.#entryOf(record);
    if (entry === undefined) return undefined;
    if (entry.share !== undefined) return place(salt, record.offset) < entry.share ? undefined : 'sampled';
    return wasSent || takes(entry, nowMs) ? undefined : 'rate_limited';
  }

  #entryOf(record: SampledRecord): Entry | undefined {
    for (const entry of this.#entries) if (fits(entry, record)) return entry;
    return undefined;
  }

  /** Remembers what the rates have let pass, for `rewind`. */
  mark(): void {
    for (const entry of this.#entries) entry.marked = entry.passed;
  }

  /** What passed since the mark is decided again later: it is charged then, and not now. */
  rewind(): void {
    for (const entry of this.#entries) giveBack(entry, entry.marked);
  }

  /** What passed is on its way. */
  keep(): void {
    for (const entry of this.#entries) entry.kept = entry.passed;
  }

  /** What passed since `keep` will be read again. */
  forget(): void {
    for (const entry of this.#entries) giveBack(entry, entry.kept);
  }
}

function giveBack(entry: Entry, passed: number): void {
  entry.tokens = Math.min(entry.perSecondMax, entry.tokens + entry.passed - passed);
  entry.passed = passed;
}

function fits(entry: Entry, { text, from, to, level }: SampledRecord): boolean {
  if (entry.levels.size > 0) return level !== NO_LEVEL && entry.levels.has(level);
  return entry.pattern === undefined || entry.pattern.matches(text, from, to);
}

/** A token bucket. */
function takes(entry: Entry, nowMs: number): boolean {
  const earned = ((nowMs - entry.atMs) / 1000) * entry.perSecondMax;
  entry.tokens = Math.min(entry.perSecondMax, entry.tokens + earned);
  entry.atMs = nowMs;
  if (entry.tokens < 1) return false;
  entry.tokens -= 1;
  entry.passed += 1;
  return true;
}

/** A number of a source's id for `place`. */
export function saltOf(id: string): number {
  let hash = 0;
  for (let i = 0; i < id.length; i += 1) hash = (Math.imul(hash, 31) + id.charCodeAt(i)) | 0;
  return hash;
}

/** From 0 to 1, spread evenly over offsets (the finalizer of MurmurHash3, public domain). */
function place(salt: number, offset: number): number {
  let hash = salt ^ (offset | 0) ^ Math.imul(Math.floor(offset / 0x1_0000_0000), 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000;
}

function compiled(pattern: string): PatternList {
  const result = compilePatterns([pattern]);
  assert(result.ok, 'patterns are checked at the door');
  return result.list;
}
