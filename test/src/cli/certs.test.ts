/**
 * `logtender certs` over an API in memory with a real replica of certs on it: what the report says of every fault, and that rotate
 * writes one annotation, and waits for what becomes of it.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { startReplica } from '../../../certs/replica.ts';
import type { Replica } from '../../../certs/replica.ts';
import { rotate } from '../../../src/cli/certs.ts';
import { readCerts } from '../../../src/cli/certs-facts.ts';
import { assessCerts, certsText } from '../../../src/cli/certs-status.ts';
import type { CertsReport } from '../../../src/cli/certs-status.ts';
import { ClusterReader } from '../../../src/cli/cluster-reader.ts';
import { parseCertsConfig } from '../../../src/config/certs-config.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { failureOf } from '../../../src/kube/client.ts';
import { corePath, groupPath, webhookConfigurationPath } from '../../../src/kube/paths.ts';
import type { JsonObject } from '../../../webhook/json.ts';
import { cliCluster, INSTALL, putLease } from '../../fakes/cli-cluster.ts';
import { createFakeKube } from '../../fakes/kube.ts';
import type { FakeKube } from '../../fakes/kube.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

async function report(kube: FakeKube, nowMs = systemClock.now()): Promise<CertsReport> {
  const reader = new ClusterReader(kube);
  return assessCerts(await readCerts(reader, INSTALL), reader.gaps, nowMs);
}

function setStatus(kube: FakeKube, status: JsonObject): Promise<unknown> {
  const annotations = { 'logging.io/certs-status': JSON.stringify(status) };
  const path = groupPath('coordination.k8s.io/v1', 'logtender', 'leases', 'logtender-certs');
  return kube.others.patch(path, { metadata: { annotations } }, 'application/merge-patch+json');
}

describe('logtender certs', () => {
  let kube: FakeKube;
  let replica: Replica;

  beforeEach(async () => {
    kube = await cliCluster();
    const waits = { settle: '200ms', tick: '100ms', lease: '1s', restoreGrace: '1s' };
    const parsed = parseCertsConfig({ caLife: '1h', leafLife: '20m', ...waits }, {});
    assert(parsed.ok);
    replica = startReplica({
      client: kube.others,
      config: parsed.value,
      clock: systemClock,
      random: () => 0.5,
      randomBytes,
      log: silentLog,
      metrics: createMetrics(),
      usesLease: true,
    });
    await replica.inOrder;
    // The status comes with the next renewal of the Lease.
    const deadline = systemClock.monotonic() + 5_000;
    while ((await report(kube)).step !== 'in_order' && systemClock.monotonic() < deadline) await systemClock.sleep(20);
  });
  afterEach(() => replica.close());

  it('status: all in order, with generations, ends, step, entries and who serves what', async () => {
    const said = await report(kube);
    assert.deepEqual([said.problems, said.isInOrder, said.generation, said.step], [[], true, 1, 'in_order']);
    assert.deepEqual(
      said.certificates.map(({ role }) => role),
      ['ca', 'leaf'],
    );
    assert.deepEqual(
      said.entries.map(({ trustsServed, certificates }) => [trustsServed, certificates.length]),
      [
        [true, 1],
        [true, 1],
      ],
    );
    assert.deepEqual(said.pods, [
      { name: 'logtender-webhook-1', isReady: true, fingerprint: undefined, servesLeaf: undefined },
    ]);
    const text = certsText(said, systemClock.now());
    assert.match(text, /^generation 1, in_order for \d+/);
    assert.match(text, /^leaf +logtender webhook +[0-9a-f]{12} +\S+Z +19m$/m);
    assert.match(text, /all is in order/);
    assert(!JSON.stringify(said).includes('PRIVATE'), 'no key');
    assert(
      kube.calls.every(({ path }) => !path.includes('logtender-ca')),
      'the Secret of the CA is not touched',
    );
  });

  it('rotate --leaf and --ca: one annotation without content in the answer, and the end is seen', async () => {
    const before = await report(kube);
    for (const kind of ['leaf', 'ca'] as const) {
      let text = '';
      const write = (part: string): void => void (text += part);
      const code = await rotate(kube, { install: INSTALL, kind, waitMs: 20_000, clock: systemClock, write });
      assert.equal(code, 0, text);
      assert.match(text, new RegExp(`^ordered ${kind}@\\d{4}-.*Z: a new [^]*done\\n$`));
    }
    const after = await report(kube);
    assert.deepEqual([after.generation, after.problems], [2, []]);
    const leafOf = (one: CertsReport): unknown => one.certificates.find(({ role }) => role === 'leaf')?.fingerprint;
    assert.notEqual(leafOf(after), leafOf(before));
    assert.match(certsText(after, systemClock.now()), /last order ca@\S+: done/);
    assert.deepEqual(
      kube.calls.filter(({ path }) => path.includes('logtender-ca')).map(({ verb }) => verb),
      ['get', 'patch', 'get', 'patch'],
    );
  }).timeout(30_000);

  it('status says what a person has to look at', async () => {
    await replica.close();
    const now = systemClock.now();
    const iso = (ms: number): string => new Date(ms).toISOString();
    const well = { at: iso(now), step: 'in_order', stepSince: iso(now), isInSync: true, orders: { open: [] } };
    const TABLE: readonly (readonly [JsonObject, RegExp | undefined])[] = [
      [well, undefined],
      [{ ...well, at: iso(now - 10 * 60_000) }, /certs was last heard of at/],
      [{ ...well, step: 'settling', stepSince: iso(now - 5 * 60_000) }, undefined],
      [{ ...well, step: 'promote', stepSince: iso(now - 11 * 60_000) }, /the step promote has been due for 11m/],
      [{ ...well, problem: 'Secret is foreign' }, /certs: Secret is foreign/],
      [
        { ...well, orders: { refused: 'annotation logging.io/rotate: expected' } },
        /logtender certs rotate writes it right/,
      ],
      [{}, /certs was last heard of at no time/],
      [
        { ...well, ca: { name: 'CA', fingerprint: 'f', notAfter: iso(now - 1) } },
        /the ca expired at .*: look at the log of logtender-certs/,
      ],
    ];
    for (const [status, problem] of TABLE) {
      await setStatus(kube, status);
      const { problems, isInOrder } = await report(kube, now);
      assert.deepEqual(
        [problems.length, isInOrder],
        problem === undefined ? [0, true] : [1, false],
        problems.join('\n'),
      );
      if (problem !== undefined) assert.match(problems[0] ?? '', problem);
    }
    await setStatus(kube, well);
    const configuration = webhookConfigurationPath('logtender-injector');
    await kube.others.patch(
      configuration,
      [{ op: 'replace', path: '/webhooks/0/clientConfig/caBundle', value: '' }],
      'application/json-patch+json',
    );
    assert.match((await report(kube, now)).problems.join(), /the caBundle is empty in namespace-ignore\.logtender/);
    await kube.others.delete(configuration);
    assert.match((await report(kube, now)).problems.join(), /the webhook configuration does not exist/);
    await kube.others.delete(corePath('logtender', 'pods', 'logtender-webhook-1'));
    assert.match((await report(kube, now)).problems.join(), /no webhook pod is ready/);
  });
});

describe('logtender certs rotate', () => {
  const order = (kube: FakeKube, waitMs: number, write: (text: string) => void = () => {}): Promise<number> =>
    rotate(kube, { install: INSTALL, kind: 'ca', waitMs, clock: new VirtualClock(), write });

  it('without a Secret and without the right: what to do', async () => {
    const kube = createFakeKube();
    await assert.rejects(
      order(kube, 0),
      /annotate Secret logtender\/logtender-ca: expected the Secret of the CA, got none/,
    );
    kube.fail = () => failureOf(403, 'forbidden');
    await assert.rejects(order(kube, 0), /expected the right to get and patch it, got none/);
  });

  it('says when it was not done in time, and when it was refused', async () => {
    const kube = createFakeKube();
    await kube.others.create(corePath('logtender', 'secrets'), { metadata: { name: 'logtender-ca' } });
    await putLease(kube, { step: 'in_order', orders: { open: [] } });
    let text = '';
    const clock = new VirtualClock();
    const write = (part: string): void => void (text += part);
    const waiting = rotate(kube, { install: INSTALL, kind: 'ca', waitMs: 3_000, clock, write });
    await clock.advance(2_500);
    await clock.advance(500, 0);
    assert.equal(await waiting, 1);
    assert.match(text, /not done in time: not taken up yet/);
  });

  it('an API server that is away for a while ends no wait', async () => {
    const kube = createFakeKube();
    await kube.others.create(corePath('logtender', 'secrets'), { metadata: { name: 'logtender-ca' } });
    await putLease(kube, { step: 'in_order', orders: { open: [] } });
    let text = '';
    const clock = new VirtualClock();
    const write = (part: string): void => void (text += part);
    const waiting = rotate(kube, { install: INSTALL, kind: 'ca', waitMs: 5_000, clock, write });
    await clock.advance(1_500);
    kube.fail = () => ({ ok: false, kind: 'unavailable', status: 0, text: 'ECONNREFUSED', retryAfterMs: 0 });
    await clock.advance(2_000);
    kube.fail = () => undefined;
    await clock.advance(1_500, 0);
    assert.equal(await waiting, 1);
    assert.match(text, /not done in time: .*ECONNREFUSED/);
  });

  /** A Secret with that annotation, and a status of certs from before any order. */
  async function standing(annotation: string, orders: JsonObject): Promise<FakeKube> {
    const kube = createFakeKube();
    const metadata = { name: 'logtender-ca', annotations: { 'logging.io/rotate': annotation } };
    await kube.others.create(corePath('logtender', 'secrets'), { metadata });
    await putLease(kube, { at: new Date(0).toISOString(), step: 'in_order', orders: { open: [], ...orders } });
    return kube;
  }
  const annotationOf = async (kube: FakeKube): Promise<string | undefined> =>
    (await kube.object(corePath('logtender', 'secrets', 'logtender-ca'))).metadata.annotations?.['logging.io/rotate'];

  it('a refusal of what stood there before is not ours; one of a later look is', async () => {
    const kube = await standing('now!', { refused: 'no request' });
    const clock = new VirtualClock();
    let text = '';
    const write = (part: string): void => void (text += part);
    const waiting = rotate(kube, { install: INSTALL, kind: 'ca', waitMs: 60_000, clock, write });
    await clock.advance(2_500);
    assert.doesNotMatch(text, /refused/);
    const at = new Date(clock.now()).toISOString();
    await setStatus(kube, { at, step: 'in_order', orders: { refused: 'no request', open: [] } });
    await clock.advance(1_000, 0);
    assert.equal(await waiting, 1);
    assert.match(text, /refused: no request/);
  });

  it('takes the place of an order that was not taken up only when it does as much', async () => {
    const KINDS = ['leaf', 'ca', 'compromised'] as const;
    for (const [i, before] of KINDS.entries()) {
      for (const [j, kind] of KINDS.entries()) {
        const kube = await standing(`${before}@1`, { handled: 'leaf@0' });
        const given = rotate(kube, { install: INSTALL, kind, waitMs: 0, clock: new VirtualClock(), write: () => {} });
        if (j >= i) assert.equal(await given, 0);
        else await assert.rejects(given, { code: 'KUBE_CONFLICT', message: new RegExp(`got ${before}, not taken up`) });
        assert.match((await annotationOf(kube)) ?? '', new RegExp(`^${j >= i ? kind : before}@`));
      }
    }
  });

  it("an order that was taken up, or was none, is in nobody's way", async () => {
    for (const [annotation, handled] of [
      ['compromised@1', 'compromised@1'],
      ['now!', 'leaf@0'],
    ] as const) {
      const kube = await standing(annotation, { handled });
      assert.equal(await order(kube, 0), 0);
      assert.match((await annotationOf(kube)) ?? '', /^ca@/);
    }
  });

  it('looks again when somebody else orders at the same moment, and gives up when that does not end', async () => {
    const path = corePath('logtender', 'secrets', 'logtender-ca');
    const other = (kube: FakeKube, text: string): Promise<unknown> =>
      kube.others.patch(
        path,
        { metadata: { annotations: { 'logging.io/rotate': text } } },
        'application/merge-patch+json',
      );
    const kube = await standing('leaf@0', { handled: 'leaf@0' });
    kube.before = async ({ verb }) => {
      if (verb === 'patch') await other(kube, 'compromised@1');
    };
    await assert.rejects(order(kube, 0), /got compromised, not taken up yet/);
    const busy = await standing('leaf@0', { handled: 'leaf@0' });
    let writes = 0;
    busy.before = async ({ verb }) => {
      if (verb === 'patch') await other(busy, `leaf@${(writes += 1)}`);
    };
    await assert.rejects(order(busy, 0), /got 5 writes of others/);
    assert.equal(writes, 5);
  });
});
