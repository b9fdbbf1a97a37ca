/** The metrics registry: exposition format, and a bound on the number of series. */
import assert from 'node:assert/strict';
import { createMetrics } from '../../../src/core/metrics.ts';

describe('createMetrics', () => {
  it('exposes counters, gauges and histograms in the text format', () => {
    const metrics = createMetrics();
    metrics.counter('a_total', 'As.').add(2, { reason: 'x"y\n' });
    metrics.gauge('b', 'Bs.').set(1.5);
    const histogram = metrics.histogram('c_seconds', 'Cs.', [0.1, 1]);
    histogram.observe(0.05);
    histogram.observe(0.5);
    assert.equal(
      metrics.expose(),
      [
        '# HELP a_total As.',
        '# TYPE a_total counter',
        'a_total{reason="x\\"y\\n"} 2',
        '# HELP b Bs.',
        '# TYPE b gauge',
        'b 1.5',
        '# HELP c_seconds Cs.',
        '# TYPE c_seconds histogram',
        'c_seconds_bucket{le="0.1"} 1',
        'c_seconds_bucket{le="1"} 2',
        'c_seconds_bucket{le="+Inf"} 2',
        'c_seconds_sum 0.55',
        'c_seconds_count 2',
        '',
      ].join('\n'),
    );
  });

  it('gives the same metric for the same name', () => {
    const metrics = createMetrics();
    metrics.counter('a_total', 'As.').add(1);
    metrics.counter('a_total', 'As.').add(1);
    assert.equal(metrics.counter('a_total', 'As.').value(), 2);
  });

  it('bounds the series of a metric and loses no count', () => {
    const metrics = createMetrics();
    const counter = metrics.counter('a_total', 'As.');
    for (let i = 0; i < 1000; i += 1) counter.add(1, { name: String(i) });
    const lines = metrics
      .expose()
      .split('\n')
      .filter((line) => line.startsWith('a_total{'));
    assert.ok(lines.length <= 257, `${lines.length} series`);
    assert.equal(
      lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0),
      1000,
    );
  });
});
