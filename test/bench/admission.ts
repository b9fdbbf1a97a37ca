/**
 * One AdmissionReview after another: over TLS to the webhook in a process of its own, and by a call in this process.
 *
 * A time is from the first byte of the request to the last byte of the answer, every answer is checked to hold a patch.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { rounded, watchMemory } from './measured-process.ts';
import { composeWebhook, NAMESPACE, SERVER_NAME } from './webhook-under-test.ts';
import type { WebhookListening } from './webhook-under-test.ts';

/** Measured requests of one run, after a tenth of them that are not measured; fewer for the large pods. */
const REQUESTS = { small: 5_000, large: 500 };
const LARGE_BYTES = 64 * 1024;

interface PodShape {
  readonly name: string;
  readonly containers: number;
  readonly envPerContainer: number;
  /** Bytes in a field that nobody knows. */
  readonly paddingBytes: number;
}

export interface AdmissionCase {
  readonly shape: PodShape;
  readonly mode: 'tls' | 'in-process';
  readonly concurrency: number;
}

const SHAPES: readonly PodShape[] = [
  { name: '2x5', containers: 2, envPerContainer: 5, paddingBytes: 0 },
  { name: '10x40', containers: 10, envPerContainer: 40, paddingBytes: 0 },
  { name: '1x2000', containers: 1, envPerContainer: 2_000, paddingBytes: 0 },
  { name: '100x40+16k', containers: 100, envPerContainer: 40, paddingBytes: 16 * 1024 },
];

export const ADMISSION_CASES: readonly AdmissionCase[] = SHAPES.flatMap((shape) => [
  { shape, mode: 'tls', concurrency: 1 },
  { shape, mode: 'tls', concurrency: 32 },
  { shape, mode: 'in-process', concurrency: 1 },
]);

/** One measurement of one case, as the object that is printed. */
export async function runAdmissionCase(which: AdmissionCase): Promise<object> {
  return which.mode === 'tls' ? overTls(which) : inProcess(which);
}

async function overTls(which: AdmissionCase): Promise<object> {
  const webhook = fork(join(import.meta.dirname, 'webhook-under-test.ts'), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  try {
    const [{ port, ca }] = (await once(webhook, 'message', { signal: AbortSignal.timeout(60_000) })) as [
      WebhookListening,
    ];
    const agent = new Agent({ keepAlive: true, maxSockets: which.concurrency, ca, servername: SERVER_NAME });
    const memory = watchMemory(webhook.pid ?? 0);
    const figures = await measure(which, (body) => post(agent, port, body));
    agent.destroy();
    return result(which, figures, memory.stop().rssMib);
  } finally {
    webhook.disconnect();
  }
}

async function inProcess(which: AdmissionCase): Promise<object> {
  const { handler, close } = await composeWebhook();
  try {
    const memory = watchMemory(process.pid);
    const { signal } = new AbortController();
    const figures = await measure(which, async (body) => {
      const answer = await handler.handle(body, { startedMs: performance.now(), signal });
      return Buffer.from(answer.body);
    });
    return result(which, figures, memory.stop().rssMib);
  } finally {
    await close();
  }
}

interface Figures {
  readonly timesMs: readonly number[];
  readonly elapsedMs: number;
}

/** `concurrency` clients, each of which sends its next request when it has its answer. */
async function measure(which: AdmissionCase, send: (body: Buffer) => Promise<Buffer>): Promise<Figures> {
  const body = reviewBody(which.shape);
  const count = body.length > LARGE_BYTES ? REQUESTS.large : REQUESTS.small;
  assertPatched(await send(body));
  const run = async (requests: number): Promise<Figures> => {
    const timesMs: number[] = [];
    let left = requests;
    const client = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        const startMs = performance.now();
        const answer = await send(body);
        timesMs.push(performance.now() - startMs);
        assertPatched(answer);
      }
    };
    const startMs = performance.now();
    await Promise.all(Array.from({ length: which.concurrency }, client));
    return { timesMs, elapsedMs: performance.now() - startMs };
  };
  await run(Math.ceil(count / 10));
  return run(count);
}

function result(which: AdmissionCase, { timesMs, elapsedMs }: Figures, rssMib: number): object {
  const sorted = timesMs.toSorted((a, b) => a - b);
  const at = (share: number): number => rounded(sorted[Math.ceil(sorted.length * share) - 1] ?? 0, 3);
  return {
    bench: 'admission',
    case: which.shape.name,
    mode: which.mode,
    concurrency: which.concurrency,
    p50_ms: at(0.5),
    p99_ms: at(0.99),
    per_s: Math.round((timesMs.length * 1000) / elapsedMs),
    rss_mib: rssMib,
  };
}

function post(agent: Agent, port: number, body: Buffer): Promise<Buffer> {
  return new Promise((done, fail) => {
    const headers = { 'content-type': 'application/json', 'content-length': String(body.length) };
    const options = { host: '127.0.0.1', port, method: 'POST', path: '/mutate?timeout=5s', agent, headers };
    const outgoing = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', fail);
      response.once('end', () => done(Buffer.concat(chunks)));
    });
    outgoing.once('error', fail);
    outgoing.end(body);
  });
}

function assertPatched(answer: Buffer): void {
  const text = answer.toString('utf8');
  assert(text.includes('"allowed":true') && text.includes('"patch":"'), text.slice(0, 500));
}

/** An AdmissionReview v1 as an API server sends it for a pod that asks for the sidecar. */
function reviewBody(shape: PodShape): Buffer {
  const containers = Array.from({ length: shape.containers }, (_, i) => ({
    name: `app-${i}`,
    image: `registry.example/app:${i}`,
    env: Array.from({ length: shape.envPerContainer }, (_, n) => ({ name: `VARIABLE_${n}`, value: `value ${n}` })),
    resources: { requests: { cpu: '100m', memory: '128Mi' } },
    ...(shape.paddingBytes === 0 ? {} : { futureField: 'x'.repeat(i === 0 ? shape.paddingBytes : 0) }),
  }));
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web-1',
      namespace: NAMESPACE,
      uid: 'b1f0a3c2-0000-4000-8000-000000000001',
      labels: { app: 'web' },
      annotations: {
        'logging.io/inject': 'true',
        'logging.io/files': '/var/log/app/*.log',
        'logging.io/sink': 'elasticsearch',
      },
    },
    spec: { serviceAccountName: 'default', containers },
  };
  const review = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'a0000000-0000-4000-8000-000000000001',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: NAMESPACE,
      operation: 'CREATE',
      dryRun: false,
      userInfo: { username: 'system:admin' },
      object,
    },
  };
  return Buffer.from(JSON.stringify(review));
}
