/**
 * What operators order: each request once, in order, whoever crashes where, and a compromised CA is trusted no longer than it must be.
 */
import assert from 'node:assert/strict';

import { chainVerifies, toPem } from '../../certs/bundle.ts';
import type { CertificateFacts, ServingPair } from '../../certs/bundle.ts';
import type { CaState } from '../../certs/ca-state.ts';
import { createFault } from '../../certs/fault.ts';
import type { FaultPoint } from '../../certs/fault.ts';
import type { WritingStep } from '../../certs/apply.ts';
import { openOrders, parseRequest } from '../../certs/orders.ts';
import { createFakeKube } from '../fakes/kube.ts';
import {
  CA_PATH,
  CONFIGURATION_PATH,
  MINUTE_MS,
  setBundle,
  SETTINGS,
  smallWorld,
  TICK_MS,
  TLS_PATH,
} from './small-world.ts';
import type { SmallWorld } from './small-world.ts';

const MERGE_PATCH = 'application/merge-patch+json';
const JSON_PATCH = 'application/json-patch+json';

describe('orders', () => {
  let world: SmallWorld;
  afterEach(() => world.close());

  async function started(): Promise<void> {
    world = await smallWorld();
    world.start();
    await world.pass(1_000);
  }

  async function ask(text: string): Promise<void> {
    const done = await world.kube.others.patch(
      CA_PATH,
      { metadata: { annotations: { 'logging.io/rotate': text } } },
      MERGE_PATCH,
    );
    assert.ok(done.ok);
  }

  async function trusted(): Promise<readonly string[]> {
    const [entry] = await world.entries();
    return entry?.bundle.certificates.map((ca) => ca.fingerprint) ?? [];
  }

  async function isDone(): Promise<boolean> {
    return openOrders(await world.ca(), await world.pair()).length === 0;
  }

  describe('leaf', () => {
    it('a new leaf of the same CA at once, and only one, for as long as the request stands there', async () => {
      await started();
      const before = await world.pair();
      await ask('leaf@2026-01-01T00:00:00Z');
      await world.pass(TICK_MS);
      const after = await world.pair();
      assert.notEqual(after.leaf.fingerprint, before.leaf.fingerprint);
      assert.equal(after.issuer.fingerprint, before.issuer.fingerprint);
      assert.equal(after.endsOldConnections, undefined);
      await world.pass(10 * MINUTE_MS);
      assert.deepEqual(world.steps().slice(3), ['take_up', 'issue_leaf']);
      assert.ok(await isDone());
    });

    it('another id is another request', async () => {
      await started();
      await ask('leaf@1');
      await world.pass(TICK_MS);
      await ask('leaf@2');
      await world.pass(TICK_MS);
      assert.equal(world.steps().filter((step) => step === 'issue_leaf').length, 3);
    });

    it('a new replica that sees the old request does nothing', async () => {
      await started();
      await ask('leaf@1');
      await world.pass(TICK_MS);
      await world.close();
      const steps = world.steps().length;
      world.start();
      await world.pass(10 * MINUTE_MS);
      assert.equal(world.steps().length, steps);
    });

    it('the retired leaf does not come back from memory', async () => {
      await started();
      const before = await world.pair();
      // Taken up and then the Secret is gone before a new leaf was issued.
      world.kube.before = async ({ verb, path }) => {
        if (verb !== 'patch' || path !== TLS_PATH) return;
        world.kube.before = () => {};
        await world.kube.others.delete(TLS_PATH);
      };
      await ask('leaf@1');
      await world.pass(2 * TICK_MS);
      assert.notEqual((await world.pair()).leaf.fingerprint, before.leaf.fingerprint);
    });
  });

  describe('ca', () => {
    it('an ordinary rotation now: trusted, settled, promoted, and the old CA stays trusted until its last leaf ended', async () => {
      await started();
      const old = (await world.ca()).current.certificate.fingerprint;
      await ask('ca@1');
      await world.pass(SETTINGS.settleMs + 2 * TICK_MS);
      assert.deepEqual(world.steps().slice(3), ['take_up', 'generate', 'publish', 'promote', 'issue_leaf']);
      assert.notEqual((await world.pair()).issuer.fingerprint, old);
      assert.ok((await trusted()).includes(old));
      assert.equal((await world.pair()).chain.length, 2, 'with the cross certificate');
      assert.ok(await isDone());
    });

    it('a rotation that is under way counts, and one that is not forgotten yet is waited for', async () => {
      await started();
      await ask('ca@1');
      await world.pass(TICK_MS);
      await ask('ca@2');
      await world.pass(SETTINGS.settleMs + 2 * TICK_MS);
      assert.equal((await world.ca()).generation, 2, 'counts');
      await ask('ca@3');
      await world.pass(10 * MINUTE_MS);
      assert.equal((await world.ca()).generation, 2);
      assert.deepEqual(openOrders(await world.ca(), await world.pair()), ['ca'], 'waits, and says so');
      assert.ok((await world.ca()).previous.length === 1);
    });
  });

  describe('compromised', () => {
    it('a new CA in order, then the old one leaves the bundle, the chain, and old connections', async () => {
      await started();
      const old = (await world.ca()).current.certificate;
      await ask('compromised@1');
      const seen: ServingPair[] = [];
      // The longest of it: two settle times and what ticks add.
      for (let ms = 0; ms < 2 * SETTINGS.settleMs + 4 * TICK_MS; ms += 5_000) {
        await world.pass(5_000);
        const pair = await world.pair();
        const bundle = (await world.entries())[0]?.bundle.certificates ?? [];
        assert.ok(chainVerifies(pair.chain, bundle, world.clock.now()), `after ${ms} ms the served leaf is trusted`);
        if (seen.at(-1)?.leaf.fingerprint !== pair.leaf.fingerprint) seen.push(pair);
      }
      assert.deepEqual(world.steps().slice(3), [
        'take_up',
        'generate',
        'publish',
        'promote',
        'issue_leaf',
        'distrust',
        'publish',
        'forget',
        'issue_leaf',
      ]);
      assert.ok(!(await trusted()).includes(old.fingerprint), 'trusted no more');
      const [, first, last] = seen;
      assert.ok(first !== undefined && last !== undefined && seen.length === 3);
      assert.equal(first.chain.length, 2, 'first with the cross certificate, for caches that are behind');
      assert.equal(last.chain.length, 1, 'at last without');
      assert.deepEqual([first.endsOldConnections, last.endsOldConnections], [true, true]);
      const state = await world.ca();
      assert.deepEqual([state.cross, state.next, state.previous], [undefined, undefined, []]);
      assert.ok(await isDone());
    });

    it('the old CA is trusted for the whole settle time after the new leaf was there to be loaded', async () => {
      await started();
      const old = (await world.ca()).current.certificate.fingerprint;
      await ask('compromised@1');
      while (!world.steps().includes('promote')) await world.pass(1_000);
      await world.pass(SETTINGS.settleMs - 2_000);
      assert.ok((await trusted()).includes(old));
      await world.pass(TICK_MS + 4_000);
      assert.ok(!(await trusted()).includes(old));
    });

    it('the next and the previous CA are gone as well: their keys lay beside it', async () => {
      await started();
      await ask('ca@1');
      await world.pass(SETTINGS.settleMs + 2 * TICK_MS);
      const rotating = await world.ca();
      assert.equal(rotating.previous.length, 1);
      await ask('compromised@2');
      await world.pass(4 * SETTINGS.settleMs + 4 * TICK_MS);
      const kept = await trusted();
      assert.equal(kept.length, 1);
      assert.ok(!kept.includes(rotating.current.certificate.fingerprint));
      assert.ok(await isDone());
      assert.ok(world.steps().filter((step) => step === 'distrust').length === 2, 'one after the other');
    });

    it('in the middle of a rotation the next CA is thrown away and never trusted again', async () => {
      await started();
      await ask('ca@1');
      await world.pass(TICK_MS);
      const next = (await world.ca()).next?.certificate.fingerprint;
      assert.ok(next !== undefined && (await trusted()).includes(next));
      await ask('compromised@1');
      await world.pass(3 * SETTINGS.settleMs + 4 * TICK_MS);
      assert.ok(!(await trusted()).includes(next));
      assert.equal((await trusted()).length, 1);
    });

    it('a bundle that somebody puts back is cleaned of it, and so is a leaf of it', async () => {
      await started();
      const old = (await world.ca()).current.certificate;
      const oldTls = (await world.kube.object(TLS_PATH))['data'];
      await ask('compromised@1');
      await world.pass(3 * SETTINGS.settleMs + 4 * TICK_MS);
      assert.ok(await isDone());
      const kept = (await world.entries())[0]?.bundle.certificates ?? [];
      await world.kube.others.patch(CONFIGURATION_PATH, setBundle(0, toPem([old, ...kept])), JSON_PATCH);
      await world.kube.others.patch(TLS_PATH, [{ op: 'replace', path: '/data', value: oldTls }], JSON_PATCH);
      await world.pass(2 * TICK_MS);
      assert.ok(!(await trusted()).includes(old.fingerprint));
      assert.notEqual((await world.pair()).issuer.fingerprint, old.fingerprint);
    });
  });

  describe('a replica that is killed at any step', () => {
    const steps: ReadonlyArray<WritingStep['kind']> = [
      'take_up',
      'generate',
      'publish',
      'promote',
      'issue_leaf',
      'distrust',
      'forget',
    ];
    for (const step of steps) {
      for (const point of ['before', 'after'] as const satisfies readonly FaultPoint[]) {
        it(`${step}, ${point} the write: the request is executed all the same, once`, async () => {
          await started();
          const before = await world.ca();
          await world.close();
          const fault = createFault(`${step}:${point}`, () => {
            throw new Error('killed');
          });
          const dying = createFakeKube(world.kube.others);
          let isDead = false;
          // Nothing of a dead process reaches the server.
          dying.fail = () =>
            isDead ? { ok: false, kind: 'unavailable', status: 0, text: '', retryAfterMs: 0 } : undefined;
          const replica = world.start(dying, SETTINGS, (kind, at) => {
            try {
              fault(kind, at);
            } catch (error) {
              isDead = true;
              throw error;
            }
          });
          await ask('compromised@1');
          for (let ms = 0; ms < 4 * MINUTE_MS && !isDead; ms += 1_000) await world.pass(1_000);
          assert.ok(isDead, 'the point was reached');
          await replica.close();
          world.start();
          await world.pass(4 * SETTINGS.settleMs + 6 * TICK_MS);
          const state: CaState = await world.ca();
          assert.ok(await isDone());
          assert.equal(state.generation, before.generation + 1, 'one new CA');
          const isTrusted = (ca: CertificateFacts): boolean =>
            ca.fingerprint === before.current.certificate.fingerprint;
          assert.ok(!((await world.entries())[0]?.bundle.certificates ?? []).some(isTrusted));
        });
      }
    }
  });

  it('two replicas execute it once', async () => {
    world = await smallWorld();
    world.start();
    world.start(createFakeKube(world.kube.others));
    await world.pass(2 * TICK_MS);
    const { generation } = await world.ca();
    await ask('compromised@1');
    await world.pass(4 * SETTINGS.settleMs + 6 * TICK_MS);
    assert.equal((await world.ca()).generation, generation + 1);
    assert.ok(await isDone());
  });

  it('what is no request is said and never acted on', async () => {
    for (const text of [
      'everything@1',
      'leaf',
      'leaf@',
      `leaf@${'x'.repeat(65)}`,
      'ca@1 ',
      'CA@1',
      'compromised@../../x',
      'leaf@1\nca@2',
    ]) {
      const request = parseRequest(text);
      assert.ok(request?.ok === false, text);
      assert.match(
        request.problem,
        /logging\.io\/rotate: expected leaf, ca, compromised with @ and an id .*got a text of \d+ characters/,
      );
    }
    assert.equal(parseRequest(undefined), undefined);
    await started();
    await ask('everything@1');
    await world.pass(10 * MINUTE_MS);
    assert.equal(world.steps().length, 3);
    assert.equal(world.rounds.at(-1)?.seen?.request?.ok, false);
  });

  it('a state with orders is whole after writing and reading', async () => {
    await started();
    await ask('compromised@1');
    await world.pass(TICK_MS);
    const { orders } = await world.ca();
    assert.equal(orders?.handled, 'compromised@1');
    assert.equal(orders.compromised.length, 1);
    assert.equal(orders.retiredLeaf, undefined);
  });
});
