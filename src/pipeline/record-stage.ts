/**
 * Between a lane's reader and its encoder, where records are more than lines: cuts, shapes, encodes, and notes what became of each.
 *
 * Two logs, as a lane has two encoders: one filling, one in flight. A cluster is taken as a whole or not at all.
 * May import: core, config, parse, sinks/sink.ts, pipeline.
 */
import type { RecordRules } from '../config/record-rules.ts';
import type { Metrics } from '../core/metrics.ts';
import type { SourceInfo } from '../core/record.ts';
import type { DataEnd } from '../parse/record-cutter.ts';
import { leavesHeadedLines, RecordShaper } from '../parse/record-shaper.ts';
import type { ShapeContext } from '../parse/record-shaper.ts';
import { saltOf } from '../parse/sampler.ts';
import type { Encoder, HeadedLines } from '../sinks/sink.ts';
import { EntryLog } from './entry-log.ts';

/** Where runs take nothing one is tried for so many clusters: it costs nothing then, and usual lines are found again soon. */
const RUN_SKIP_MAX = 32;

export class RecordStage {
  /** After `append`: lines of the cluster in its source. After `appendRun`: those of the run. */
  lines = 0;
  readonly #shaper: RecordShaper;
  readonly #metrics: Metrics;
  readonly #sink: string;
  readonly #context: ShapeContext = { offset: 0, salt: 0, timeMs: 0, nowMs: 0, sentBefore: 0 };
  /** Lines with headers are records as they are, whole or joined. */
  readonly #takesRuns: boolean;
  /** Runs in a row that took nothing (unusual objects, parts that interleave), and clusters that went since the last: see RUN_SKIP_MAX. */
  #fruitless = 0;
  #skipped = 0;
  /** The encoder has not seen what was read last. */
  #isFresh = true;
  #source: SourceInfo | undefined;
  #log = new EntryLog();
  #spare = new EntryLog();

  constructor(
    rules: RecordRules,
    options: { readonly metrics: Metrics; readonly sink: string; readonly hasHeaders?: boolean },
  ) {
    const { hasHeaders = rules.parser === 'cri' } = options;
    this.#shaper = new RecordShaper(rules, hasHeaders);
    this.#takesRuns = hasHeaders && leavesHeadedLines(rules);
    this.#metrics = options.metrics;
    this.#sink = options.sink;
  }

  /** The log of the batch that is filling. */
  get log(): EntryLog {
    return this.#log;
  }

  /** After a `cut`: the cluster ended only because the data did. */
  get wasForced(): boolean {
    return this.#shaper.cutter.wasForced;
  }

  /** After a `cut` that gave `from`: whole lines wait for what follows them. */
  get isHolding(): boolean {
    return this.#shaper.cutter.lines > 0;
  }

  /** After a `cut` that was forced: the runtime wrote only the beginning of a line. */
  get isTorn(): boolean {
    return this.#shaper.cutter.isTorn;
  }

  /** See RecordCutter. */
  linesOver(border: number): readonly (readonly [from: number, to: number])[] {
    return this.#shaper.cutter.linesOver(border);
  }

  /** Where the cluster at `from` ends; `from` when that is not known yet. */
  cut(buffer: Buffer, from: number, to: number, end: DataEnd): number {
    return this.#shaper.cutter.cut(buffer, from, to, end);
  }

  /** Whether `appendRun` may take something. */
  get takesRuns(): boolean {
    return this.#takesRuns;
  }

  /** `buffer[from, to)` was read and is about to be cut: see RecordShaper. */
  see(buffer: Buffer, from: number, to: number): void {
    this.#shaper.see(buffer, from, to);
  }

  /** The time that the records carry which were appended last and say none of their own. */
  get timeMs(): number {
    return this.#context.timeMs;
  }

  /**
   * What holds for the clusters that follow.
   *
   * @param timeMs when they were read, milliseconds since the epoch
   * @param nowMs the same on the monotonic clock
   * @param sentBefore records before this offset may have been sent before
   */
  begin(source: SourceInfo, timeMs: number, nowMs: number, sentBefore: number): void {
    const context = this.#context;
    context.timeMs = timeMs;
    context.nowMs = nowMs;
    context.sentBefore = sentBefore;
    if (source === this.#source) return;
    this.#source = source;
    context.salt = saltOf(source.id);
  }

  /**
   * Encodes the usual lines at `from` at once, as far as they are records as they are and the batch has room; gives where it stopped. What
   * it leaves has to be cut.
   */
  appendRun(encoder: Encoder, run: HeadedLines): number {
    const { headedLines } = encoder;
    const log = this.#log;
    if (run.isFresh) this.#isFresh = true;
    if (!this.#takesRuns || headedLines === undefined || !log.hasRoomForRun) return run.from;
    this.#skipped += 1;
    if (this.#fruitless > 1 && this.#skipped < Math.min(2 ** this.#fruitless, RUN_SKIP_MAX)) return run.from;
    this.#context.timeMs = run.timeMs;
    const first = encoder.records;
    const end = headedLines.append({ ...run, isFresh: this.#isFresh });
    this.#isFresh = false;
    this.#skipped = 0;
    this.#fruitless = end > run.from ? 0 : this.#fruitless + 1;
    const { offsets, lines } = headedLines;
    this.lines = 0;
    const last = encoder.records - 1;
    let offset = run.offset;
    for (let record = first; record <= last; record += 1) {
      const next = record === last ? run.offset + end - run.from : (offsets[record + 1] ?? 0);
      const count = lines[record] ?? 0;
      log.addRecord(offset, count, next - offset);
      this.lines += count;
      offset = next;
    }
    return end;
  }

  /**
   * Encodes the cluster that was just cut.
   *
   * @param offset where it begins in its source
   * @param ownEnd where the source's own bytes end in the buffer
   * @returns false when the batch has no room: nothing of it was taken
   */
  append(
    encoder: Encoder,
    source: SourceInfo,
    buffer: Buffer,
    offset: number,
    ownEnd = Number.POSITIVE_INFINITY,
  ): boolean {
    const log = this.#log;
    if (log.isFull) return false;
    const shaper = this.#shaper;
    const { groups, lines } = shaper.cutter;
    const context = this.#context;
    context.offset = offset;
    context.ownEnd = ownEnd;
    log.mark();
    encoder.mark();
    shaper.mark();
    let reason;
    for (let group = 0; group < groups; group += 1) {
      reason = shaper.shape(buffer, group, context);
      const { record } = shaper;
      if (reason === undefined && !encoder.appendRecord(source, record, context.timeMs)) {
        encoder.rewind();
        log.rewind();
        // The cluster is shaped again for the next batch, and counted there.
        shaper.rewind();
        return false;
      }
      log.add(reason, record.offset, shaper.lines, record.bytes);
    }
    this.lines = lines;
    return true;
  }

  /** The batch that was filling is sent: its log stays as it is until the next one is. */
  swap(): void {
    [this.#log, this.#spare] = [this.#spare, this.#log];
    this.#log.reset();
    this.#count(
      'logtender_utf8_replacements_total',
      'Ill-formed UTF-8 sequences that were replaced by U+FFFD.',
      this.#shaper.replaced,
    );
    this.#count(
      'logtender_redacted_records_total',
      'Records in which something was made unreadable.',
      this.#shaper.redacted,
    );
    this.#shaper.keep();
  }

  /** Everything that is filling will be read again. */
  reset(): void {
    this.#log.reset();
    this.#shaper.forget();
  }

  #count(name: string, help: string, amount: number): void {
    if (amount > 0) this.#metrics.counter(name, help).add(amount, { sink: this.#sink });
  }
}
