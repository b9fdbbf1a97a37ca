/**
 * A destination in memory that knows records by id, as Elasticsearch does, and can be told to fail in every way the contract names.
 *
 * A record is its source bytes as they are, newline included, so that a test can put sources together again.
 */
import type { SinkName } from '../../src/config/forwarder-config.ts';
import type { Batch, BatchRange, ShapedRecord, SourceInfo } from '../../src/core/record.ts';
import { recordAt, recordBytes } from '../../src/core/record.ts';
import type {
  Delivery,
  DeliverOptions,
  Encoder,
  HeadedLineEncoder,
  HeadedLines,
  Rejection,
  Sink,
} from '../../src/sinks/sink.ts';

/** What a real encoder takes for a usual line of a container runtime. */
const USUAL_LINE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z (stdout|stderr|-) ([FP]) ([^\r\n]*)\n/;

export interface StoredRecord {
  readonly id: string;
  readonly source: SourceInfo;
  readonly offset: number;
  readonly bytes: Buffer;
}

export interface FakeRequest {
  readonly indexes: readonly number[];
  readonly records: readonly string[];
}

/** What a script may answer: a finished outcome, or how the store is to behave for this request. */
export type Answer = Delivery | 'store' | 'store_and_lose_answer';
export type Script = (request: FakeRequest) => Answer;

export class FakeDestination {
  /** By id, in order of arrival. */
  readonly stored = new Map<string, StoredRecord>();
  readonly requests: FakeRequest[] = [];
  /** Sends of a stored id whose bytes are others: one record hid behind another. */
  readonly hidden: string[] = [];
  script: Script = () => 'store';

  /** Every record's text, in order of arrival. */
  get texts(): string[] {
    return [...this.stored.values()].map(({ bytes }) => bytes.toString('utf8'));
  }

  deliver(batch: Batch, options: Pick<DeliverOptions, 'selection' | 'sentBefore'>): Delivery {
    const indexes = options.selection ?? Array.from({ length: batch.records }, (_, i) => i);
    const request = { indexes, records: indexes.map((index) => recordBytes(batch, index).toString('utf8')) };
    this.requests.push(request);
    const answer = this.script(request);
    if (typeof answer !== 'string') {
      if (answer.status === 'delivered') this.#store(batch, indexes, options.sentBefore);
      if (answer.status === 'partial') {
        const open = new Set([...answer.retry, ...answer.conflicts, ...answer.rejected.map(({ index }) => index)]);
        this.#store(
          batch,
          indexes.filter((index) => !open.has(index)),
          options.sentBefore,
        );
      }
      return answer;
    }
    const { duplicates, conflicts } = this.#store(batch, indexes, options.sentBefore);
    if (answer === 'store_and_lose_answer') {
      return { status: 'retryable', reason: 'timeout', retryAfterMs: 0, text: 'answer lost' };
    }
    if (conflicts.length === 0) return { status: 'delivered', duplicates };
    return { status: 'partial', duplicates, retry: [], retryReason: 'throttled', rejected: [], conflicts };
  }

  #store(
    batch: Batch,
    indexes: readonly number[],
    sentBefore: (index: number) => boolean,
  ): { duplicates: number; conflicts: number[] } {
    let duplicates = 0;
    const conflicts: number[] = [];
    for (const index of indexes) {
      const { source, offset } = recordAt(batch, index);
      const bytes = Buffer.from(recordBytes(batch, index));
      const id = `${source.id}-${offset}`;
      const known = this.stored.get(id);
      if (known === undefined) this.stored.set(id, { id, source, offset, bytes });
      else if (!sentBefore(index)) conflicts.push(index);
      else {
        duplicates += 1;
        if (!known.bytes.equals(bytes)) this.hidden.push(`${id}: ${known.bytes.toString()} / ${bytes.toString()}`);
      }
    }
    return { duplicates, conflicts };
  }
}

export interface FakeSinkOptions {
  readonly destination: FakeDestination;
  readonly name?: SinkName;
  readonly recordsMax?: number;
  readonly bytesMax?: number;
  /** The destination inside the sink that a source goes to (a log stream). */
  readonly destinationOf?: (source: SourceInfo) => string;
  readonly isAlive?: () => boolean;
}

export function fakeSink(options: FakeSinkOptions): Sink {
  const { destination, isAlive = () => true } = options;
  return {
    name: options.name ?? 'elasticsearch',
    createEncoder: () => new FakeEncoder(options),
    deliver: async (batch, { selection, sentBefore, signal }) => {
      // A turn of the event loop, as any request takes: whoever looks in between sees it in flight.
      await Promise.resolve();
      if (signal.aborted || !isAlive())
        return { status: 'retryable', reason: 'unreachable', retryAfterMs: 0, text: 'aborted' };
      return destination.deliver(batch, { selection, sentBefore });
    },
    close: async () => {},
  };
}

class FakeEncoder implements Encoder {
  readonly #options: FakeSinkOptions;
  #parts: Buffer[] = [];
  #offsets: number[] = [];
  #ranges: BatchRange[] = [];
  #destination: string | undefined;
  #marked = 0;
  bytes = 0;

  constructor(options: FakeSinkOptions) {
    this.#options = options;
  }

  get records(): number {
    return this.#parts.length;
  }

  get bytesMax(): number {
    return this.#options.bytesMax ?? 1024 * 1024;
  }

  reset(): void {
    this.#parts = [];
    this.#offsets = [];
    this.#ranges = [];
    this.#destination = undefined;
    this.bytes = 0;
  }

  append(source: SourceInfo, input: Buffer, from: number, to: number, offset: number): number {
    const destination = this.#options.destinationOf?.(source) ?? '';
    if (this.#destination !== undefined && this.#destination !== destination) return from;
    const { recordsMax = 100, bytesMax = 1024 * 1024 } = this.#options;
    let at = from;
    while (at < to && this.records < recordsMax) {
      const newline = input.indexOf(10, at);
      const end = newline < 0 || newline >= to ? to : newline + 1;
      if (this.bytes + end - at > bytesMax && this.records > 0) break;
      this.#destination = destination;
      this.#parts.push(Buffer.from(input.subarray(at, end)));
      this.#offsets.push(offset + at - from);
      this.bytes += end - at;
      this.#ranges.push({ source, from: offset + at - from, to: offset + end - from, records: 1 });
      at = end;
    }
    return at;
  }

  readonly headedLines: HeadedLineEncoder = {
    offsets: new Float64Array(1_000),
    lines: new Uint8Array(1_000),
    append: (run) => this.#headed(run),
  };

  /** As a run of shaped records would be. */
  #headed({ source, input, from, to, offset }: HeadedLines): number {
    let at = from;
    while (at < to) {
      const { text, lines, bytes } = usualRecord(input, at, to);
      if (text === undefined) break;
      const place = { text, from: 0, to: text.length, offset: offset + at - from, bytes };
      const record = { ...place, json: undefined, jsonBytes: 0, timeMs: 0, level: -1 };
      this.mark();
      // Unlike a cluster's, these need not fit an empty batch.
      if (this.records >= Math.min(this.#options.recordsMax ?? 100, 1_000)) break;
      if (!this.appendRecord(source, { ...record, showsLevel: false, stdio: '', isPart: false })) break;
      this.headedLines.offsets[this.records - 1] = place.offset;
      this.headedLines.lines[this.records - 1] = lines;
      at += bytes;
    }
    return at;
  }

  /** A shaped record is its text and a newline. */
  appendRecord(source: SourceInfo, record: ShapedRecord): boolean {
    const destination = this.#options.destinationOf?.(source) ?? '';
    if (this.#destination !== undefined && this.#destination !== destination) return false;
    const { recordsMax = 100, bytesMax = 1024 * 1024 } = this.#options;
    const bytes = Buffer.concat([record.text.subarray(record.from, record.to), Buffer.from('\n')]);
    // As in the real ones, the records of one cluster always fit an empty batch.
    const isFull = this.records >= recordsMax || this.bytes + bytes.length > bytesMax;
    if (isFull && this.#marked > 0) return false;
    this.#destination = destination;
    this.#parts.push(bytes);
    this.#offsets.push(record.offset);
    this.bytes += bytes.length;
    this.#ranges.push({ source, from: record.offset, to: record.offset + record.bytes, records: 1 });
    return true;
  }

  mark(): void {
    this.#marked = this.records;
  }

  rewind(): void {
    for (const list of [this.#parts, this.#offsets, this.#ranges]) list.length = this.#marked;
    this.bytes = this.#parts.reduce((sum, part) => sum + part.length, 0);
    if (this.#marked === 0) this.#destination = undefined;
  }

  finish(): Batch {
    let end = 0;
    return {
      destination: this.#destination ?? '',
      records: this.records,
      body: Buffer.concat(this.#parts),
      ends: Uint32Array.from(this.#parts, (part) => (end += part.length)),
      offsets: Float64Array.from(this.#offsets),
      ranges: [...this.#ranges],
    };
  }
}

/** Shorthands for scripts. */
export const UNREACHABLE: Delivery = {
  status: 'retryable',
  reason: 'unreachable',
  retryAfterMs: 0,
  text: 'connection refused',
};

export function partial(parts: {
  retry?: number[];
  rejected?: Rejection[];
  conflicts?: number[];
  duplicates?: number;
}): Delivery {
  const { retry = [], rejected = [], conflicts = [], duplicates = 0 } = parts;
  return { status: 'partial', duplicates, retry, retryReason: 'throttled', rejected, conflicts };
}

/** The line of a container runtime at `at`, its parts joined; no text where they are unusual. */
function usualRecord(
  input: Buffer,
  at: number,
  to: number,
): { readonly text: Buffer | undefined; readonly lines: number; readonly bytes: number } {
  const texts: string[] = [];
  const read = input.toString('latin1', at, Math.min(to, at + 2_000));
  let bytes = 0;
  let first = '';
  for (;;) {
    const [line, stdio, tag, text] = USUAL_LINE.exec(read.slice(bytes)) ?? [];
    if (line === undefined || stdio === undefined || text === undefined) break;
    if (texts.length === 0) first = stdio;
    if (stdio !== first) break;
    texts.push(text);
    bytes += line.length;
    if (tag === 'F') return { text: Buffer.from(texts.join(''), 'latin1'), lines: texts.length, bytes };
  }
  return { text: undefined, lines: 0, bytes: 0 };
}
