/**
 * What is old or wrong and may look right: a configuration from before, a backup, a memory that missed a rotation, a clock that is off, a
 * state of a later version. None of them takes a CA away that is needed, or brings one back that is not.
 */
import assert from 'node:assert/strict';

import type { Settings } from '../../certs/decide.ts';
import { noAnswer } from '../../src/kube/client.ts';
import { createFakeKube } from '../fakes/kube.ts';
import type { FakeKube } from '../fakes/kube.ts';
import { CA_PATH, DAY_MS, HOUR_MS, MINUTE_MS, SETTINGS, smallWorld, TICK_MS, TLS_PATH } from './small-world.ts';
import type { SmallWorld } from './small-world.ts';

const MERGE_PATCH = 'application/merge-patch+json';

describe('what is old or wrong', () => {
  let world: SmallWorld;
  afterEach(() => world.close());

  async function ask(text: string): Promise<void> {
    const patch = { metadata: { annotations: { 'logging.io/rotate': text } } };
    assert.ok((await world.kube.others.patch(CA_PATH, patch, MERGE_PATCH)).ok);
  }

  async function trusts(fingerprint: string): Promise<boolean> {
    const entries = await world.entries();
    return entries.some(({ bundle }) => bundle.certificates.some((ca) => ca.fingerprint === fingerprint));
  }

  it('leafLife is shortened: the CA stays trusted for the leaves of before, which a server that is cut off may hold', async () => {
    world = await smallWorld({ tickMs: 6 * HOUR_MS });
    const before = world.start();
    await world.pass(2 * DAY_MS);
    const held = await world.pair();
    await before.close();
    const short: Settings = { ...SETTINGS, leaf: { ...SETTINGS.leaf, lifeMs: DAY_MS } };
    world.start(world.kube, short);
    await ask('leaf@1');
    await world.pass(2 * DAY_MS);
    await ask('ca@2');
    await world.pass(3 * DAY_MS);
    assert.equal((await world.ca()).generation, 2);
    assert.ok(await trusts(held.issuer.fingerprint));
    await world.pass(held.leaf.notAfterMs - world.clock.now());
    assert.ok(await trusts(held.issuer.fingerprint), 'up to its end');
    await world.pass(10 * DAY_MS);
    assert.ok(!(await trusts(held.issuer.fingerprint)), 'and no longer than that takes');
  });

  it('a replica that was cut off while a CA was compromised does not bring it back', async () => {
    world = await smallWorld();
    const view = createFakeKube(world.kube.others);
    const other = world.start();
    world.start(view);
    await world.pass(5 * MINUTE_MS);
    const compromised = (await world.ca()).current.certificate.fingerprint;
    view.fail = () => noAnswer('cut off');
    await ask('compromised@1');
    await world.pass(10 * MINUTE_MS);
    assert.ok(!(await trusts(compromised)));
    await other.close();
    await world.kube.others.delete(CA_PATH);
    await world.kube.others.delete(TLS_PATH);
    view.fail = () => undefined;
    await world.pass(SETTINGS.restoreGraceMs + SETTINGS.settleMs + 2 * TICK_MS);
    assert.ok(!(await trusts(compromised)));
    assert.notEqual((await world.pair()).issuer.fingerprint, compromised);
    assert.deepEqual(world.steps().slice(-3), ['bootstrap', 'publish', 'issue_leaf']);
  });

  it('a backup from before a CA was compromised is undone before its CA is trusted', async () => {
    world = await smallWorld();
    world.start();
    await world.pass(5 * MINUTE_MS);
    const backup = await world.kube.object(CA_PATH);
    const compromised = (await world.ca()).current.certificate.fingerprint;
    await ask('compromised@1');
    await world.pass(10 * MINUTE_MS);
    const [state, steps] = [await world.ca(), world.steps().length];
    const { resourceVersion = '' } = (await world.kube.object(CA_PATH)).metadata;
    const put = { ...backup, metadata: { ...backup.metadata, resourceVersion } };
    assert.ok((await world.kube.others.update(CA_PATH, put)).ok);
    await world.pass(10 * MINUTE_MS);
    assert.deepEqual(await world.ca(), state);
    assert.deepEqual(world.steps().slice(steps), ['restore_ca'], 'nothing was published in between');
    assert.ok(!(await trusts(compromised)));
  });

  for (const remembers of [true, false]) {
    it(`a state of a later version is left alone by ${remembers ? 'who remembers one of ours' : 'a new replica'}`, async () => {
      world = await smallWorld();
      const first = world.start();
      await world.pass(5 * MINUTE_MS);
      if (!remembers) await first.close();
      const object = await world.kube.object(CA_PATH);
      const later = { rotation: Buffer.from('{"schema":2}').toString('base64') };
      assert.ok((await world.kube.others.patch(CA_PATH, { data: later }, MERGE_PATCH)).ok);
      const written = (await world.kube.object(CA_PATH)).metadata.resourceVersion;
      if (!remembers) world.start();
      await world.pass(5 * MINUTE_MS);
      assert.notEqual(object.metadata.resourceVersion, written);
      assert.equal((await world.kube.object(CA_PATH)).metadata.resourceVersion, written);
      assert.match(world.rounds.at(-1)?.problem ?? '', /logtender-ca: rotation: expected schema 1, got 2/);
    });
  }

  describe('a clock that is off', () => {
    /** A view of an API server whose clock is right while ours may not be. */
    function withServerClock(aheadMs: () => number): FakeKube {
      const serverDateMs = (): number => Math.floor((world.clock.now() - aheadMs()) / 1000) * 1000;
      return Object.assign(createFakeKube(world.kube.others), { serverDateMs });
    }

    for (const hours of [-2, 2, -2 * 365 * 24, 400 * 24]) {
      it(`${hours} h: nothing is written, and it says why; put right, all is as it was`, async () => {
        world = await smallWorld();
        let aheadMs = 0;
        world.start(withServerClock(() => aheadMs));
        await world.pass(5 * MINUTE_MS);
        const steps = world.steps().length;
        aheadMs = hours * HOUR_MS;
        world.clock.jump(aheadMs);
        await world.pass(5 * MINUTE_MS);
        assert.equal(world.steps().length, steps);
        const round = world.rounds.at(-1);
        assert.ok(round?.step?.kind === 'wait' && round.step.reason === 'clock_off');
        assert.match(round.problem, hours > 0 ? /got \d+ s ahead/ : /got \d+ s behind/);
        world.clock.jump(-aheadMs);
        aheadMs = 0;
        await world.pass(5 * MINUTE_MS);
        assert.equal(world.steps().length, steps);
        assert.equal(world.rounds.at(-1)?.problem, '');
      });
    }

    it('twenty minutes are what backdating is for: renewals go on', async () => {
      world = await smallWorld();
      world.start(withServerClock(() => 20 * MINUTE_MS));
      await world.pass(5 * MINUTE_MS);
      assert.deepEqual(world.steps(), ['bootstrap', 'publish', 'issue_leaf']);
    });
  });
});
