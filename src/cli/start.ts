/**
 * `npm start`: the main job without a cluster, in one terminal. Nothing in it is imitated but the API server and the kubelet.
 *
 * The certificate manager runs against an API in memory, the webhook listens with TLS on loopback, an AdmissionReview as an API server
 * sends it is posted, and the injected sidecar runs as a process (src/cli/sidecar-process.ts says what is mapped).
 * May import: everything but test.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startLocalCertificates } from '../../certs/local.ts';
import type { LocalCertificates } from '../../certs/local.ts';
import { readWebhookConfig } from '../config/webhook-config.ts';
import type { WebhookConfig } from '../config/webhook-config.ts';
import { problemsText } from '../config/forwarder-config.ts';
import { createMemoryKube } from '../kube/memory.ts';
import { coreClusterPath } from '../kube/paths.ts';
import { systemClock, systemRandom } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { OperationalError } from '../core/errors.ts';
import { createLog } from '../core/log.ts';
import { createMetrics } from '../core/metrics.ts';
import { checkDefault } from '../../webhook/settings.ts';
import { watchCluster } from '../../webhook/cluster-facts.ts';
import { createEvents } from '../../webhook/events.ts';
import { createHandler } from '../../webhook/handler.ts';
import { applyPatch } from '../../webhook/patch.ts';
import { createRequestRecorder } from '../../webhook/requests.ts';
import { startWebhookServer } from '../../webhook/server.ts';
import { IMAGE, VERSION } from '../../webhook/version.ts';
import { describePod } from './describe.ts';
import { runExampleApp } from './example-app.ts';
import { prepareSidecar } from './sidecar-process.ts';
import type { RunnablePod } from './sidecar-process.ts';

export interface StartOptions {
  readonly sink: string;
  readonly url: string | undefined;
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  /** End after a few seconds instead of at Ctrl-C. */
  readonly once: boolean;
  /** Env of this process: an AWS credential chain may stand in it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: (text: string) => void;
  /** Aborted at Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Long enough for two rotations of the example app. */
const ONCE_MS = 6_000;
/** The example pod's grace period is 30 s; the sidecar needs a fraction of it. */
const STOP_MS_MAX = 30_000;
const SERVER_NAME = 'logtender-webhook.logtender.svc';

/** Runs the whole demonstration. Gives the process's exit code: 0 when the sidecar's own summary says that nothing was lost. */
export async function start(options: StartOptions): Promise<number> {
  const clock = systemClock;
  const { out } = options;
  const root = await mkdtemp(join(tmpdir(), 'logtender-start-'));
  const log = createLog({ clock, level: 'error', write: out });
  const shared = { clock, random: systemRandom, log, metrics: createMetrics() };
  out(`1. certificates: a CA and a leaf for ${SERVER_NAME}\n`);
  const certificates = await startLocalCertificates({ ...shared, hosts: [SERVER_NAME, 'localhost', '127.0.0.1'] });
  try {
    const leaf = certificates.source.current();
    out(`   leaf ${leaf?.fingerprint.slice(0, 16) ?? ''}, until ${new Date(leaf?.notAfterMs ?? 0).toISOString()}\n\n`);
    const pod = await admit(options, certificates, shared);
    out(`\n3. the pod as it would be stored\n\n${indent(describePod(pod))}\n`);
    return await runPod(options, pod, root, clock);
  } finally {
    await certificates.close();
    await rm(root, { recursive: true, force: true });
  }
}

/** Starts the webhook, posts the example pod to it over TLS as an API server does, and gives the patched pod. */
async function admit(
  options: StartOptions,
  certificates: LocalCertificates,
  shared: Parameters<typeof watchCluster>[0] extends infer T
    ? Omit<T, 'client'> & { metrics: ReturnType<typeof createMetrics> }
    : never,
): Promise<RunnablePod> {
  const { out } = options;
  const config = webhookConfig(options);
  const client = createMemoryKube();
  await client.create(coreClusterPath('namespaces'), { metadata: { name: 'shop' } });
  await client.create(coreClusterPath('nodes'), {
    metadata: { name: 'node-1' },
    status: { nodeInfo: { kubeletVersion: 'v1.36.3' } },
  });
  const facts = watchCluster({ ...shared, client });
  const events = createEvents({ ...shared, client });
  const record = createRequestRecorder(shared);
  const handler = createHandler({ ...shared, config: () => config, facts, events, record, version: VERSION });
  const server = await startWebhookServer({
    ...shared,
    config: config.server,
    handler,
    certificates: certificates.source,
    onDistrust: () => certificates.repair(),
    record,
  });
  try {
    while (!facts.isReady()) await shared.clock.sleep(5);
    out(
      `2. webhook: listening with TLS on https://127.0.0.1:${server.port}/mutate; posting an AdmissionReview for pod shop/web-1\n`,
    );
    const pod = examplePod(options.sink);
    const answer = await postReview(server.port, await certificates.caBundlePem(), pod);
    for (const warning of answer.warnings ?? []) out(`   Warning: ${warning}\n`);
    if (!answer.allowed)
      throw new OperationalError(
        'REVIEW_INVALID',
        `admit pod: expected an admitted pod, got: ${answer.status?.message ?? ''}`,
      );
    const operations = JSON.parse(Buffer.from(answer.patch ?? 'W10=', 'base64').toString('utf8')) as Parameters<
      typeof applyPatch
    >[1];
    out(`   allowed, ${operations.length} operations\n`);
    return applyPatch(pod, operations) as unknown as RunnablePod;
  } finally {
    await server.drain();
    await events.close();
    await facts.close();
    client.close();
  }
}

function webhookConfig(options: StartOptions): WebhookConfig {
  const raw = {
    cluster: 'demo',
    elasticsearchUrl: options.url,
    cloudwatchEndpoint: options.endpoint,
    awsRegion: options.region,
    defaults: { 'flush-interval': '200ms' },
    server: { host: '127.0.0.1', port: 0, drain: '0ms' },
  };
  const parsed = readWebhookConfig(JSON.parse(JSON.stringify(raw)), { image: IMAGE, checkDefault });
  if (!parsed.ok) throw new OperationalError('USAGE', problemsText(parsed.problems));
  return parsed.value;
}

function examplePod(sink: string): { [key: string]: never } {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web-1',
      namespace: 'shop',
      uid: 'b1f0a3c2-0000-4000-8000-000000000001',
      labels: { app: 'web' },
      annotations: {
        'logging.io/inject': 'true',
        'logging.io/files': '/var/log/app/*.log',
        'logging.io/sink': sink,
      },
    },
    spec: { nodeName: 'node-1', serviceAccountName: 'default', containers: [{ name: 'app', image: 'example/web:1' }] },
  };
  return JSON.parse(JSON.stringify(pod)) as { [key: string]: never };
}

interface ReviewAnswer {
  readonly allowed: boolean;
  readonly patch?: string;
  readonly warnings?: readonly string[];
  readonly status?: { readonly message?: string };
}

/** One AdmissionReview v1 over TLS, the server verified by the caBundle as API servers verify it. */
async function postReview(port: number, caBundle: string, pod: unknown): Promise<ReviewAnswer> {
  const review = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'a0000000-0000-4000-8000-000000000001',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'shop',
      operation: 'CREATE',
      dryRun: false,
      userInfo: { username: 'system:admin' },
      object: pod,
    },
  };
  const call = request({
    host: '127.0.0.1',
    port,
    servername: SERVER_NAME,
    ca: caBundle,
    method: 'POST',
    path: '/mutate?timeout=5s',
    headers: { 'content-type': 'application/json' },
    agent: false,
  });
  call.end(JSON.stringify(review));
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  if (response.statusCode !== 200) {
    throw new OperationalError(
      'REVIEW_INVALID',
      `post AdmissionReview: expected 200, got ${response.statusCode}: ${text}`,
    );
  }
  return (JSON.parse(text) as { response: ReviewAnswer }).response;
}

/** Runs the injected sidecar beside the example app until Ctrl-C or the end of `--once`, and shows its summary. */
async function runPod(options: StartOptions, pod: RunnablePod, root: string, clock: Clock): Promise<number> {
  const { out } = options;
  const sidecar = await prepareSidecar(pod, root, forwarderEntry());
  out(
    `4. the sidecar as a process, the app writing to /var/log/app (here: ${sidecar.locate('app', '/var/log/app')})\n\n`,
  );
  const child = spawn(process.execPath, [...sidecar.args], {
    // Of our own env only what an AWS credential chain and a proxy may need; the rest is what the pod says.
    env: { ...inherited(options.env), ...sidecar.env },
    stdio: ['ignore', 'inherit', 'inherit'],
    // Ctrl-C goes to the whole process group: the sidecar is to hear of it from us, after the app has stopped.
    detached: true,
  });
  const ended = once(child, 'exit');
  const stop = new AbortController();
  const onEnd = (): void => stop.abort();
  options.signal.addEventListener('abort', onEnd);
  if (options.signal.aborted) onEnd();
  void ended.then(onEnd);
  const app = runExampleApp(sidecar.locate('app', '/var/log/app'), clock, stop.signal);
  await clock.sleep(options.once ? ONCE_MS : 2 ** 31 - 1, stop.signal);
  stop.abort();
  const written = await app;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await ended;
  clearTimeout(timer);
  const message = await readFile(sidecar.terminationMessagePath, 'utf8');
  out(`\n5. the app wrote ${written} lines; the sidecar's termination message:\n\n${indent(message.trimEnd())}\n`);
  return child.exitCode === 0 && message !== '' ? 0 : 1;
}

function inherited(env: StartOptions['env']): Record<string, string> {
  const names = Object.keys(env).filter((name) => /^(AWS_|HTTPS?_PROXY$|NO_PROXY$|PATH$|HOME$)/.test(name));
  return Object.fromEntries(names.map((name) => [name, env[name] ?? '']));
}

/** In a build the bundled forwarder (this file is then a chunk in a folder beside it), in a checkout the source. */
function forwarderEntry(): string {
  const bundle = resolve(import.meta.dirname, '../forwarder.mjs');
  return existsSync(bundle) ? bundle : resolve(import.meta.dirname, '../main.ts');
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '   ');
}
