/**
 * read = delivered + dropped + pending, through every move.
 */
import assert from 'node:assert/strict';

import { Account } from '../../../src/pipeline/ledger.ts';

describe('ledger account', () => {
  it('balances through every move', () => {
    const account = new Account();
    account.take({ lines: 10, bytes: 1_000 });
    account.assertBalanced();
    account.deliver({ lines: 6, bytes: 600 });
    account.assertBalanced();
    account.drop('too_large', { lines: 1, bytes: 150 });
    account.assertBalanced();
    account.giveBack({ lines: 3, bytes: 250 });
    account.assertBalanced();
    assert.deepEqual(account.read, { lines: 7, bytes: 750 });
    assert.deepEqual(account.delivered, { lines: 6, bytes: 600 });
    assert.deepEqual(account.droppedTotal, { lines: 1, bytes: 150 });
    assert.deepEqual(account.pending, { lines: 0, bytes: 0 });
  });

  it('notices what was settled twice', () => {
    const account = new Account();
    account.take({ lines: 1, bytes: 10 });
    account.deliver({ lines: 1, bytes: 10 });
    account.deliver({ lines: 1, bytes: 10 });
    assert.throws(() => account.assertBalanced(), /nothing is settled twice/);
  });

  it('forgets what is pending when it is saved, and nothing else', () => {
    const account = new Account();
    account.take({ lines: 5, bytes: 50 });
    account.deliver({ lines: 2, bytes: 20 });
    account.drop('hold_limit', { lines: 1, bytes: 10 });
    account.duplicates = 1;
    const again = new Account(structuredClone(account.save()));
    again.assertBalanced();
    assert.deepEqual(again.read, { lines: 3, bytes: 30 });
    assert.deepEqual(again.save(), account.save());
  });

  it('adds accounts up', () => {
    const one = new Account({
      delivered: { lines: 1, bytes: 10 },
      dropped: { expired: { lines: 2, bytes: 20 } },
      duplicates: 1,
    });
    one.absorb({ delivered: { lines: 3, bytes: 30 }, dropped: { expired: { lines: 1, bytes: 5 } }, duplicates: 0 });
    one.assertBalanced();
    assert.deepEqual(one.read, { lines: 7, bytes: 65 });
    assert.deepEqual(one.dropped.get('expired'), { lines: 3, bytes: 25 });
  });
});
