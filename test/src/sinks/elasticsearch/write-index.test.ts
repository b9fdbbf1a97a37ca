/**
 * When a resent record may be stored twice: only where the write index may have changed since.
 */
import assert from 'node:assert/strict';
import type { Place } from '../../../../src/sinks/elasticsearch/classify.ts';
import { WriteIndexes } from '../../../../src/sinks/elasticsearch/write-index.ts';

const created = (index: string): Place => ({ index, isNew: true });
const known = (index: string): Place => ({ index, isNew: false });

describe('WriteIndexes', () => {
  it('counts a record that was created in another backing index than the one that was learned', () => {
    const indexes = new WriteIndexes();
    assert(indexes.mustAsk('logs', false, 0));
    indexes.learn('logs', '.ds-logs-2026.11.28-000004', 0);
    assert(!indexes.mayBeTwice('logs', created('.ds-logs-2026.11.28-000004'), 'once'));
    assert(indexes.mayBeTwice('logs', created('.ds-logs-2026.11.29-000005'), 'once'));
    assert(!indexes.mayBeTwice('logs', created('.ds-logs-2026.11.29-000005'), 'none'), 'it never went out');
    assert(!indexes.mustAsk('logs', false, 9_999));
    assert(indexes.mustAsk('logs', false, 10_000), 'what was learned grows old');
    assert(indexes.mustAsk('logs', true, 1), 'a resend is always looked at');
  });

  it('counts when nothing was learned, unless there never was a rollover', () => {
    const indexes = new WriteIndexes();
    assert(indexes.mayBeTwice('logs', created('.ds-logs-2026.11.28-000002'), 'once'));
    assert(indexes.mayBeTwice('logs', created('.ds-logs-000011'), 'once'));
    assert(!indexes.mayBeTwice('logs', created('.ds-logs-2026.11.28-000001'), 'once'));
    assert(!indexes.mayBeTwice('logs', created('.ds-logs-000001'), 'earlier'));
    assert(!indexes.mayBeTwice('logs', created('logs-000001'), 'once'), 'an alias');
    assert(indexes.mayBeTwice('logs', created('other-000001'), 'once'), 'an alias that was given another index');
    assert(!indexes.mayBeTwice('logs', created('logs'), 'once'), 'a plain index knows every id');
  });

  it('what an earlier process sent is not excused by what this one learned, maybe after the rollover', () => {
    const indexes = new WriteIndexes();
    indexes.learn('logs', '.ds-logs-000005', 0);
    assert(indexes.mayBeTwice('logs', created('.ds-logs-000005'), 'earlier'));
    assert(!indexes.mayBeTwice('logs', known('.ds-logs-000005'), 'earlier'));
  });

  it('what went out earlier and since then counts wherever it stands, but in the first generation', () => {
    const indexes = new WriteIndexes();
    indexes.learn('logs', '.ds-logs-000005', 0);
    for (const place of [created, known]) {
      assert(indexes.mayBeTwice('logs', place('.ds-logs-000005'), 'earlier_and_since'));
      assert(indexes.mayBeTwice('logs', place('.ds-logs-000006'), 'earlier_and_since'));
      assert(!indexes.mayBeTwice('logs', place('.ds-logs-000001'), 'earlier_and_since'));
      assert(!indexes.mayBeTwice('logs', place('logs'), 'earlier_and_since'), 'a plain index knows every id');
    }
  });

  it('a conflict may be with a resend of which the answer was lost as well', () => {
    const indexes = new WriteIndexes();
    indexes.learn('logs', '.ds-logs-000004', 0);
    assert(!indexes.mayBeTwice('logs', known('.ds-logs-000005'), 'once'), 'the one sending came after the rollover');
    assert(indexes.mayBeTwice('logs', known('.ds-logs-000005'), 'several'));
    assert(!indexes.mayBeTwice('logs', known('.ds-logs-000004'), 'several'));
  });

  it('asks once for a plain index, and forgets rather than grows', () => {
    const indexes = new WriteIndexes();
    indexes.learn('plain', 'plain', 0);
    assert(!indexes.mustAsk('plain', false, 1_000_000));
    for (let i = 0; i < 300; i += 1) indexes.learn(`other-${i}`, 'x', 0);
    assert(indexes.mustAsk('plain', false, 0));
  });
});
