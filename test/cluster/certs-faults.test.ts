/**
 * What may happen to certificate managers, API servers and webhook replicas while pods are created all the time: nothing of it costs a
 * creation, and every rotation ends.
 *
 * One installation for the whole file: two API servers on one etcd, three webhook replicas behind one address, two certificate managers
 * (the second reaches its API server over a relay). The cases build on one another, in this order. The load runs from the second on.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { parseCaState, writeCaState } from '../../certs/ca-state.ts';
import type { CaState } from '../../certs/ca-state.ts';
import { crossCertificate, newGeneration } from '../../certs/issuer.ts';
import { entriesOfSecret } from '../../certs/secret-store.ts';
import { parseServingPair } from '../../certs/serving-state.ts';
import { systemClock } from '../../src/core/clock.ts';
import { isRecord } from '../../src/kube/client.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { corePath, groupPath, webhookConfigurationPath } from '../../src/kube/paths.ts';
import { TcpRelay } from '../fakes/tcp-relay.ts';
import { ask } from '../servers/http-json.ts';
import { requireOwn } from '../servers/require-server.ts';
import { startControlPlane } from '../servers/servers.ts';
import type { ControlPlane } from '../servers/servers.ts';
import type { AdmissionLoad } from '../soak/admission-load.ts';
import { seriesSum } from '../soak/admission-meter.ts';
import type { AdmissionMeter } from '../soak/admission-meter.ts';
import { createSession } from '../soak/session.ts';
import type { SoakSession } from '../soak/session.ts';
import type { CertsReplica } from './fleet.ts';
import { eventually } from './installation.ts';
import { startStorm } from './write-storm.ts';

const CA_SECRET = corePath('logtender', 'secrets', 'logtender-ca');
const TLS_SECRET = corePath('logtender', 'secrets', 'logtender-tls');
const CONFIGURATION = webhookConfigurationPath('logtender-injector');
const LEASE = groupPath('coordination.k8s.io/v1', 'logtender', 'leases', 'logtender-certs');
/**
 * The CA lives long and rotates when it is asked to, so that no slow machine can let it expire in the middle of ten crashes. The leaf
 * is short, because the old CA is forgotten when the last leaf of it has expired; its 30 s are more than the crashes take for which
 * nobody can issue a new one.
 */
const SCALED = 'caLife: 30m\nleafLife: 30s\nsettle: 1s\npruneMargin: 1s\nrestoreGrace: 3s\ntick: 1s\nlease: 2s';
/** A leaf is due when a third of its life is left, and up to 2 % earlier; certificates know whole seconds. */
const NOT_DUE_MS = 12_000;
const NEARLY_DUE_MS = 14_000;
const OVERDUE_MS = 8_500;
/** Who wrote something looks at it well within this time. */
const LOOK_MS = 500;
const STOPPED_MS = 90_000;
const RENEWED_MS_MAX = 60_000;
const STORM_PAUSE_MS = 5;
/** Six writes make a rotation; that many were tried in vain at least, else the storm was none. */
const LOST_RACES_MIN = 3;
const CUT_MS = 10_000;

describe('certificates under faults', function () {
  this.timeout(240_000);
  // The cases build on one another.
  this.bail(true);
  let plane: ControlPlane;
  let relay: TcpRelay;
  let session: SoakSession;
  let client: KubeClient;
  let load: AdmissionLoad;
  let meter: AdmissionMeter;
  let requests = 0;
  let first: CertsReplica;
  let second: CertsReplica;

  before(async function () {
    plane = await requireOwn(this, 'control-plane', () => startControlPlane({ apiServers: 2 }));
    relay = new TcpRelay(plane.apiServers[1]?.url ?? '');
    await relay.start();
    session = await createSession(plane, {
      certs: SCALED,
      webhooks: 3,
      certsReplicas: 2,
      certsUrl: (replica) => (replica === 1 ? relay.url.replace('http:', 'https:') : undefined),
      perSecond: 50,
    });
    const [a, b] = session.fleet.certs;
    const admin = session.clients[1];
    assert(a !== undefined && b !== undefined && admin !== undefined);
    [first, second, client] = [a, b, admin];
  });
  after(async () => {
    await load?.stop();
    await session?.stop();
    await relay?.stop();
    await plane?.stop();
  });

  /** Nothing was refused, nothing passed without sidecar, and the API servers agree. */
  async function assertUnharmed(): Promise<void> {
    const { refused, bare, unanswered, failures } = load.counts();
    assert.deepEqual({ refused, bare, unanswered }, { refused: 0, bare: 0, unanswered: 0 }, failures.join('\n'));
    assert.deepEqual(await meter.growth(), { failOpen: 0, callErrors: 0 });
  }

  async function caState(): Promise<CaState | undefined> {
    const read = await client.get(CA_SECRET);
    const parsed = read.ok ? parseCaState(entriesOfSecret(read.value)) : undefined;
    return parsed?.ok === true ? parsed.value : undefined;
  }

  async function caFingerprint(): Promise<string | undefined> {
    return (await caState())?.current.certificate.fingerprint;
  }

  async function remove(path: string): Promise<void> {
    const removed = await client.delete(path);
    assert.ok(removed.ok, `delete ${path}`);
  }

  /** The first replica is killed at that point once it gets there by itself. */
  async function dieAt(fault: string): Promise<void> {
    first.launch(fault);
    await first.ended();
  }

  /** The first replica runs and is killed at that point of the step that the change brings about. */
  async function dieAfterChange(fault: string, change: () => Promise<void>): Promise<void> {
    await first.start(fault);
    await change();
    await first.ended();
  }

  it('a first start that is killed before and after each of its steps still comes to its end (B8 3)', async () => {
    for (const step of ['bootstrap', 'publish', 'issue_leaf']) {
      for (const point of ['before', 'after']) await dieAt(`${step}:${point}`);
    }
    await session.fleet.start();
    ({ load, meter } = await session.begin());
  });

  it('a CA Secret that is deleted while one replica lives comes back with the same CA (B8 6)', async () => {
    const before = await caFingerprint();
    assert.ok(before !== undefined);
    await first.halt('SIGKILL');
    await first.start('restore_ca:before');
    // The other one stands still, so that it is the first that acts, and dies before it has written.
    second.signal('SIGSTOP');
    await remove(CA_SECRET);
    await first.ended();
    second.signal('SIGCONT');
    assert.equal(await eventually('the CA state again', caFingerprint), before);
    await assertUnharmed();
  });

  it('a leader that stands still for 90 s, and the other one killed before and after every step: rotations end (B8 3)', async () => {
    await eventually('the second replica as holder of the Lease', async () => {
      const lease = await client.get(LEASE);
      const spec = lease.ok && isRecord(lease.value['spec']) ? lease.value['spec'] : {};
      return spec['holderIdentity'] === second.name ? true : undefined;
    });
    const stoppedMs = systemClock.monotonic();
    second.signal('SIGSTOP');
    const before = await caFingerprint();
    await dieAfterChange('restore_leaf:after', removeYoungLeaf);
    await dieAfterChange('restore_ca:after', () => remove(CA_SECRET));
    assert.equal(await caFingerprint(), before, 'the same CA again');
    await dieAfterChange('restore_leaf:before', removeYoungLeaf);
    // Nobody who runs remembers the leaf: a new one of the same CA.
    await dieAt('issue_leaf:after');
    await requestRotation();
    for (const step of ['generate', 'publish', 'promote', 'issue_leaf', 'forget']) {
      for (const point of ['before', 'after']) await dieAt(`${step}:${point}`);
    }
    await eventually('the rotation to be seen', async () =>
      session.rotations.counts().rotations === 1 ? true : undefined,
    );
    await dieAfterChange('abandon:before', addExpiredNext);
    await dieAt('abandon:after');
    await first.start();
    assert.equal((await caState())?.next, undefined);
    assert.equal(session.rotations.counts().beginnings, 0);
    await systemClock.sleep(Math.max(0, STOPPED_MS - (systemClock.monotonic() - stoppedMs)));
    await assertUnharmed();
  });

  it('a manager that stood still while the leaf fell due renews it at once when it goes on (B8 17)', async () => {
    // The other one ends just before the leaf is due, so that nobody renews it.
    await eventually('a leaf that is nearly due', async () =>
      (await leafLeftMs()) < NEARLY_DUE_MS ? true : undefined,
    );
    await first.halt('SIGKILL');
    await eventually('an overdue leaf', async () => ((await leafLeftMs()) < OVERDUE_MS ? true : undefined));
    const resumedMs = systemClock.monotonic();
    second.signal('SIGCONT');
    await eventually('a renewed leaf', async () => ((await leafLeftMs()) > NEARLY_DUE_MS ? true : undefined));
    const tookMs = systemClock.monotonic() - resumedMs;
    assert.ok(tookMs < RENEWED_MS_MAX, `renewed after ${tookMs} ms`);
    await first.start();
    await assertUnharmed();
  });

  /** How much longer the leaf in the Secret is valid. */
  async function leafLeftMs(): Promise<number> {
    const read = await client.get(TLS_SECRET);
    const pair = read.ok ? parseServingPair(entriesOfSecret(read.value)) : undefined;
    return pair?.ok === true ? pair.value.leaf.notAfterMs - systemClock.now() : 0;
  }

  /** As an operator does it. */
  async function requestRotation(): Promise<void> {
    requests += 1;
    const annotations = { 'logging.io/rotate': `ca@${requests}` };
    const asked = await client.patch(CA_SECRET, { metadata: { annotations } }, 'application/merge-patch+json');
    assert.ok(asked.ok, 'the annotation');
  }

  /** A leaf that is nearly due is not worth restoring: a new one is issued instead. */
  async function removeYoungLeaf(): Promise<void> {
    await eventually('a young leaf', async () => ((await leafLeftMs()) > NOT_DUE_MS ? true : undefined));
    // Who wrote it looks at it before it is gone: only what was seen in the Secret is remembered.
    await systemClock.sleep(LOOK_MS);
    await remove(TLS_SECRET);
  }

  /** The state as it is after a rotation that was begun and then left alone for longer than the new CA lives. */
  async function addExpiredNext(): Promise<void> {
    const state = await caState();
    assert.ok(state?.next === undefined && state !== undefined);
    const rules = { lifeMs: 1_000, backdateMs: 1_000 };
    const options = { ca: rules, leaf: rules, hosts: [], randomBytes };
    const pastMs = systemClock.now() - 60_000;
    const next = await newGeneration(options, state.generation + 1, pastMs);
    const cross = crossCertificate(options, state.current, next, pastMs);
    const entries = Object.entries(writeCaState({ ...state, next, cross }));
    const data = Object.fromEntries(entries.map(([key, text]) => [key, Buffer.from(text).toString('base64')]));
    const written = await client.patch(CA_SECRET, { data }, 'application/merge-patch+json');
    assert.ok(written.ok, 'the state with a next CA that has expired');
  }

  it('conflicts without end, a cut network, an API server that restarts and a webhook replica that is replaced: rotations end', async () => {
    const before = session.rotations.counts();
    const storm = startStorm({
      client,
      clock: systemClock,
      paths: [CA_SECRET, TLS_SECRET, CONFIGURATION],
      pauseMs: STORM_PAUSE_MS,
    });
    const cut = async (): Promise<void> => {
      await relay.stop();
      await systemClock.sleep(CUT_MS);
      await relay.start();
    };
    const restart = async (): Promise<void> => {
      await meter.beforeHalt(0);
      const back = load.spare(0);
      await plane.haltApiServer();
      await plane.resumeApiServer();
      back();
    };
    const replace = async (): Promise<void> => {
      await session.fleet.addWebhook();
      const [oldest] = session.fleet.webhooks;
      assert(oldest !== undefined);
      await session.fleet.removeWebhook(oldest);
    };
    await Promise.all([requestRotation(), cut(), replace()]);
    await restart();
    await eventually('a whole rotation', async () =>
      session.rotations.counts().rotations > before.rotations ? true : undefined,
    );
    await storm.stop();
    await assertUnharmed();
    assert.equal(session.rotations.counts().beginnings, before.beginnings);
    const lost = await lostRaces();
    assert.ok(lost >= LOST_RACES_MIN, `${lost} compare-and-swaps were lost to ${storm.writes()} writes`);
  });

  async function lostRaces(): Promise<number> {
    const pages = await Promise.all(
      session.fleet.certs.map(({ adminPort }) => ask(`http://127.0.0.1:${adminPort}/metrics`)),
    );
    return pages
      .map(({ body }) => seriesSum(String(body).split('\n'), 'logtender_certs_rounds_total', 'outcome="lost_race"'))
      .reduce((sum, count) => sum + count, 0);
  }

  it('the judges of this file see a webhook that is gone', async () => {
    for (const { process } of session.fleet.webhooks) await process.halt('SIGKILL');
    await eventually('a refused creation', async () => (load.counts().refused > 0 ? true : undefined));
    const { creations, refused, bare } = await load.stop();
    const growth = await meter.growth();
    assert.ok(growth.callErrors >= refused && refused > 0, `${refused} refused, ${growth.callErrors} counted`);
    assert.equal(bare, 0);
    assert.ok(creations > 4_000, `${creations} creations`);
  });
});
