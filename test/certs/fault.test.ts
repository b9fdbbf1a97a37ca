/**
 * The hook that ends a process at one point of one step: where it strikes, and that it does so once.
 */
import assert from 'node:assert/strict';

import { createFault } from '../../certs/fault.ts';
import { CA_PATH, smallWorld, TICK_MS, TLS_PATH } from './small-world.ts';

describe('fault hook', () => {
  it('before: nothing is written; after: it is; either way another replica finishes', async () => {
    for (const [at, written] of [
      ['issue_leaf:before', false],
      ['issue_leaf:after', true],
    ] as const) {
      const world = await smallWorld();
      let strikes = 0;
      const fault = createFault(at, () => {
        strikes += 1;
        // A killed process does no more: here the round that is under way fails and its replica is closed.
        throw new Error('killed');
      });
      const dying = world.start(world.kube, undefined, fault);
      await world.pass(10);
      assert.equal(strikes, 1, at);
      assert.equal((await world.kube.others.get(TLS_PATH)).ok, written, at);
      assert.ok((await world.kube.others.get(CA_PATH)).ok);
      await dying.close();
      world.start();
      await world.pass(3 * TICK_MS);
      assert.equal((await world.pair()).issuer.fingerprint, (await world.ca()).current.certificate.fingerprint);
      await world.close();
    }
  });

  it('strikes once: a process that outlived it goes on', () => {
    let strikes = 0;
    const fault = createFault('publish:after', () => {
      strikes += 1;
    });
    for (const step of ['publish', 'generate', 'publish'] as const) {
      fault(step, 'before');
      fault(step, 'after');
    }
    assert.equal(strikes, 1);
  });
});
