/**
 * The byte kernel in WebAssembly SIMD: lays out its memory and hands it jobs. Contract: line-kernel.ts; program: assembly/line-kernel.ts.
 *
 * The memory holds, in this order: the job (32-bit words, named in JOB), the digits of an offset, the second that was read last, the names
 * of an object, the frame, ends, offsets, lines, a window of the input, the output. Pages that nothing was written to cost nothing. May import: core.
 */
import assert from 'node:assert/strict';
import { LINE_BYTES_MAX, READ_BYTES } from '../core/limits.ts';
import { JSON_MEMBERS_MAX } from './json-line.ts';
import { roomBytes } from './line-kernel.ts';
import type { BatchFill, LineFrame, LineKernel, LineRules } from './line-kernel.ts';
import { LINE_KERNEL_WASM } from './line-kernel-wasm.ts';

/** A vector may be read or written behind what is meant. */
const SLACK_BYTES = 16;
const PAGE_BYTES = 65_536;
/** A read of the pipeline, copied in at once; a longer input goes in windows. */
const WINDOW_BYTES = READ_BYTES + 4096;

/** Place of each word of a job; the program has the same numbers. */
const JOB = {
  at: 0,
  to: 1,
  out: 2,
  outBase: 3,
  outLimit: 4,
  records: 5,
  recordsMax: 6,
  ends: 7,
  offsets: 8,
  first: 9,
  firstBytes: 10,
  second: 11,
  secondBytes: 12,
  third: 13,
  thirdBytes: 14,
  closing: 15,
  closingBytes: 16,
  flags: 17,
  counted: 18,
  countedMax: 19,
  overhead: 20,
  lineBytesMax: 21,
  digits: 22,
  seen: 23,
  // 24 and 25 are a 64-bit float.
  timeAt: 26,
  /** Three pairs of place and length: stdout, stderr, unsaid. */
  stdio: 27,
  openBytes: 33,
  placesAt: 34,
  placesTo: 35,
  names: 36,
  objects: 37,
  openTextBytes: 38,
  lines: 39,
  // 40 to 47 are four 64-bit floats: the times of records.
  spanMs: 48,
} as const;
const JOB_BASE_BYTE = 96;
const JOB_TIMES_BYTE = 160;
const JOB_BYTES = 208;
/** Of an object: where the names of each level begin, then 16 bytes for each name of the levels that are open. */
const NAMES_BYTES = 96 + JSON_MEMBERS_MAX * 16;
/** The second that was read last, with room for two vectors. */
const SEEN_BYTES = 32;
const SOME_SECOND = Buffer.from('1970-01-01T00:00:00');

const FLAG = {
  offsetAfterFirst: 1,
  offsetAfterSecond: 2,
  stopsAtObjects: 4,
  padsEmpty: 8,
  hasHeaders: 16,
  takesObjects: 32,
  epochTimes: 64,
} as const;

/** What of the WebAssembly JavaScript interface (W3C, core 2) is used here; TypeScript has it only together with the DOM. */
interface WasmPlatform {
  readonly Module: new (program: Uint8Array) => object;
  readonly Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (
    module: object,
    imports: Readonly<Record<string, Readonly<Record<string, object>>>>,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
}

/** Compiled with the first use and kept: it is the same for every encoder. Undefined where the platform cannot run it. */
let compiled: { readonly platform: WasmPlatform; readonly module: object } | undefined;

function compile(): typeof compiled {
  const { WebAssembly: platform } = globalThis as { readonly WebAssembly?: WasmPlatform };
  if (compiled !== undefined || platform === undefined) return compiled;
  try {
    compiled = { platform, module: new platform.Module(Buffer.from(LINE_KERNEL_WASM, 'base64')) };
  } catch {
    // No SIMD here, or no right to compile: the plain form does the same.
  }
  return compiled;
}

export class WasmLineKernel implements LineKernel {
  readonly out: Buffer;
  readonly ends: Uint32Array;
  readonly offsets: Float64Array;
  readonly lines: Uint8Array;
  readonly #job: Int32Array;
  readonly #base: Float64Array;
  /** From, to, last, latest. */
  readonly #times: Float64Array;
  readonly #bytes: Uint8Array;
  readonly #framePlace: number;
  readonly #windowPlace: number;
  readonly #outPlace: number;
  readonly #ruleFlags: number;
  readonly #frameBytesMax: number;
  readonly #encodeLines: (job: number) => void;
  #input: Buffer = Buffer.alloc(0);
  #to = 0;
  #offset = 0;
  /** The part of the input that the memory holds: [from, to). */
  #windowFrom = 0;
  #windowTo = 0;

  /** Whether this platform runs WebAssembly with SIMD. */
  static isSupported(): boolean {
    return compile() !== undefined;
  }

  constructor(rules: LineRules) {
    const program = compile();
    assert(program !== undefined, 'who makes one has asked before');
    assert(rules.countedBytesMax <= 0x3fffffff, 'sums stay within 32 bits');
    let place = JOB_BYTES;
    const take = (bytes: number): number => {
      const begin = place;
      place = Math.ceil((begin + bytes + SLACK_BYTES) / SLACK_BYTES) * SLACK_BYTES;
      return begin;
    };
    const outBytes = rules.bytesMax + roomBytes(rules.frameBytesMax) + 4 * SLACK_BYTES;
    const digits = take(SLACK_BYTES);
    const seen = take(SEEN_BYTES);
    const names = take(NAMES_BYTES);
    this.#framePlace = take(rules.frameBytesMax);
    const ends = take(rules.recordsMax * 4);
    const offsets = take(rules.recordsMax * 8);
    const lines = take(rules.recordsMax);
    this.#windowPlace = take(WINDOW_BYTES);
    this.#outPlace = take(outBytes);
    const { platform, module } = program;
    const memory = new platform.Memory({ initial: Math.ceil(place / PAGE_BYTES) });
    const { exports } = new platform.Instance(module, { env: { memory } });
    const encodeLines: unknown = exports['encodeLines'];
    assert(typeof encodeLines === 'function', 'the program is the one that was built');
    this.#encodeLines = encodeLines as (job: number) => void;
    this.#bytes = new Uint8Array(memory.buffer);
    // Zeros would pass for the second that was read last.
    this.#bytes.set(SOME_SECOND, seen);
    this.out = Buffer.from(memory.buffer, this.#outPlace, outBytes);
    this.ends = new Uint32Array(memory.buffer, ends, rules.recordsMax);
    this.offsets = new Float64Array(memory.buffer, offsets, rules.recordsMax);
    this.lines = new Uint8Array(memory.buffer, lines, rules.recordsMax);
    this.#base = new Float64Array(memory.buffer, JOB_BASE_BYTE, 1);
    this.#times = new Float64Array(memory.buffer, JOB_TIMES_BYTE, 4);
    this.#frameBytesMax = rules.frameBytesMax;
    this.#ruleFlags = (rules.stopsAtObjects ? FLAG.stopsAtObjects : 0) | (rules.padsEmpty ? FLAG.padsEmpty : 0);
    const job = new Int32Array(memory.buffer, 0, JOB_BYTES / 4);
    job[JOB.outBase] = this.#outPlace;
    job[JOB.outLimit] = this.#outPlace + rules.bytesMax;
    job[JOB.recordsMax] = rules.recordsMax;
    job[JOB.ends] = ends;
    job[JOB.offsets] = offsets;
    job[JOB.lines] = lines;
    job[JOB.countedMax] = rules.countedBytesMax;
    job[JOB.overhead] = rules.overheadBytes;
    job[JOB.lineBytesMax] = LINE_BYTES_MAX;
    job[JOB.digits] = digits;
    job[JOB.seen] = seen;
    job[JOB.names] = names;
    this.#job = job;
  }

  frame(frame: LineFrame): void {
    const { first, second, third, closing, header, object } = frame;
    const job = this.#job;
    assert(closing.length <= 4, 'a closing fits');
    let place = this.#framePlace;
    const put = (part: Uint8Array, word: number): void => {
      assert(place + part.length - this.#framePlace <= this.#frameBytesMax, 'a frame fits');
      this.#bytes.set(part, place);
      job[word] = place;
      job[word + 1] = part.length;
      place += part.length;
    };
    put(first, JOB.first);
    put(second, JOB.second);
    put(third, JOB.third);
    if (header !== undefined) {
      job[JOB.timeAt] = header.timeAt;
      put(header.stdout, JOB.stdio);
      put(header.stderr, JOB.stdio + 2);
      put(header.unsaid, JOB.stdio + 4);
    }
    if (object !== undefined) {
      job[JOB.timeAt] = object.timeAt;
      job[JOB.openBytes] = object.openBytes;
      job[JOB.placesAt] = object.placesAt;
      job[JOB.placesTo] = object.placesTo;
      job[JOB.openTextBytes] = object.openTextBytes;
    }
    job[JOB.closing] =
      (closing[0] ?? 0) | ((closing[1] ?? 0) << 8) | ((closing[2] ?? 0) << 16) | ((closing[3] ?? 0) << 24);
    job[JOB.closingBytes] = closing.length;
    job[JOB.flags] =
      this.#ruleFlags |
      (header === undefined ? 0 : FLAG.hasHeaders) |
      (header?.isEpoch === true ? FLAG.epochTimes : 0) |
      (object === undefined ? 0 : FLAG.takesObjects) |
      (frame.hasOffsetAfterFirst ? FLAG.offsetAfterFirst : 0) |
      (frame.hasOffsetAfterSecond ? FLAG.offsetAfterSecond : 0);
  }

  bind(input: Buffer, from: number, to: number, offset: number): void {
    this.#input = input;
    this.#to = to;
    this.#offset = offset - from;
    this.#windowFrom = 0;
    this.#windowTo = 0;
  }

  run(at: number, fill: BatchFill): number {
    if (at < this.#windowFrom || at >= this.#windowTo) this.#load(at);
    const job = this.#job;
    const shift = this.#windowPlace - this.#windowFrom;
    job[JOB.at] = at + shift;
    job[JOB.to] = this.#windowTo + shift;
    job[JOB.out] = this.#outPlace + fill.bytes;
    job[JOB.records] = fill.records;
    job[JOB.counted] = fill.countedBytes;
    job[JOB.objects] = fill.objects;
    this.#base[0] = this.#offset - shift;
    const { times } = fill;
    if (times !== undefined) {
      this.#times[0] = times.fromMs;
      this.#times[1] = times.toMs;
      this.#times[2] = times.lastMs;
      this.#times[3] = times.latestMs;
      job[JOB.spanMs] = times.spanMs;
    }
    this.#encodeLines(0);
    if (times !== undefined) {
      times.lastMs = this.#times[2] ?? 0;
      times.latestMs = this.#times[3] ?? 0;
    }
    fill.bytes = (job[JOB.out] ?? 0) - this.#outPlace;
    fill.records = job[JOB.records] ?? 0;
    fill.countedBytes = job[JOB.counted] ?? 0;
    fill.objects = job[JOB.objects] ?? 0;
    return (job[JOB.at] ?? 0) - shift;
  }

  /** The window from `at` on. A line that it cuts is unusual: the caller takes it, and the next window begins behind it. */
  #load(at: number): void {
    this.#windowFrom = at;
    this.#windowTo = Math.min(this.#to, at + WINDOW_BYTES);
    this.#bytes.set(this.#input.subarray(at, this.#windowTo), this.#windowPlace);
  }
}
