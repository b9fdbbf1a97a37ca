/**
 * The Lease: one holder at a time, taken over after its end, given back at the end, harmless when it cannot be had.
 */
import assert from 'node:assert/strict';

import { createLease } from '../../certs/lease.ts';
import type { Lease } from '../../certs/lease.ts';
import { silentLog } from '../../src/core/log.ts';
import { failureOf } from '../../src/kube/client.ts';
import { groupPath } from '../../src/kube/paths.ts';
import { createFakeKube } from '../fakes/kube.ts';
import type { FakeKube } from '../fakes/kube.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';

const PATH = groupPath('coordination.k8s.io/v1', 'logtender', 'leases', 'logtender-certs');

describe('lease', () => {
  let clock = new VirtualClock();
  let kube = createFakeKube();
  let open: Lease[] = [];
  let acquired: string[] = [];

  beforeEach(() => {
    clock = new VirtualClock();
    kube = createFakeKube();
    open = [];
    acquired = [];
  });
  afterEach(() => Promise.all(open.map((lease) => lease.close())));

  function start(identity: string, view: FakeKube): Lease {
    const lease = createLease({
      client: view,
      clock,
      random: () => 0.5,
      log: silentLog,
      namespace: 'logtender',
      name: 'logtender-certs',
      identity,
      durationMs: 15_000,
      onAcquired: () => acquired.push(identity),
    });
    open.push(lease);
    return lease;
  }

  it('has one holder, who keeps it', async () => {
    const first = start('a', createFakeKube(kube.others));
    await clock.quiet(1);
    const second = start('b', createFakeKube(kube.others));
    for (let i = 0; i < 20; i += 1) {
      await clock.advance(5_000, 2);
      assert.deepEqual([first.isHeld(), second.isHeld()], [true, false]);
    }
    const spec = (await kube.object(PATH))['spec'] as Record<string, unknown>;
    assert.equal(spec['holderIdentity'], 'a');
    assert.equal(spec['leaseDurationSeconds'], 15);
    assert.match(String(spec['renewTime']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.deepEqual(acquired, ['a']);
  });

  it('goes over when the holder falls silent, and never belongs to two', async () => {
    const silent = createFakeKube(kube.others);
    const first = start('a', silent);
    await clock.quiet(1);
    const second = start('b', createFakeKube(kube.others));
    await clock.advance(10_000, 2);
    silent.fail = () => failureOf(503, 'cut off');
    for (let i = 0; i < 40; i += 1) {
      await clock.advance(1_000, 2);
      assert.ok(!(first.isHeld() && second.isHeld()), `${i} s after the cut both hold it`);
    }
    assert.ok(second.isHeld());
    assert.deepEqual(acquired, ['a', 'b']);
  });

  it('is given back at the end', async () => {
    const first = start('a', createFakeKube(kube.others));
    await clock.quiet(1);
    const second = start('b', createFakeKube(kube.others));
    await clock.quiet(2);
    await first.close();
    await clock.advance(5_000);
    assert.ok(second.isHeld(), 'without waiting for its end');
    const spec = (await kube.object(PATH))['spec'] as Record<string, unknown>;
    assert.equal(spec['leaseTransitions'], 3, 'to a, given back, to b');
  });

  it('is held by nobody where it cannot be read', async () => {
    kube.fail = () => failureOf(403, { reason: 'Forbidden', message: 'on order' });
    const lease = start('a', kube);
    await clock.advance(60_000);
    assert.equal(lease.isHeld(), false);
  });
});
