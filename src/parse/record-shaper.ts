/**
 * Makes records of the clusters that the cutter finds: joined, filtered, redacted, with the time and level that they say.
 *
 * Invariants: what is dropped has a reason; filters see the text as it was written, everything after them sees it redacted; a text is
 * well-formed UTF-8. One buffer each for joining, redacting and JSON, made once. May import: core, config, kernel, pattern, parse.
 */
import assert from 'node:assert/strict';

import type { RecordRules } from '../config/record-rules.ts';
import { LINE_BYTES_MAX } from '../core/limits.ts';
import type { ShapedRecord } from '../core/record.ts';
import { copyWellFormed, isWellFormed } from '../kernel/text-escaper.ts';
import { compilePatterns } from '../pattern/pattern-list.ts';
import type { PatternList } from '../pattern/pattern-list.ts';
import { createGrouping } from './grouping.ts';
import { JsonLineScanner } from '../kernel/json-line.ts';
import { isContinuation } from '../kernel/utf8.ts';
import { ERROR_LEVEL, jsonLevel, NO_LEVEL, textLevel } from './line-level.ts';
import { lineTimeMs } from './line-time.ts';
import { jsonBytesMax, LogfmtWriter } from './logfmt.ts';
import { RecordCutter } from './record-cutter.ts';
import { Sampler } from './sampler.ts';

/** Why a record is not shipped although it could be. */
export const FILTER_REASONS = ['not_included', 'excluded', 'sampled', 'rate_limited'] as const;
export type FilterReason = (typeof FILTER_REASONS)[number];

/** An ill-formed byte becomes three. */
const TEXT_BYTES_MAX = LINE_BYTES_MAX * 3;
const STAR = 0x2a;
/** What a match becomes: never longer than the match, and no longer than this, so that its length says nothing. */
const STARS_MAX = 3;
const LF = 10;

export interface ShapeContext {
  /** Where the cluster begins in its source. */
  offset: number;
  /** Number of its source, the same after a restart. */
  salt: number;
  /** Wall clock of the reading, and the monotonic one. */
  timeMs: number;
  nowMs: number;
  /** Records before this offset may have been sent before. */
  sentBefore: number;
  /** Where the source's own bytes end in the input; what stands behind it completes them and is another source's (torn-line.ts). */
  ownEnd?: number;
}

/** Are these rules anything but one record a line, as its encoder alone makes it? */
export function needsShaping(rules: RecordRules): boolean {
  const { parser, multiline, include, exclude, redact, sample, detect } = rules;
  const lists = include.length + exclude.length + redact.length + sample.length + detect.length;
  return lists > 0 || multiline !== undefined || parser === 'cri' || parser === 'logfmt';
}

/** Is a line of a container runtime, its parts joined, a record as its encoder alone would make it, its time and stdio taken from the header? */
export function leavesHeadedLines(rules: RecordRules): boolean {
  const { parser, multiline, include, exclude, redact, sample, detect } = rules;
  const lists = include.length + exclude.length + redact.length + sample.length;
  return lists === 0 && multiline === undefined && parser !== 'logfmt' && !detect.includes('level');
}

/** What decides where records begin and end, as a short text; undefined where every line is one. */
export function groupingName({ parser, multiline }: RecordRules, hasStdio = false): string | undefined {
  if (multiline === undefined && parser !== 'cri' && !hasStdio) return undefined;
  return JSON.stringify({ version: 1, headers: parser === 'cri', ...multiline, ...(hasStdio ? { stdio: 1 } : {}) });
}

export class RecordShaper {
  readonly cutter: RecordCutter;
  /** Ill-formed UTF-8 sequences that were replaced, and records in which something was redacted, since `keep`. */
  replaced = 0;
  redacted = 0;
  #markedReplaced = 0;
  #markedRedacted = 0;
  /** After `shape` gave undefined. */
  readonly record: ShapedRecord = {
    text: Buffer.alloc(0),
    from: 0,
    to: 0,
    json: undefined,
    jsonBytes: 0,
    offset: 0,
    bytes: 0,
    timeMs: Number.NaN,
    level: NO_LEVEL,
    showsLevel: false,
    stdio: '',
    isPart: false,
  };
  /** After `shape`: lines of the record in its source. */
  lines = 0;
  readonly #rules: RecordRules;
  readonly #joinsErrors: boolean;
  readonly #include: PatternList | undefined;
  readonly #exclude: PatternList | undefined;
  readonly #redact: PatternList | undefined;
  readonly #sampler: Sampler | undefined;
  readonly #logfmt: LogfmtWriter | undefined;
  readonly #json: Buffer | undefined;
  readonly #joined = Buffer.allocUnsafeSlow(LINE_BYTES_MAX);
  readonly #wellFormed = Buffer.allocUnsafeSlow(TEXT_BYTES_MAX);
  readonly #masked: Buffer;
  readonly #mask: Uint8Array;
  readonly #scanner = new JsonLineScanner();
  readonly #wantsTime: boolean;
  readonly #wantsLevel: boolean;
  /** `#seen[#seenFrom, #seenTo)` is well-formed as a whole. */
  #seen: Buffer | undefined;
  #seenFrom = 0;
  #seenTo = 0;
  #viewed: Buffer = this.#joined;
  #view = viewOf(this.#joined);

  /** @param hasHeaders whether lines have the header of a container runtime before their text */
  constructor(rules: RecordRules, hasHeaders = rules.parser === 'cri') {
    const grouping = createGrouping(rules.multiline);
    this.cutter = new RecordCutter(grouping, hasHeaders);
    this.#rules = rules;
    this.#joinsErrors = grouping.joinsErrors;
    this.#include = compiled(rules.include);
    this.#exclude = compiled(rules.exclude);
    this.#redact = compiled(rules.redact);
    this.#sampler = rules.sample.length === 0 ? undefined : new Sampler(rules.sample);
    this.#json = rules.parser === 'logfmt' ? Buffer.allocUnsafeSlow(jsonBytesMax(TEXT_BYTES_MAX)) : undefined;
    this.#logfmt = this.#json === undefined ? undefined : new LogfmtWriter(this.#json);
    const redactBytes = this.#redact === undefined ? 0 : TEXT_BYTES_MAX;
    this.#masked = Buffer.allocUnsafeSlow(redactBytes);
    this.#mask = Buffer.allocUnsafeSlow(redactBytes);
    this.#wantsTime = rules.detect.includes('time');
    this.#wantsLevel = rules.detect.includes('level') || this.#sampler !== undefined;
  }

  /**
   * Looks once, at memory speed, whether `input[from, to)` is well-formed, so that no record of it has to be asked. To be said again when
   * other bytes stand there; left out, each record is asked.
   */
  see(input: Buffer, from: number, to: number): void {
    // Behind the last line end there may be half a character.
    const end = to > from ? Math.max(from, input.lastIndexOf(LF, to - 1) + 1) : from;
    this.#seen = isWellFormed(input, from, end) ? input : undefined;
    this.#seenFrom = from;
    this.#seenTo = end;
  }

  /** Remembers what was counted and charged. One mark at a time. */
  mark(): void {
    this.#markedReplaced = this.replaced;
    this.#markedRedacted = this.redacted;
    this.#sampler?.mark();
  }

  /** What was shaped since the mark will be shaped again, and is counted and charged then. */
  rewind(): void {
    this.replaced = this.#markedReplaced;
    this.redacted = this.#markedRedacted;
    this.#sampler?.rewind();
  }

  /** What was shaped is on its way. */
  keep(): void {
    this.replaced = 0;
    this.redacted = 0;
    this.#sampler?.keep();
  }

  /** What was shaped since `keep` will be read again. */
  forget(): void {
    this.replaced = 0;
    this.redacted = 0;
    this.#sampler?.forget();
  }

  /** Makes record `group` of the cluster that the cutter has just found in `input`; gives why it is dropped, or undefined. */
  shape(input: Buffer, group: number, context: ShapeContext): FilterReason | undefined {
    const { record, cutter } = this;
    this.#gather(input, group, context);
    if (this.#include?.matches(record.text, record.from, record.to) === false) return 'not_included';
    if (this.#exclude?.matches(record.text, record.from, record.to) === true) return 'excluded';
    record.stdio = cutter.groupStdio[group] ?? '';
    record.isPart = cutter.isPart[group] === 1;
    record.json = undefined;
    this.#parse();
    record.level = this.#wantsLevel ? this.#level() : NO_LEVEL;
    record.showsLevel = this.#rules.detect.includes('level') && record.level !== NO_LEVEL;
    const sampled = this.#sampler?.decide(record, context.salt, context.nowMs, record.offset < context.sentBefore);
    if (sampled !== undefined) return sampled;
    const { text, from, to } = record;
    record.timeMs = cutter.groupTimeMs[group] ?? Number.NaN;
    if (Number.isNaN(record.timeMs) && this.#wantsTime) record.timeMs = lineTimeMs(text, from, to, context.timeMs);
    if (this.#mustRedact()) this.#parse();
    return undefined;
  }

  /** The record's text: where it stands when it is one line, else joined; and what it is of its source. */
  #gather(input: Buffer, group: number, { offset, ownEnd = Number.POSITIVE_INFINITY }: ShapeContext): void {
    const { cutter, record } = this;
    let pieces = 0;
    let end = 0;
    let first = 0;
    this.lines = 0;
    record.bytes = 0;
    for (let line = 0; line < cutter.lines; line += 1) {
      if (cutter.group[line] !== group) continue;
      const lineFrom = cutter.lineFrom[line] ?? 0;
      this.lines += 1;
      if (lineFrom < ownEnd) record.bytes += (cutter.lineFrom[line + 1] ?? 0) - lineFrom;
      if (pieces === 0) {
        record.offset = offset + lineFrom - (cutter.lineFrom[0] ?? 0);
        first = line;
      } else {
        if (pieces === 1) end = this.#copy(input, first, 0);
        if (cutter.isFragment[line] === 0) this.#joined[end++] = LF;
        end = this.#copy(input, line, end);
      }
      pieces += 1;
    }
    const isOne = pieces === 1;
    record.text = isOne ? input : this.#joined;
    record.from = isOne ? (cutter.textFrom[first] ?? 0) : 0;
    record.to = isOne ? (cutter.textTo[first] ?? 0) : end;
    if (!this.#isSeen(input)) this.#heal();
  }

  /**
   * Whether the cluster is known to be well-formed: then so is each record of its lines. It may begin or end inside of a character, where an
   * incomplete line was taken for a whole one before the app wrote the rest.
   */
  #isSeen(input: Buffer): boolean {
    const { lineFrom, lines } = this.cutter;
    const from = lineFrom[0] ?? 0;
    const to = lineFrom[lines] ?? 0;
    if (input !== this.#seen || from < this.#seenFrom || to > this.#seenTo) return false;
    return !isContinuation(input[from]) && (to === this.#seenTo || !isContinuation(input[to]));
  }

  #copy(input: Buffer, line: number, at: number): number {
    const from = this.cutter.textFrom[line] ?? 0;
    return at + input.copy(this.#joined, at, from, this.cutter.textTo[line]);
  }

  #heal(): void {
    const { record } = this;
    if (isWellFormed(record.text, record.from, record.to)) return;
    const { replaced, end } = copyWellFormed(record.text, record.from, record.to, this.#wellFormed);
    this.replaced += replaced;
    record.text = this.#wellFormed;
    record.from = 0;
    record.to = end;
  }

  #parse(): void {
    if (this.#logfmt === undefined) return;
    const { record } = this;
    record.json = undefined;
    const end = this.#logfmt.write(record.text, record.from, record.to);
    if (end === 0) return;
    record.json = this.#json;
    record.jsonBytes = end;
  }

  #level(): number {
    const { record, lines } = this;
    const { json } = record;
    const isObject = json !== undefined || record.text[record.from] === 0x7b;
    let level = NO_LEVEL;
    if (isObject && this.#rules.parser !== 'none') {
      const text = json ?? record.text;
      const from = json === undefined ? record.from : 0;
      const to = json === undefined ? record.to : record.jsonBytes;
      if (this.#scanner.scan(text, this.#viewOf(text), from, to)) level = jsonLevel(this.#scanner, text);
    }
    if (level === NO_LEVEL && json === undefined) level = textLevel(record.text, record.from, record.to);
    return level === NO_LEVEL && lines > 1 && this.#joinsErrors ? ERROR_LEVEL : level;
  }

  #viewOf(text: Buffer): DataView {
    if (text !== this.#viewed) {
      this.#viewed = text;
      this.#view = viewOf(text);
    }
    return this.#view;
  }

  /** Replaces what must not leave; true when there was something. */
  #mustRedact(): boolean {
    const { record } = this;
    if (this.#redact?.mark(record.text, record.from, record.to, this.#mask) !== true) return false;
    this.redacted += 1;
    const length = record.to - record.from;
    let o = 0;
    for (let i = 0; i < length; i += 1) {
      const isSecret = this.#mask[i] === 1;
      const isLong = isSecret && i >= STARS_MAX && isRun(this.#mask, i - STARS_MAX, i);
      if (!isLong) this.#masked[o++] = isSecret ? STAR : (record.text[record.from + i] ?? 0);
    }
    record.text = this.#masked;
    record.from = 0;
    record.to = o;
    return true;
  }
}

function isRun(mask: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i += 1) if (mask[i] !== 1) return false;
  return true;
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

function compiled(patterns: readonly string[]): PatternList | undefined {
  if (patterns.length === 0) return undefined;
  const result = compilePatterns(patterns);
  assert(result.ok, 'patterns are checked at the door');
  return result.list;
}
