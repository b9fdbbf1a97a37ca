/**
 * The workloads: lines that carry their number, so that a sink can tell which of them are lost and which came twice.
 *
 * The number stands behind MARKER as NUMBER_DIGITS digits, once per line, and survives JSON escaping.
 */
import { closeSync, openSync, writeSync } from 'node:fs';

export const MARKER = 'seq=';
export const NUMBER_DIGITS = 10;

export type Workload = 'plain' | 'json' | 'cri' | 'java';

/** Bytes of a `plain` line with its newline. */
export const PLAIN_BYTES = 120;
/** Of so many lines of a container runtime one comes in two parts. */
const PARTIAL_EVERY = 10;
/** Of so many lines of `java` one is the beginning of a stack trace. */
const TRACE_EVERY = 10;
const FRAMES = Array.from({ length: 10 }, (_, n) => `\tat com.example.shop.Orders.step${n}(Orders.java:${100 + n})\n`);
const CAUSE = 'Caused by: java.net.SocketTimeoutException: Read timed out\n';
const LINES_PER_WRITE = 10_000;

/** Line `number` of a workload, with its newline; of `java` it may be followed by those of its stack trace. */
export function line(workload: Workload, number: number): string {
  const seq = `${MARKER}${String(number).padStart(NUMBER_DIGITS, '0')}`;
  if (workload === 'java' && number % TRACE_EVERY === 0)
    return `java.lang.IllegalStateException: order ${seq} failed\n${FRAMES.join('')}${CAUSE}${FRAMES.slice(5).join('')}`;
  if (workload === 'json') {
    return `{"time":"2026-01-31T12:00:00.000Z","level":"info","logger":"http","msg":"GET /api/v1/items/${number % 1000} ${seq}","status":200,"bytes":5120,"duration_ms":12.5,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}\n`;
  }
  const text = `2026-01-31T12:00:00.000Z INFO worker-${number % 8} ${seq} handled request path=/api/v1/items status=200 bytes=5120 dur=12ms`;
  const padded = text.padEnd(PLAIN_BYTES - 1, '.');
  return workload === 'cri' ? criLine(padded, number) : `${padded}\n`;
}

/** Container lines are of now, as a runtime's are: where times count (CloudWatch Logs) old ones would go another way. */
const NOW = `${new Date().toISOString().slice(0, -1)}000000Z`;

/** As containerd writes it to /var/log/pods (KEP "CRI Runtime log format": time, stdio, tags, text). */
function criLine(text: string, number: number): string {
  const begin = `${NOW} ${number % 4 === 0 ? 'stderr' : 'stdout'}`;
  if (number % PARTIAL_EVERY > 0) return `${begin} F ${text}\n`;
  const half = text.length / 2;
  return `${begin} P ${text.slice(0, half)}\n${begin} F ${text.slice(half)}\n`;
}

/** Appends lines `from` to `to` - 1; returns their bytes. */
export function writeWorkload(path: string, workload: Workload, from: number, to: number): number {
  const file = openSync(path, 'a');
  let bytes = 0;
  for (let first = from; first < to; first += LINES_PER_WRITE) {
    const count = Math.min(LINES_PER_WRITE, to - first);
    bytes += writeSync(file, Array.from({ length: count }, (_, i) => line(workload, first + i)).join(''));
  }
  closeSync(file);
  return bytes;
}

/** Which numbers were seen, and how often more than once. */
export class LineCounter {
  duplicates = 0;
  distinct = 0;
  readonly #seen: Uint8Array;

  /** @param lines numbers run from 0 to `lines` - 1 */
  constructor(lines: number) {
    this.#seen = new Uint8Array(lines);
  }

  get lost(): number {
    return this.#seen.length - this.distinct;
  }

  /** Counts every marker of a request's body; returns how many there were. */
  count(body: Buffer): number {
    let found = 0;
    for (let at = body.indexOf(MARKER); at >= 0; at = body.indexOf(MARKER, at + NUMBER_DIGITS)) {
      found += 1;
      this.#mark(body, at + MARKER.length);
      at += MARKER.length;
    }
    return found;
  }

  #mark(body: Buffer, at: number): void {
    let number = 0;
    for (let i = at; i < at + NUMBER_DIGITS; i += 1) number = number * 10 + (body[i] ?? 0) - 0x30;
    if (this.#seen[number] === 0) {
      this.#seen[number] = 1;
      this.distinct += 1;
    } else {
      this.duplicates += 1;
    }
  }
}

/** The numbers of a text, in their order. */
export function numbersOf(text: Buffer): readonly number[] {
  return [...text.toString('latin1').matchAll(new RegExp(`${MARKER}(\\d{${NUMBER_DIGITS}})`, 'g'))].map(([, number]) =>
    Number(number),
  );
}
