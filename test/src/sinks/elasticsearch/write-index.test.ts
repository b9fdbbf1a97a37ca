/**
 * When a resent record may be stored twice: only where the write index may have changed since.
 */
import assert from 'node:assert/strict';
import { WriteIndexes } from '../../../../src/sinks/elasticsearch/write-index.ts';

describe('WriteIndexes', () => {
  it('counts a record that was created in another backing index than the one that was learned', () => {
    const indexes = new WriteIndexes();
    assert(indexes.mustAsk('logs', false, 0));
    indexes.learn('logs', '.ds-logs-2026.11.28-000004', 0);
    assert(!indexes.mayBeTwice('logs', '.ds-logs-2026.11.28-000004'));
    assert(indexes.mayBeTwice('logs', '.ds-logs-2026.11.29-000005'));
    assert(!indexes.mustAsk('logs', false, 9_999));
    assert(indexes.mustAsk('logs', false, 10_000), 'what was learned grows old');
    assert(indexes.mustAsk('logs', true, 1), 'a resend is always looked at');
  });

  it('counts when nothing was learned, unless there never was a rollover', () => {
    const indexes = new WriteIndexes();
    assert(indexes.mayBeTwice('logs', '.ds-logs-2026.11.28-000002'));
    assert(indexes.mayBeTwice('logs', '.ds-logs-000011'));
    assert(!indexes.mayBeTwice('logs', '.ds-logs-2026.11.28-000001'));
    assert(!indexes.mayBeTwice('logs', 'logs'), 'a plain index knows every id');
  });

  it('asks once for a plain index, and forgets rather than grows', () => {
    const indexes = new WriteIndexes();
    indexes.learn('plain', 'plain', 0);
    assert(!indexes.mustAsk('plain', false, 1_000_000));
    for (let i = 0; i < 300; i += 1) indexes.learn(`other-${i}`, 'x', 0);
    assert(indexes.mustAsk('plain', false, 0));
  });
});
