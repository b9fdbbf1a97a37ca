/**
 * The last words fit a termination message and say everything.
 */
import assert from 'node:assert/strict';

import { cutBytes, exitSummary, TERMINATION_MESSAGE_BYTES_MAX } from '../../../src/pipeline/exit-summary.ts';
import { Account } from '../../../src/pipeline/ledger.ts';

describe('exit summary', () => {
  it('says what became of every line', () => {
    const account = new Account({
      delivered: { lines: 7, bytes: 70 },
      dropped: { too_large: { lines: 1, bytes: 10 }, hold_limit: { lines: 0, bytes: 512 } },
      duplicates: 2,
    });
    account.take({ lines: 3, bytes: 30 });
    const text = exitSummary(
      [{ sink: 'elasticsearch', account, unreadBytes: 12, trouble: 'unreachable: refused' }],
      ['hello'],
    );
    assert.equal(
      text,
      'hello\nelasticsearch: read=11 delivered=7 dropped=1 (too_large=1 hold_limit=512B) pending=3 duplicates=2 unread_bytes=12 ' +
        'trouble=unreachable: refused',
    );
  });

  it('fits a termination message', () => {
    const sinks = Array.from({ length: 200 }, () => ({
      sink: 'ä',
      account: new Account(),
      unreadBytes: 0,
      trouble: undefined,
    }));
    assert(Buffer.byteLength(exitSummary(sinks)) <= TERMINATION_MESSAGE_BYTES_MAX);
  });

  it('cuts between characters', () => {
    for (let bytes = 4; bytes < 20; bytes += 1) {
      const cut = cutBytes('aé😀'.repeat(4), bytes);
      assert(Buffer.byteLength(cut) <= bytes);
      assert(!cut.includes('�'));
      assert('aé😀'.repeat(4).startsWith(cut));
    }
  });
});
