/**
 * What a server answers to a request as a whole, seen through the retry that every lane has: too large, and broken by one record.
 *
 * May import: src, test.
 */
import assert from 'node:assert/strict';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { Batch } from '../../src/core/record.ts';
import { RetryingSink } from '../../src/pipeline/retrying-sink.ts';
import type { Settlement } from '../../src/pipeline/retrying-sink.ts';
import { ElasticsearchSink } from '../../src/sinks/elasticsearch/sink.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import type { SearchServer } from '../servers/servers.ts';

/** What the server must be started with: a quarter of our largest body, twice our longest line. */
export const SMALL_BODIES = { 'http.max_content_length': '256kb' } as const;

const KIB = 1024;
const BLOCK = Buffer.from('{"create":');

/** Registers the tests; `server` gives one with SMALL_BODIES. Version 7 of Elasticsearch takes an unknown action without a 400. */
export function testRequestLimits(server: () => SearchServer, refusesActions = true): void {
  it('a request above http.max_content_length is halved until it passes; a record above it alone is given up', async () => {
    const index = `large-${process.pid}`;
    const line = (kib: number): string => 'x'.repeat(kib * KIB);
    // A control character is six bytes in JSON: what a line may have at most can be more than such a server takes.
    const lines = [line(100), line(100), line(100), '\u0001'.repeat(100 * KIB), 'small'];
    const { settled, rejected, conflicts } = await settle(server(), index, lines);
    assert.deepEqual([settled, conflicts], [lines.length, []]);
    assert.deepEqual(
      rejected.map(({ index: at, reason }) => [at, reason]),
      [[3, 'too_large']],
    );
    assert.equal(await count(server(), index), lines.length - 1);
  });

  if (!refusesActions) return;
  it('a record that breaks the whole request is found by halves, with the words of the server', async () => {
    const index = `broken-${process.pid}`;
    const lines = Array.from({ length: 9 }, (_, i) => `line ${i}`);
    // No record of ours can: the action of the sixth is spoilt behind the encoder's back.
    const spoil = ({ body }: Batch): void => {
      let at = -1;
      for (let i = 0; i <= 5; i += 1) at = body.indexOf(BLOCK, at + 1);
      assert(at > 0);
      body.write('{"creatX":', at);
    };
    const { settled, rejected } = await settle(server(), index, lines, spoil);
    assert.equal(settled, lines.length);
    assert.deepEqual(
      rejected.map(({ index: at, reason }) => [at, reason]),
      [[5, 'rejected_by_sink']],
    );
    assert.match(rejected[0]?.text ?? '', /400: illegal_argument_exception.*creatX/);
    assert.equal(await count(server(), index), lines.length - 1);
  });
}

async function settle(
  server: SearchServer,
  index: string,
  lines: readonly string[],
  change: (batch: Batch) => void = () => {},
): Promise<Settlement> {
  const config = forwarderConfig({ ELASTICSEARCH_URL: server.url, DATA_STREAM: index });
  const [clock, metrics] = [new VirtualClock(Date.now()), createMetrics()];
  const sink = new ElasticsearchSink({ config, clock, metrics });
  const retrying = new RetryingSink({ sink, clock, random: () => 0, log: silentLog, metrics });
  const encoder = sink.createEncoder();
  const input = Buffer.from(`${lines.join('\n')}\n`);
  assert.equal(encoder.append(sourceInfo(), input, 0, input.length, 0, Date.now()), input.length);
  const batch = encoder.finish();
  change(batch);
  const settlement = await retrying.deliver(batch, {
    sentBefore: () => false,
    signal: AbortSignal.timeout(30_000),
  });
  await sink.close();
  return settlement;
}

async function count(server: SearchServer, index: string): Promise<unknown> {
  await server.request('POST', `/${index}/_refresh`);
  const { body } = await server.request('GET', `/${index}/_count`);
  return (body as { readonly count: number }).count;
}
