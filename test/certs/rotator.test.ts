/**
 * The control loop with real certificates against an API in memory: bootstrap, renewal, rotation, repair, restoring, races, crashes.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { chainVerifies, toPem, verifyServing } from '../../certs/bundle.ts';
import type { CertificateFacts } from '../../certs/bundle.ts';
import { newGeneration } from '../../certs/issuer.ts';
import { failureOf } from '../../src/kube/client.ts';
import type { KubeFailure } from '../../src/kube/client.ts';
import { createFakeKube } from '../fakes/kube.ts';
import {
  CA_PATH,
  CONFIGURATION_PATH,
  DAY_MS,
  ENTRIES,
  HOSTS,
  HOUR_MS,
  MINUTE_MS,
  NAMESPACE,
  SETTINGS,
  setBundle,
  smallWorld,
  TICK_MS,
  TLS_PATH,
} from './small-world.ts';
import type { SmallWorld } from './small-world.ts';

const JSON_PATCH = 'application/json-patch+json';
const CONFLICT = failureOf(409, { reason: 'Conflict', message: 'on order' });

describe('rotator', () => {
  let world: SmallWorld;

  afterEach(async () => {
    await world.close();
  });

  async function started(tickMs = TICK_MS): Promise<SmallWorld> {
    world = await smallWorld({ tickMs });
    world.start();
    await world.pass(1_000);
    return world;
  }

  async function foreignCa(lifeMs: number): Promise<CertificateFacts> {
    const options = { ca: { lifeMs, backdateMs: 0 }, leaf: SETTINGS.leaf, hosts: HOSTS, randomBytes };
    return (await newGeneration(options, 1, world.clock.now())).certificate;
  }

  /** Everything that has to hold whenever the world is at rest. */
  async function assertInOrder(): Promise<void> {
    const [state, pair, entries] = [await world.ca(), await world.pair(), await world.entries()];
    assert.deepEqual(verifyServing(pair, HOSTS, world.clock.now()), { ok: true });
    assert.equal(entries.length, ENTRIES.length);
    for (const entry of entries) {
      assert.ok(
        chainVerifies(pair.chain, entry.bundle.certificates, world.clock.now()),
        `${entry.name} trusts the leaf`,
      );
      assert.ok(entry.bundle.isClean);
      const held = entry.bundle.certificates.map((certificate) => certificate.fingerprint);
      assert.ok(held.includes(state.current.certificate.fingerprint), `${entry.name} trusts the current CA`);
    }
  }

  describe('bootstrap', () => {
    it('writes the CA state, then the bundle of every entry, then the leaf', async () => {
      await started();
      assert.deepEqual(world.steps(), ['bootstrap', 'publish', 'issue_leaf']);
      await assertInOrder();
    });

    it('labels its Secrets, makes them Opaque and keeps the CA key out of the webhook’s', async () => {
      await started();
      for (const path of [CA_PATH, TLS_PATH]) {
        const secret = await world.kube.object(path);
        assert.equal(secret['type'], 'Opaque');
        assert.equal(secret.metadata.labels?.['logging.io/owned-by'], 'logtender-certs');
      }
      const { current } = await world.ca();
      const tls = JSON.stringify((await world.kube.object(TLS_PATH))['data']);
      assert.ok(!tls.includes(Buffer.from(current.keyPem).toString('base64').slice(40, 120)));
    });

    it('works without a webhook configuration and publishes once there is one', async () => {
      world = await smallWorld({ hasConfiguration: false });
      world.start();
      await world.pass(1_000);
      assert.deepEqual(world.steps(), ['bootstrap', 'issue_leaf']);
      const { webhookConfiguration } = await import('./small-world.ts');
      await world.kube.others.create(CONFIGURATION_PATH.replace('/logtender-injector', ''), webhookConfiguration());
      await world.pass(TICK_MS);
      await assertInOrder();
    });

    it('two replicas at once agree on one CA', async () => {
      world = await smallWorld();
      const second = createFakeKube(world.kube.others);
      world.start();
      world.start(second);
      await world.pass(2 * TICK_MS);
      await assertInOrder();
      assert.equal(
        (await world.entries())[0]?.bundle.certificates.length,
        1,
        'the CA that lost the race was never trusted',
      );
      assert.equal((await world.ca()).generation, 1);
    });
  });

  describe('renewal', () => {
    it('renews the leaf at two thirds of its life, again and again, under the same CA', async () => {
      await started(6 * HOUR_MS);
      const first = await world.pair();
      await world.pass(19 * DAY_MS);
      assert.equal((await world.pair()).leaf.fingerprint, first.leaf.fingerprint, 'not before');
      await world.pass(1.1 * DAY_MS);
      const second = await world.pair();
      assert.notEqual(second.leaf.fingerprint, first.leaf.fingerprint);
      assert.equal(second.issuer.fingerprint, first.issuer.fingerprint);
      await world.pass(60 * DAY_MS);
      assert.equal(world.steps().filter((step) => step === 'issue_leaf').length, 5);
      await assertInOrder();
    });

    it('after a suspend of months the first look makes everything new', async () => {
      await started();
      world.clock.jump(100 * DAY_MS);
      await world.pass(TICK_MS);
      await assertInOrder();
      world.clock.jump(400 * DAY_MS);
      await world.pass(2 * TICK_MS);
      await assertInOrder();
    });

    it('a clock that jumps ten minutes either way changes nothing', async () => {
      await started();
      const before = (await world.pair()).leaf.fingerprint;
      for (const minutes of [10, -20, 10]) {
        world.clock.jump(minutes * MINUTE_MS);
        await world.pass(5 * TICK_MS);
      }
      assert.equal((await world.pair()).leaf.fingerprint, before);
      assert.equal(world.steps().length, 3);
    });
  });

  it('a CA rotation never serves a leaf that an old or a new bundle refuses', async () => {
    world = await smallWorld({ tickMs: 6 * HOUR_MS });
    const lives = {
      ca: { lifeMs: 60 * DAY_MS, backdateMs: HOUR_MS },
      leaf: { lifeMs: 6 * DAY_MS, backdateMs: HOUR_MS },
    };
    world.start(world.kube, { ...SETTINGS, ...lives });
    await world.pass(1_000);
    const old = (await world.ca()).current.certificate;
    let yesterday: readonly CertificateFacts[] = [];
    for (let day = 0; day < 100; day += 1) {
      await world.pass(DAY_MS);
      await assertInOrder();
      const { chain } = await world.pair();
      // Longer than any cache lags: even yesterday's bundle accepts today's leaf, thanks to the cross certificate.
      assert.ok(yesterday.length === 0 || chainVerifies(chain, yesterday, world.clock.now()), `day ${day}`);
      yesterday = (await world.entries())[0]?.bundle.certificates ?? [];
    }
    const steps = world.steps().filter((step) => step !== 'issue_leaf');
    assert.deepEqual(steps.slice(2, 7), ['generate', 'publish', 'promote', 'forget', 'publish']);
    assert.equal(steps.filter((step) => step === 'promote').length, 2, 'two rotations');
    assert.ok(!yesterday.some((ca) => ca.fingerprint === old.fingerprint), 'the first CA is trusted no more');
  });

  it('right after the promotion the new leaf is accepted by who only knows the old CA', async () => {
    await started(6 * HOUR_MS);
    const old = (await world.ca()).current.certificate;
    for (let day = 0; day < 300 && !world.steps().includes('promote'); day += 1) await world.pass(DAY_MS);
    const { chain, issuer } = await world.pair();
    assert.notEqual(issuer.fingerprint, old.fingerprint);
    assert.equal(chain.length, 2, 'leaf and cross certificate');
    assert.ok(chainVerifies(chain, [old], world.clock.now()));
    assert.ok(chainVerifies(chain, [issuer], world.clock.now()));
  });

  describe('drift of the caBundle', () => {
    const table: ReadonlyArray<readonly [name: string, pem: (world: SmallWorld) => Promise<string>]> = [
      ['emptied', async () => ''],
      ['garbled', async () => 'no certificate at all'],
      ['garbage among good ones', async (w) => `garbage\n${toPem((await w.entries())[0]?.bundle.certificates ?? [])}`],
      ['replaced by another CA', async () => (await foreignCa(DAY_MS)).pem],
      ['doubled', async (w) => toPem((await w.entries())[0]?.bundle.certificates ?? []).repeat(2)],
    ];
    for (const [name, pem] of table) {
      it(`${name}: restored`, async () => {
        await started();
        for (const index of [0, 3])
          await world.kube.others.patch(CONFIGURATION_PATH, setBundle(index, await pem(world)), JSON_PATCH);
        await world.pass(TICK_MS);
        await assertInOrder();
      });
    }

    it('an entry that was added gets the bundle, entries keep their order and everything else', async () => {
      await started();
      const added = {
        name: 'new.logtender.logging.io',
        clientConfig: { url: 'https://127.0.0.1:1/mutate' },
        timeoutSeconds: 7,
      };
      await world.kube.others.patch(CONFIGURATION_PATH, [{ op: 'add', path: '/webhooks/1', value: added }], JSON_PATCH);
      await world.pass(TICK_MS);
      const entries = await world.entries();
      assert.deepEqual(entries.map((entry) => entry.name)[1], added.name);
      assert.ok(entries.every((entry) => entry.bundle.certificates.length === 1));
      const webhooks = (await world.kube.object(CONFIGURATION_PATH))['webhooks'];
      assert.ok(Array.isArray(webhooks));
      assert.deepEqual(
        { ...webhooks[1], clientConfig: { ...webhooks[1].clientConfig, caBundle: undefined } },
        { ...added, clientConfig: { ...added.clientConfig, caBundle: undefined } },
      );
    });

    it('an unknown CA is kept until it expires', async () => {
      await started(HOUR_MS);
      const foreign = await foreignCa(DAY_MS);
      const ours = (await world.ca()).current.certificate;
      await world.kube.others.patch(CONFIGURATION_PATH, setBundle(2, toPem([foreign, ours])), JSON_PATCH);
      await world.pass(HOUR_MS);
      assert.equal((await world.entries())[2]?.bundle.certificates.length, 2);
      assert.equal(world.steps().length, 3, 'and nothing had to be written for it');
      await world.pass(DAY_MS);
      assert.deepEqual(
        (await world.entries())[2]?.bundle.certificates.map((ca) => ca.fingerprint),
        [ours.fingerprint],
      );
    });

    it('somebody who empties it all the time gets at most five repairs a minute', async () => {
      world = await smallWorld();
      const rotator = world.start();
      await world.pass(1_000);
      const before = world.steps().length;
      for (let second = 0; second < 120; second += 1) {
        await world.kube.others.patch(CONFIGURATION_PATH, setBundle(0, ''), JSON_PATCH);
        rotator.wake();
        await world.pass(1_000);
      }
      const repairs = world.steps().length - before;
      assert.ok(repairs >= 8 && repairs <= 12, `${repairs} repairs in two minutes`);
    });
  });

  describe('lost Secrets', () => {
    const corruptions: ReadonlyArray<
      readonly [name: string, data: (data: Record<string, string>) => Record<string, string>]
    > = [
      ['emptied', () => ({})],
      ['without a key', (data) => Object.fromEntries(Object.entries(data).filter(([key]) => !key.endsWith('.key')))],
      [
        'with garbage for a certificate',
        (data) => mapValues(data, (key, value) => (key.endsWith('.crt') ? 'Z2FyYmFnZQ==' : value)),
      ],
      ['cut short', (data) => mapValues(data, (_key, value) => value.slice(0, 200))],
      ['no base64', (data) => mapValues(data, () => '%%%')],
      [
        'with the key of another',
        (data) =>
          mapValues(data, (key, value) =>
            key.endsWith('.key') ? Buffer.from('-----BEGIN PRIVATE KEY-----').toString('base64') : value,
          ),
      ],
    ];
    for (const path of [CA_PATH, TLS_PATH]) {
      const title = path.split('/').at(-1) ?? '';
      it(`${title} deleted: the very same is written again from memory`, async () => {
        await started();
        const before = [await world.ca(), await world.pair()];
        await world.kube.others.delete(path);
        await world.pass(TICK_MS);
        assert.deepEqual([await world.ca(), await world.pair()], before);
      });
      for (const [name, change] of corruptions) {
        it(`${title} ${name}: the very same is written again from memory`, async () => {
          await started();
          const before = [await world.ca(), await world.pair()];
          const data = (await world.kube.object(path))['data'] as Record<string, string>;
          await world.kube.others.patch(path, [{ op: 'replace', path: '/data', value: change(data) }], JSON_PATCH);
          await world.pass(TICK_MS);
          assert.deepEqual([await world.ca(), await world.pair()], before);
        });
      }
    }

    it('the CA lost and nobody remembers: a new one is trusted and settled before the leaf changes', async () => {
      await started();
      const before = await world.pair();
      await world.close();
      await world.kube.others.delete(CA_PATH);
      world.start();
      await world.pass(SETTINGS.restoreGraceMs - 1_000);
      assert.equal(world.steps().at(-1), 'issue_leaf', 'others get time to restore it');
      await world.pass(2_000);
      assert.deepEqual(world.steps().slice(3), ['bootstrap', 'publish']);
      assert.equal((await world.pair()).leaf.fingerprint, before.leaf.fingerprint);
      assert.equal((await world.entries())[0]?.bundle.certificates.length, 2, 'the CA of the served leaf stays');
      await world.pass(SETTINGS.settleMs);
      await assertInOrder();
      assert.notEqual((await world.pair()).issuer.fingerprint, before.issuer.fingerprint);
    });

    it('a replica that remembers wins over one that does not', async () => {
      await started();
      const before = (await world.ca()).current.certificate.fingerprint;
      // The new replica wakes before the old one and finds nothing.
      await world.kube.others.delete(CA_PATH);
      world.start(createFakeKube(world.kube.others));
      await world.pass(SETTINGS.restoreGraceMs + TICK_MS);
      assert.equal((await world.ca()).current.certificate.fingerprint, before);
    });
  });

  describe('what is not ours', () => {
    for (const path of [CA_PATH, TLS_PATH]) {
      it(`a Secret ${path.split('/').at(-1) ?? ''} without our label is never written`, async () => {
        world = await smallWorld();
        const name = path.split('/').at(-1);
        await world.kube.others.create(path.replace(`/${name ?? ''}`, ''), {
          metadata: { name, namespace: NAMESPACE },
          data: { mine: 'eA==' },
        });
        const before = await world.kube.object(path);
        world.start();
        await world.pass(HOUR_MS);
        assert.deepEqual(await world.kube.object(path), before);
        assert.equal(world.rounds.at(-1)?.outcome, 'blocked');
        assert.match(
          world.rounds.at(-1)?.problem ?? '',
          /expected the label logging.io\/owned-by=logtender-certs, got a Secret without it/,
        );
        assert.deepEqual(world.steps(), []);
      });
    }

    it('labels and annotations of others on our Secrets stay', async () => {
      await started(6 * HOUR_MS);
      await world.kube.others.patch(
        TLS_PATH,
        { metadata: { annotations: { theirs: 'yes' } } },
        'application/merge-patch+json',
      );
      await world.pass(25 * DAY_MS);
      assert.equal((await world.kube.object(TLS_PATH)).metadata.annotations?.['theirs'], 'yes');
      assert.ok(world.steps().length > 3, 'the leaf was renewed');
    });
  });

  describe('an API server that fails', () => {
    const failures: ReadonlyArray<readonly [name: string, failure: KubeFailure]> = [
      ['conflicts', CONFLICT],
      ['is unavailable', failureOf(503, 'on order')],
      ['forbids', failureOf(403, { reason: 'Forbidden', message: 'on order' })],
      ['answers nonsense', failureOf(200, 'on order')],
    ];
    for (const [name, failure] of failures) {
      it(`${name} for ten minutes: nothing is lost, then it goes on`, async () => {
        world = await smallWorld();
        world.kube.fail = () => failure;
        world.start();
        await world.pass(10 * MINUTE_MS);
        assert.deepEqual(world.steps(), []);
        assert.ok(world.kube.calls.length < 500, `${world.kube.calls.length} calls in ten minutes`);
        world.kube.fail = () => undefined;
        await world.pass(TICK_MS);
        await assertInOrder();
      });
    }

    it('a write whose answer is lost is not repeated blindly', async () => {
      world = await smallWorld();
      world.kube.loseAnswer = () => true;
      world.start();
      await world.pass(2 * TICK_MS);
      await assertInOrder();
      assert.equal(world.kube.calls.filter((call) => call.verb === 'create').length, 2);
    });

    it('a replica that is killed at any call leaves what the next one finishes', async () => {
      for (let kill = 1; kill <= 14; kill += 1) {
        world = await smallWorld();
        const dying = createFakeKube(world.kube.others);
        let calls = 0;
        dying.fail = () => ((calls += 1) >= kill ? failureOf(503, 'killed') : undefined);
        dying.loseAnswer = () => calls === kill - 1;
        const replica = world.start(dying);
        await world.pass(1_000);
        await replica.close();
        world.start();
        // Grace and settle time, where the first replica died between CA and leaf.
        await world.pass(SETTINGS.restoreGraceMs + SETTINGS.settleMs + 2 * TICK_MS);
        await assertInOrder();
        assert.equal((await world.ca()).generation, 1, `killed at call ${kill}`);
        await world.close();
      }
    });
  });
});

function mapValues(
  data: Record<string, string>,
  change: (key: string, value: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, change(key, value)]));
}
