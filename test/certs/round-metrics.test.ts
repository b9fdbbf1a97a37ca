/** What alert rules live on: series from the first moment, the end of a bundle that is emptied, no success while somebody fights. */
import assert from 'node:assert/strict';

import { createRoundMetrics } from '../../certs/round-metrics.ts';
import type { Round } from '../../certs/rotator.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { CONFIGURATION_PATH, ENTRIES, setBundle, SETTINGS, smallWorld } from './small-world.ts';
import type { SmallWorld } from './small-world.ts';

const CONTEXT = { step: 'in_order', stepAgeMs: 0, isInSync: true };

describe('round metrics', () => {
  let world: SmallWorld;
  const metrics = createMetrics();
  const count = createRoundMetrics({ metrics, ca: SETTINGS.ca, leaf: SETTINGS.leaf });
  const success = (): number | undefined => metrics.gauge('logtender_certs_last_success_timestamp_seconds', '').value();
  const bundleEnd = (): number | undefined =>
    metrics.gauge('logtender_certs_not_after_seconds', '').value({ role: 'bundle' });
  const lastRound = (): Round => {
    const round = world.rounds.at(-1);
    assert.ok(round !== undefined);
    return round;
  };

  before(async () => {
    world = await smallWorld();
  });
  after(() => world.close());

  it('are there before the first round: a manager that never succeeds is seen, and the first publish', () => {
    const text = metrics.expose();
    assert.match(text, /^logtender_certs_last_success_timestamp_seconds 0$/m);
    assert.match(text, /^logtender_certs_steps_total\{step="publish"\} 0$/m);
  });

  it('a bundle that was emptied has no end', async () => {
    world.start();
    await world.pass(1_000);
    count(lastRound(), CONTEXT);
    assert.ok((bundleEnd() ?? 0) > 0);
    const { seen } = lastRound();
    assert.ok(seen?.configuration.status === 'present');
    for (const index of ENTRIES.keys())
      await world.kube.others.patch(CONFIGURATION_PATH, setBundle(index, ''), 'application/json-patch+json');
    await world.pass(60_000);
    const emptied = world.rounds.find(
      (round) =>
        round.seen?.configuration.status === 'present' &&
        round.seen.ca.status === 'valid' &&
        world.rounds.indexOf(round) > world.rounds.findIndex((one) => one.seen === seen) &&
        round.seen.configuration.entries.every(({ bundle }) => bundle.certificates.length === 0),
    );
    assert.ok(emptied !== undefined, 'a round saw it');
    count(emptied, CONTEXT);
    assert.equal(bundleEnd(), 0);
  });

  it('to wait because somebody fights over the caBundle is no success; to wait in order is one', () => {
    const round = lastRound();
    const { seen } = round;
    assert.ok(seen !== undefined);
    const at = (nowMs: number, reason: 'in_order' | 'flapping_bundle'): Round => ({
      ...round,
      outcome: 'waited',
      step: { kind: 'wait', reason, waitMs: 0 },
      seen: { ...seen, nowMs },
    });
    count(at(1_000_000, 'in_order'), CONTEXT);
    assert.equal(success(), 1_000);
    count(at(2_000_000, 'flapping_bundle'), CONTEXT);
    assert.equal(success(), 1_000);
    count(at(3_000_000, 'in_order'), CONTEXT);
    assert.equal(success(), 3_000);
  });
});
