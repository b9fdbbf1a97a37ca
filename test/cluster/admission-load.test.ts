/**
 * Many pods at once, and replicas that come and go while pods are created: nothing fails, every pod has its sidecar.
 *
 * Figures are printed, not asserted.
 */
import assert from 'node:assert/strict';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '../../src/core/clock.ts';
import { REVIEW_BYTES_MAX } from '../../src/core/limits.ts';
import { requireServer } from '../servers/require-server.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { connectApi, inParallel } from './api-connection.ts';
import type { ApiConnection } from './api-connection.ts';
import { eventually, install, sumOf } from './installation.ts';
import type { Installation } from './installation.ts';
import { ASKS, createNamespace, podOf, sidecarOf } from './pods.ts';
import type { Fields, Pod } from './pods.ts';
import { replicate } from './replicas.ts';
import type { Replica, Replicas } from './replicas.ts';

const STORM_PODS = 3_000;
/** What the ReplicaSet controller and others have under way at a time, together. */
const STORM_WIDTH = 96;
/** Half a minute on two cores of their own; six times that where others work on them as well. */
const STORM_MS_MAX = 180_000;
const LOAD_WIDTH = 8;
const ANSWERED = 'logtender_admission_requests_total';
const IN_FLIGHT = 'logtender_admission_in_flight_bytes';
/** The largest body but for its last byte. */
const HELD_BYTES = REVIEW_BYTES_MAX - 1;
/**
 * A byte budget that one held body fills, and the longest time that it may be held: the eight of the default take a busy machine longer
 * than the ten seconds after which the first is ended. The small bodies of a storm are far below it.
 */
const SERVER = { inFlightBytesMax: REVIEW_BYTES_MAX, requestTimeout: '30s' };
const CONFIG = 'cluster: test\n';

describe('admission under load', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let installed: Installation;
  let replicas: Replicas;
  let api: ApiConnection;

  before(async function () {
    plane = await requireServer(this, 'control-plane');
    await plane.registerNode();
    api = connectApi(plane, STORM_WIDTH);
    installed = await install(plane, { webhook: CONFIG });
    replicas = await replicate(plane, installed, { count: 2, config: CONFIG, server: SERVER });
    for (const name of ['storm', 'rolling', 'overload'])
      await createNamespace(plane, name, { 'logging.io/inject': 'true', 'logging.io/failure-policy': 'fail' });
    // The API server leads to the replicas once its copy of the configuration does.
    await eventually('the balancer to be asked', async () => {
      await api.request('POST', '/api/v1/namespaces/storm/pods?dryRun=All', podOf('probe', ASKS));
      return replicas.balancer.accepted > 0 ? true : undefined;
    });
  });
  after(async function () {
    this.timeout(60_000);
    api?.close();
    await replicas?.stop();
    await installed?.uninstall();
  });

  const create = async (namespace: string, pod: Fields, query = ''): Promise<string | undefined> => {
    const answer = await api.request('POST', `/api/v1/namespaces/${namespace}/pods${query}`, pod);
    if (answer.status !== 201) return `${answer.status} ${JSON.stringify(answer.body)}`;
    return sidecarOf(answer.body as Pod)?.restartPolicy === 'Always' ? undefined : 'created without a native sidecar';
  };

  it(`${STORM_PODS} pods asked for at once in a fail namespace are all created, all with sidecar`, async function () {
    this.timeout(STORM_MS_MAX);
    const before = await Promise.all(replicas.current.map(answered));
    const startedMs = systemClock.monotonic();
    const latencies: number[] = [];
    // No scheduler looks at them: what is measured is their creation.
    const spec = { schedulerName: 'nobody' };
    const failures = await inParallel(Array.from({ length: STORM_PODS }), STORM_WIDTH, async (_, i) => {
      const beganMs = systemClock.monotonic();
      const failure = await create('storm', podOf(`storm-${i}`, ASKS, spec));
      latencies.push(systemClock.monotonic() - beganMs);
      return failure;
    });
    const seconds = (systemClock.monotonic() - startedMs) / 1000;
    assert.deepEqual([...new Set(failures)], [undefined]);
    // One pod and how many more there are (API reference, ListMeta.remainingItemCount); what each looks like its creation has said.
    const { body } = await api.request('GET', '/api/v1/namespaces/storm/pods?limit=1');
    assert.equal((body as { metadata: { remainingItemCount: number } }).metadata.remainingItemCount, STORM_PODS - 1);
    const shares = await Promise.all(
      replicas.current.map(async (replica, i) => (await answered(replica)) - (before[i] ?? 0)),
    );
    assert.ok(
      shares.every((share) => share > STORM_PODS / 10),
      `both replicas had their share: ${shares.join(', ')}`,
    );
    const at = (share: number): string =>
      `${Math.round(latencies.toSorted((a, b) => a - b)[Math.floor(share * latencies.length)] ?? 0)} ms`;
    process.stdout.write(
      `      ${STORM_PODS} pods, ${STORM_WIDTH} at a time: ${seconds.toFixed(1)} s, ` +
        `p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(0.9999)}; replicas answered ${shares.join(' and ')}\n`,
    );
    // In the background, by the namespace controller.
    await api.request('DELETE', '/api/v1/namespaces/storm');
  });

  it('a rolling restart of the replicas under load fails no creation (B8 34)', async () => {
    const rolling = new AbortController();
    const failures: string[] = [];
    let created = 0;
    const load = async (worker: number): Promise<void> => {
      while (!rolling.signal.aborted) {
        const failure = await create('rolling', podOf(`load-${worker}`, ASKS), '?dryRun=All');
        if (failure === undefined) created += 1;
        else failures.push(failure);
      }
    };
    const loads = Promise.all(Array.from({ length: LOAD_WIDTH }, (_, worker) => load(worker)));
    // As the Deployment says (maxUnavailable 0, maxSurge 1): a new one is ready before an old one goes.
    const old = replicas.current.map((replica) => replica.port);
    for (let i = 0; i < old.length; i += 1) {
      await replicas.add();
      await replicas.removeOldest();
    }
    rolling.abort();
    await loads;
    assert.deepEqual(failures, []);
    assert.ok(replicas.current.every((replica) => !old.includes(replica.port)));
    for (const replica of replicas.current) assert.ok((await answered(replica)) > 0, 'a new replica was asked');
    assert.ok(created > 50, `${created} created`);
    process.stdout.write(`      ${created} creations while both replicas were replaced, 0 failed\n`);
  });

  it('an overloaded webhook answers 503 with Retry-After, and the API server asks again with success (B8 36)', async () => {
    const refused = async (): Promise<number> => {
      const all = await Promise.all(replicas.current.map((replica) => replica.metrics()));
      return sumOf(
        all.flatMap((text) => text.split('\n').filter((line) => line.includes('"overloaded"'))).join('\n'),
        ANSWERED,
      );
    };
    const held = await Promise.all(replicas.current.map(fillBudget));
    // From here on nothing but the creation can be refused.
    const before = await refused();
    const creation = create('overload', podOf('waits', ASKS));
    await eventually('a refusal', async () => ((await refused()) > before ? true : undefined));
    for (const socket of held) socket.destroy();
    assert.equal(await creation, undefined);
  });
});

async function answered(replica: Replica): Promise<number> {
  return sumOf(await replica.metrics(), ANSWERED);
}

/** A connection that fills the byte budget of a replica with a body that never ends; one that a busy machine refuses is replaced. */
async function fillBudget(replica: Replica): Promise<TLSSocket> {
  let held: TLSSocket | undefined;
  return eventually('a full budget', async () => {
    if (held === undefined || held.destroyed) held = await holdBody(replica.port);
    return sumOf(await replica.metrics(), IN_FLIGHT) >= HELD_BYTES ? held : undefined;
  });
}

/** Undefined when it was refused before the body was out. */
function holdBody(port: number): Promise<TLSSocket | undefined> {
  return new Promise((resolve, reject) => {
    // Whom we talk to does not matter here: it is a process of this test.
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      const head = `POST /mutate HTTP/1.1\r\nhost: logtender\r\ncontent-type: application/json\r\n`;
      socket.write(`${head}content-length: ${REVIEW_BYTES_MAX}\r\n\r\n`);
      socket.write(Buffer.alloc(HELD_BYTES, ' '), () => resolve(socket));
    });
    // Whoever gets an answer holds nothing any more.
    socket.once('data', () => socket.destroy());
    // Who refuses a body may do it in the middle of it; who is not there is no refusal.
    socket.once('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNREFUSED' ? reject(error) : undefined));
    socket.once('close', () => resolve(undefined));
  });
}
