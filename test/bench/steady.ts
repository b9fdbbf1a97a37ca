/**
 * The forwarder as it mostly is: at a thousand lines a second, and at rest with many files. From spawn to the first line acknowledged,
 * from write to acknowledgement, CPU of one core, memory.
 *
 * The destination answers at once and lives in this process, which has next to nothing else to do.
 */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { bulkAnswer, infoAnswer } from './bulk-answer.ts';
import type { Subject } from './forwarder.ts';
import { cpuSeconds, rounded, watchMemory } from './measured-process.ts';
import { line, MARKER, NUMBER_DIGITS } from './numbered-lines.ts';

const LINES_PER_SECOND = 1_000;
const WRITE_EVERY_MS = 10;
const SECONDS = 30;
/** Start-up and first compilations are told by `start_ms`, not by the CPU of the steady state. */
const WARM_UP_MS = 3_000;
const ARRIVAL_MS_MAX = 30_000;

export interface SteadyCase {
  readonly name: string;
  /** Files in the folder, each with one line; the last one is written to. */
  readonly files: number;
  readonly linesPerSecond: number;
}

export const STEADY_CASES: readonly SteadyCase[] = [
  { name: 'steady/1000-lines', files: 1, linesPerSecond: LINES_PER_SECOND },
  { name: 'rest/1-file', files: 1, linesPerSecond: 0 },
  { name: 'rest/1000-files', files: 1_000, linesPerSecond: 0 },
];

export const STEADY_SINK = 'elasticsearch';

/** One measurement, as the object that is printed. @param subject ships full metadata to Elasticsearch */
export async function runSteady({ name, files, linesPerSecond }: SteadyCase, subject: Subject): Promise<object> {
  const root = mkdtempSync(join(tmpdir(), 'logtender-steady-'));
  const logs = join(root, 'logs');
  mkdirSync(logs);
  const total = files + linesPerSecond * (SECONDS + WARM_UP_MS / 1_000);
  const arrivals = new Arrivals(total);
  const port = await arrivals.listen();
  const path = (file: number): string => join(logs, `app-${file}.log`);
  for (let file = 0; file < files; file += 1) appendFileSync(path(file), line('plain', file));
  const startedMs = systemClock.monotonic();
  const forwarder = subject.start({ root, logs, log: path(files - 1), port, ca: undefined });
  const memory = watchMemory(forwarder.pid);
  try {
    await Promise.race([arrivals.reach(1), forwarder.endedEarly]);
    const startMs = arrivals.firstMs - startedMs;
    await Promise.race([arrivals.reach(files), forwarder.endedEarly]);
    let number = files;
    const writeFor = async (ms: number): Promise<void> => {
      const first = number;
      const beginMs = systemClock.monotonic();
      for (let now = beginMs; now < beginMs + ms; now = systemClock.monotonic()) {
        const due = Math.min(total, first + Math.floor(((now - beginMs) * linesPerSecond) / 1_000));
        if (due > number) number = arrivals.write(path(files - 1), number, due);
        await Promise.race([systemClock.sleep(WRITE_EVERY_MS), forwarder.endedEarly]);
      }
    };
    await writeFor(WARM_UP_MS);
    const warm = number;
    const cpuBefore = cpuSeconds(forwarder.pid);
    const beginMs = systemClock.monotonic();
    await writeFor(SECONDS * 1_000);
    const cpu = cpuSeconds(forwarder.pid) - cpuBefore;
    const elapsedMs = systemClock.monotonic() - beginMs;
    await Promise.race([arrivals.reach(number), forwarder.endedEarly]);
    const { rssMib, anonMib } = memory.stop();
    return {
      bench: 'forwarder',
      who: subject.who,
      workload: name,
      sink: STEADY_SINK,
      lines_per_s: Math.round(((number - warm) * 1_000) / elapsedMs),
      start_ms: Math.round(startMs),
      cpu_percent: rounded((cpu * 100_000) / elapsedMs, 2),
      ...(linesPerSecond === 0 ? {} : arrivals.percentiles(warm, number)),
      rss_mib: rssMib,
      anon_mib: anonMib,
    };
  } finally {
    memory.stop();
    await forwarder.stop();
    arrivals.close();
    rmSync(root, { recursive: true, force: true });
  }
}

/** When each line was written and when its request was answered. */
class Arrivals {
  firstMs = Number.NaN;
  readonly #writtenMs: Float64Array;
  readonly #arrivedMs: Float64Array;
  #count = 0;
  #server: Server | undefined;

  constructor(lines: number) {
    this.#writtenMs = new Float64Array(lines);
    this.#arrivedMs = new Float64Array(lines);
  }

  async listen(): Promise<number> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks);
        const found = this.#arrived(body, systemClock.monotonic());
        const url = request.url ?? '/';
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(request.method === 'POST' ? bulkAnswer(url, body, found) : infoAnswer(url));
      });
    });
    this.#server = server;
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return (server.address() as AddressInfo).port;
  }

  /** Appends lines [from, to) to a file; gives `to`. */
  write(path: string, from: number, to: number): number {
    let text = '';
    for (let number = from; number < to; number += 1) text += line('plain', number);
    appendFileSync(path, text);
    this.#writtenMs.fill(systemClock.monotonic(), from, to);
    return to;
  }

  close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  /** Notes each line of a request; gives how many there were. */
  #arrived(body: Buffer, nowMs: number): number {
    let found = 0;
    for (let at = body.indexOf(MARKER); at >= 0; at = body.indexOf(MARKER, at + 1)) {
      const number = Number(body.toString('latin1', at + MARKER.length, at + MARKER.length + NUMBER_DIGITS));
      if (this.#count === 0) this.firstMs = nowMs;
      if (this.#arrivedMs[number] === 0) this.#count += 1;
      this.#arrivedMs[number] = nowMs;
      found += 1;
    }
    return found;
  }

  /** Resolves when so many different lines have come. */
  async reach(count: number): Promise<void> {
    const deadlineMs = systemClock.monotonic() + ARRIVAL_MS_MAX;
    while (this.#count < count) {
      if (systemClock.monotonic() > deadlineMs) throw new Error(`expected ${count} lines, got ${this.#count}`);
      await systemClock.sleep(WRITE_EVERY_MS);
    }
  }

  /** From write to acknowledgement, for lines [from, to). */
  percentiles(from: number, to: number): { readonly p50_ms: number; readonly p99_ms: number } {
    const ms = this.#arrivedMs.slice(from, to).map((arrived, i) => arrived - (this.#writtenMs[from + i] ?? 0));
    ms.sort();
    const at = (part: number): number => Math.round(ms[Math.min(ms.length - 1, Math.floor(ms.length * part))] ?? 0);
    return { p50_ms: at(0.5), p99_ms: at(0.99) };
  }
}
