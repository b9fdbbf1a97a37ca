/**
 * Copies of dead records: they come once, an outage is outlived, and what cannot be copied is counted and never waited for.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../../../src/core/log.ts';
import { createMetrics } from '../../../../src/core/metrics.ts';
import { DeadLetterCopy } from '../../../../src/sinks/s3/dead-letter-copy.ts';
import { forwarderConfig } from '../../../fakes/forwarder-config.ts';
import { FAKE_KEYS, FakeS3 } from '../../../fakes/s3-server.ts';
import { VirtualClock } from '../../../fakes/virtual-clock.ts';

describe('DeadLetterCopy', () => {
  const origin = { sink: 'elasticsearch', container: 'app', path: '/a.log', source: 'AAAABBBBCCCCDDDD', offset: 7 };
  const lines = Buffer.from('{"record":"x"}\n');
  const fake = new FakeS3();
  const clock = new VirtualClock(Date.UTC(2026, 10, 28, 13, 5));
  let dir = '';
  const open = (bucket: string): { copy: DeadLetterCopy; uncopied: () => number } => {
    const metrics = createMetrics();
    const config = forwarderConfig({
      S3_ENDPOINT: fake.server.url,
      S3_BUCKET: bucket,
      AWS_REGION: fake.region,
      SINK_SECRET_DIR: dir,
    });
    const copy = new DeadLetterCopy({ config, clock, random: () => 0.5, log: silentLog, metrics });
    return { copy, uncopied: () => metrics.counter('logtender_dead_letter_uncopied_total', '').value() };
  };

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'logtender-secret-'));
    writeFileSync(join(dir, 'aws-access-key-id'), FAKE_KEYS.accessKeyId);
    writeFileSync(join(dir, 'aws-secret-access-key'), FAKE_KEYS.secretAccessKey);
    await fake.server.start();
  });
  after(async () => {
    rmSync(dir, { recursive: true });
    await fake.server.stop();
  });

  it('puts the lines as they are, once, also when an answer is lost', async () => {
    const { copy, uncopied } = open(fake.bucket);
    fake.server.faults.push({ status: 503 }, 'cut_after');
    copy.copy(origin, lines, 1);
    const ended = copy.end(new AbortController().signal);
    // One pause after each of the two failures; the request's own time limit sleeps meanwhile, and must not be reached.
    while (fake.server.requests < 3) await clock.advance(1_000, 0);
    await ended;
    assert.deepEqual(
      fake.objects.map(({ key, body }) => [key.replace(/_\d+\.ndjson$/, ''), body.toString()]),
      [
        [
          'test/shop/web/dead-letter/year=2026/month=11/day=28/hour=13/web-7d9f-x2x_app_AAAABBBBCCCCDDDD_7_elasticsearch',
          lines.toString(),
        ],
      ],
    );
    assert.equal(uncopied(), 0);
  });

  it('counts what the end or the bound left uncopied', async () => {
    const { copy, uncopied } = open('no-such-bucket');
    copy.copy(origin, lines, 2);
    copy.copy(origin, Buffer.alloc(5 * 1024 * 1024), 3);
    assert.equal(uncopied(), 3);
    const end = new AbortController();
    end.abort();
    await copy.end(end.signal);
    assert.equal(uncopied(), 5);
    copy.copy(origin, lines, 1);
    assert.equal(uncopied(), 6);
  });
});
