/** The metrics port over the library: the same text as the small registry for what both say, and a bound on the series. */
import assert from 'node:assert/strict';

import { createPrometheusMetrics } from '../../../src/admin/prometheus.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import type { Metrics } from '../../../src/core/metrics.ts';

/** Samples of our own metrics, one a line, in any order. */
async function samples(metrics: Metrics): Promise<readonly string[]> {
  const text = await metrics.expose();
  return text
    .split('\n')
    .filter((line) => /^(# (HELP|TYPE) )?x_/.test(line))
    .toSorted();
}

function fill(metrics: Metrics): void {
  metrics.counter('x_total', 'Xs.').add(2, { reason: 'a"b\n', status: '200' });
  metrics.counter('x_total', 'Xs.').add(1, { reason: 'a"b\n', status: '200' });
  metrics.gauge('x_now', 'Now.').set(1.5);
  const histogram = metrics.histogram('x_seconds', 'Seconds.', [0.0005, 1]);
  for (const value of [0.0004, 0.5, 7]) histogram.observe(value);
  metrics.counter('x_unused_total', 'Nothing yet.');
  const which = metrics.gauge('x_info', 'Which.');
  which.set(1, { name: 'old' });
  which.only(1, { name: 'new' });
}

describe('createPrometheusMetrics', () => {
  it('says the same as the small registry', async () => {
    const [library, own] = [createPrometheusMetrics(), createMetrics()];
    for (const metrics of [library, own]) fill(metrics);
    assert.deepEqual(await samples(library), await samples(own));
    assert.equal(library.counter('x_total', '').value({ reason: 'a"b\n', status: '200' }), 3);
    assert.equal(library.gauge('x_now', '').value(), 1.5);
    assert.equal(library.gauge('x_never', '').value(), undefined);
  });

  it('bounds the series of a metric and loses no count', async () => {
    const metrics = createPrometheusMetrics();
    const counter = metrics.counter('x_total', 'Xs.');
    for (let i = 0; i < 1000; i += 1) counter.add(1, { name: String(i), kind: 'k' });
    const lines = (await samples(metrics)).filter((line) => line.startsWith('x_total{'));
    assert(lines.length <= 257, `${lines.length} series`);
    assert.equal(
      lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0),
      1000,
    );
    assert(lines.some((line) => line.startsWith('x_total{name="other",kind="other"} ')));
  });

  it('tells what the process costs, and two registries know nothing of each other', async () => {
    const [one, two] = [createPrometheusMetrics(), createPrometheusMetrics()];
    one.counter('x_total', 'Xs.').add(1);
    assert.deepEqual(await samples(two), []);
    assert.match(await two.expose(), /^process_resident_memory_bytes \d+$/m);
    assert.match(await two.expose(), /^nodejs_eventloop_lag_p99_seconds /m);
  });

  it('a name stands for one kind of metric', () => {
    const metrics = createPrometheusMetrics();
    metrics.counter('x_total', 'Xs.');
    assert.throws(() => metrics.gauge('x_total', 'Xs.'), /x_total is a counter/);
  });
});
