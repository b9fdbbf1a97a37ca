/**
 * One AdmissionReview after another: over TLS with keep-alive to the webhook in a process of its own, and by a call in this process.
 *
 * A time is from the first byte of the request to the last byte of the answer; every answer is checked to hold a patch. Over TLS the same
 * is done with express alone, in turns with the webhook, so that a figure can be read as a ratio whatever else the machine does.
 */
import assert from 'node:assert/strict';
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeSync } from 'node:fs';
import { availableParallelism, devNull } from 'node:os';
import { join } from 'node:path';

import { SERVER_NAME } from '../fakes/webhook-process.ts';
import { dial, requestText } from '../fakes/wire.ts';
import type { Wire } from '../fakes/wire.ts';
import { findProgram } from '../servers/programs.ts';
import { BARE_NAME } from './bare-express.ts';
import type { BareListening } from './bare-express.ts';
import { CLIENT_CPU, SERVER_CPU, withBundledWebhook } from './bundled-webhook.ts';
import { cpuSeconds, rounded, watchMemory } from './measured-process.ts';
import { reviewBodies, SHAPES } from './review-bodies.ts';
import type { PodShape } from './review-bodies.ts';
import { composeWebhook } from './webhook-under-test.ts';

/** Requests that are not measured, until the compiler of the runtime is done, and those of one round; fewer for the large pods. */
const REQUESTS = { small: { warm: 12_000, round: 4_000 }, large: { warm: 1_500, round: 300 } };
const LARGE_BYTES = 64 * 1024;
/** Rounds of the webhook and of express in turns; figures are of all rounds of one together. */
const ROUNDS = 3;
/** An API server waits the second of Retry-After; here the server is to be kept busy. */
const AGAIN_MS = 25;
/** The namespace that the API in memory of the webhook's process knows. */
const NAMESPACE = 'shop';
/** Read before anything is pinned: afterwards it would be one. */
const PROCESSORS = availableParallelism();

export interface AdmissionCase {
  readonly shape: PodShape;
  readonly mode: 'tls' | 'in-process';
  readonly concurrency: number;
}

export const ADMISSION_CASES: readonly AdmissionCase[] = SHAPES.flatMap((shape) => [
  { shape, mode: 'tls', concurrency: 1 },
  { shape, mode: 'tls', concurrency: 32 },
  { shape, mode: 'in-process', concurrency: 1 },
]);

/** One measurement of one case, as the object that is printed. */
export async function runAdmissionCase(which: AdmissionCase): Promise<object> {
  const head = { bench: 'admission', case: which.shape.name, mode: which.mode, concurrency: which.concurrency };
  return { ...head, ...(which.mode === 'tls' ? await overTls(which) : await inProcess(which)) };
}

/** Something that is asked, each of its clients with one request after another. */
interface Subject {
  readonly pid: number;
  /** One for each client. Gives the text of the answer, or undefined when there is too much to do (503). */
  readonly clients: readonly ((body: Buffer) => Promise<string | undefined>)[];
}

async function overTls(which: AdmissionCase): Promise<object> {
  const bodies = reviewBodies(which.shape, NAMESPACE);
  return withBundledWebhook(async (webhook) => {
    const wires = await dialAll(which.concurrency, { ...webhook, name: SERVER_NAME });
    const ours = { pid: webhook.pid, clients: wires.map(client) };
    const patchBytes = patchBytesOf(await ours.clients[0]?.(bodies[0] ?? Buffer.alloc(0)));
    return withBareExpress(patchBytes, which.concurrency, async (bare) => {
      const isPinned = pin(CLIENT_CPU);
      const memory = watchMemory(webhook.pid);
      const [figures, reference] = await measure([ours, bare], bodies);
      const { rssMib } = memory.stop();
      unpin();
      for (const wire of wires) wire.destroy();
      const { p50_ms, p99_ms, per_s, cpu_ms } = reference ?? {};
      const express = { express_p50_ms: p50_ms, express_p99_ms: p99_ms, express_per_s: per_s, express_cpu_ms: cpu_ms };
      return { pinned: isPinned, ...figures, rss_mib: rssMib, ...express };
    });
  });
}

async function withBareExpress<T>(
  patchBytes: number,
  concurrency: number,
  use: (bare: Subject) => Promise<T>,
): Promise<T> {
  const server = fork(join(import.meta.dirname, 'bare-express.ts'), [String(patchBytes)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  try {
    const [listening] = (await once(server, 'message', { signal: AbortSignal.timeout(60_000) })) as [BareListening];
    const pid = server.pid ?? 0;
    pin(SERVER_CPU, pid);
    const wires = await dialAll(concurrency, { ...listening, name: BARE_NAME });
    const result = await use({ pid, clients: wires.map(client) });
    for (const wire of wires) wire.destroy();
    return result;
  } finally {
    server.disconnect();
  }
}

function dialAll(
  count: number,
  { port, ca, name }: { readonly port: number; readonly ca: string; readonly name: string },
): Promise<readonly Wire[]> {
  return Promise.all(Array.from({ length: count }, () => dial(port, { ca, servername: name })));
}

function client(wire: Wire): Subject['clients'][number] {
  const requests = new Map<Buffer, Buffer>();
  return async (body) => {
    const request = requests.get(body) ?? requestText(body);
    requests.set(body, request);
    wire.send(request);
    const { status, body: text } = await wire.reply();
    assert(status === 200 || status === 503, `expected 200 or 503, got ${status}: ${text}`);
    return status === 503 ? undefined : text;
  };
}

async function inProcess(which: AdmissionCase): Promise<object> {
  const out = openSync(devNull, 'w');
  const write = (line: string): void => void writeSync(out, line);
  const { handler, close } = await composeWebhook({ namespace: NAMESPACE, write });
  const isPinned = pin(SERVER_CPU);
  try {
    const { signal } = new AbortController();
    const call = async (body: Buffer): Promise<string> =>
      (await handler.handle(body, { startedMs: performance.now(), signal })).body;
    const subject = { pid: process.pid, clients: [call] };
    const [figures] = await measure([subject], reviewBodies(which.shape, NAMESPACE));
    return { pinned: isPinned, ...figures };
  } finally {
    unpin();
    await close();
    closeSync(out);
  }
}

interface Sum {
  readonly timesMs: number[];
  elapsedMs: number;
  cpuMs: number;
  refused: number;
}

interface Figures {
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly per_s: number;
  /** Processor time of all threads of the server for one request. */
  readonly cpu_ms: number;
  /** Requests that were told to come again, and came again. */
  readonly refused: number;
}

/** Warms each up, and then measures them in turns. */
async function measure(subjects: readonly Subject[], bodies: readonly Buffer[]): Promise<readonly Figures[]> {
  const { warm, round } = (bodies[0]?.length ?? 0) > LARGE_BYTES ? REQUESTS.large : REQUESTS.small;
  const measured = subjects.map((subject) => {
    const sum: Sum = { timesMs: [], elapsedMs: 0, cpuMs: 0, refused: 0 };
    return { subject, sum };
  });
  for (const { subject } of measured) await run(subject, bodies, warm);
  for (let n = 0; n < ROUNDS; n += 1) {
    for (const { subject, sum } of measured) {
      const startMs = performance.now();
      const startCpu = cpuSeconds(subject.pid);
      const { timesMs, refused } = await run(subject, bodies, round);
      sum.elapsedMs += performance.now() - startMs;
      sum.cpuMs += (cpuSeconds(subject.pid) - startCpu) * 1000;
      sum.timesMs.push(...timesMs);
      sum.refused += refused;
    }
  }
  return measured.map(({ sum }) => figuresOf(sum));
}

/** Each client sends its next request when it has its answer. */
async function run(
  { clients }: Subject,
  bodies: readonly Buffer[],
  count: number,
): Promise<{ timesMs: readonly number[]; refused: number }> {
  const timesMs: number[] = [];
  let refused = 0;
  let sent = 0;
  const ask = async (send: Subject['clients'][number]): Promise<void> => {
    while (sent < count) {
      const body = bodies[sent % bodies.length];
      assert(body !== undefined);
      sent += 1;
      const startMs = performance.now();
      const answer = await send(body);
      const endMs = performance.now();
      if (answer === undefined) {
        refused += 1;
        sent -= 1;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        continue;
      }
      timesMs.push(endMs - startMs);
      assert(answer.includes('"allowed":true') && answer.includes('"patch":"'), answer.slice(0, 500));
    }
  };
  await Promise.all(clients.map(ask));
  return { timesMs, refused };
}

function figuresOf({ timesMs, elapsedMs, cpuMs, refused }: Sum): Figures {
  const sorted = timesMs.toSorted((a, b) => a - b);
  const at = (share: number): number => rounded(sorted[Math.ceil(sorted.length * share) - 1] ?? 0, 3);
  return {
    p50_ms: at(0.5),
    p99_ms: at(0.99),
    per_s: Math.round((timesMs.length * 1000) / elapsedMs),
    cpu_ms: rounded(cpuMs / timesMs.length, 3),
    refused,
  };
}

function patchBytesOf(answer: string | undefined): number {
  const patch = /"patch":"([^"]*)"/.exec(answer ?? '')?.[1];
  assert(patch !== undefined, answer);
  return Buffer.byteLength(patch, 'base64');
}

/** Keeps a process on one processor; false where the machine has only one, or no program for it. */
function pin(cpu: number, pid = process.pid): boolean {
  return runOn(String(cpu), pid);
}

function unpin(): void {
  runOn(`0-${PROCESSORS - 1}`, process.pid);
}

function runOn(cpus: string, pid: number): boolean {
  const taskset = findProgram('taskset');
  if (taskset === undefined || PROCESSORS < 2) return false;
  execFileSync(taskset, ['--all-tasks', '--pid', '--cpu-list', cpus, String(pid)], { stdio: 'ignore' });
  return true;
}
