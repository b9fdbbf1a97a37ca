/**
 * webhook.yaml while the process runs: all or nothing, the last good one kept, what takes a restart said, each change told once.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parseWebhookConfig } from '../../src/config/webhook-config.ts';
import type { WebhookConfig } from '../../src/config/webhook-config.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createLog, silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { configFileAt, createConfigSource } from '../../webhook/config-source.ts';
import type { ConfigNotice, ConfigSource } from '../../webhook/config-source.ts';
import { checkDefault } from '../../webhook/settings.ts';
import { ask, clusterFacts, reviewOf, webhookConfig } from '../fakes/webhook.ts';
import { createHandler } from '../../webhook/handler.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';

const parse = (text: string): ReturnType<typeof parseWebhookConfig> =>
  parseWebhookConfig(text, { image: 'logtender:test', checkDefault });

function parsed(text: string): WebhookConfig {
  const result = parse(text);
  assert(result.ok);
  return result.value;
}

/** Longest wait for a change that nobody hinted at, with the two looks that prove the file whole. */
const NOTICED_MS = 11_000;

class World {
  text: string | Error;
  readonly clock = new VirtualClock();
  readonly metrics = createMetrics();
  readonly notices: ConfigNotice[] = [];
  readonly lines: string[] = [];
  readonly source: ConfigSource;
  reads = 0;
  hint: () => void = () => {};

  constructor(text: string) {
    this.text = text;
    this.source = createConfigSource({
      started: { config: parsed(text), text },
      file: {
        read: async () => {
          this.reads += 1;
          if (this.text instanceof Error) throw this.text;
          return this.text;
        },
        watch: (onHint) => {
          this.hint = onHint;
          return () => {};
        },
      },
      parse,
      tell: (notice) => this.notices.push(notice),
      clock: this.clock,
      log: createLog({ clock: this.clock, level: 'debug', write: (line) => this.lines.push(line) }),
      metrics: this.metrics,
    });
  }

  async change(text: string | Error, ms = NOTICED_MS): Promise<void> {
    this.text = text;
    await this.clock.advance(ms);
  }

  metric(name: string): string | undefined {
    return new RegExp(`^${name} (.*)$`, 'm').exec(this.metrics.expose())?.[1];
  }

  count(result: string): number {
    return this.metrics.counter('logtender_config_reloads_total', '').value({ result });
  }
}

describe('configuration that is reloaded', () => {
  let world: World;
  afterEach(() => world.source.close());

  it('a good change holds from the next request on, without a hint within ten seconds', async () => {
    world = new World('cluster: one');
    await world.change('cluster: two\npaused: true\n');
    assert.deepEqual([world.source.current().cluster, world.source.current().paused], ['two', true]);
    assert.deepEqual([world.count('applied'), world.notices, world.source.note()], [1, [], undefined]);
    assert.equal(world.metric('logtender_paused'), '1');
    assert.match(world.lines.join(''), /"configuration applied","changed":\["cluster","paused"\]/);
    assert(!world.lines.join('').includes('two'), 'no value in the log');
  });

  it('a hint is followed within a second', async () => {
    world = new World('cluster: one');
    world.text = 'cluster: two';
    await world.clock.quiet(1);
    world.hint();
    await world.clock.advance(1_000);
    assert.equal(world.source.current().cluster, 'two');
  });

  it('a bad one changes nothing, and every problem is said once: log, notice, metric, readiness line', async () => {
    world = new World('cluster: one\nimage: a\n');
    await world.change('cluster: two\nimagge: b\nserver:\n  prt: 1\n');
    assert.deepEqual([world.source.current().cluster, world.source.current().image], ['one', 'a']);
    assert.equal(world.count('refused'), 1);
    assert.match(
      world.source.note() ?? '',
      /^the file is wrong, .*line 2: imagge: expected a known key .*did you mean image\?.* \(and 1 more\)$/,
    );
    assert.deepEqual(
      world.notices.map(({ kind }) => kind),
      ['refused'],
    );
    assert.match(world.notices[0]?.text ?? '', /line 2: imagge.*line 4: server\.prt/);
    assert.match(world.lines.join(''), /"level":"error".*configuration refused.*imagge.*server\.prt/);
    const since = world.metric('logtender_config_bad_since_timestamp_seconds');
    await world.clock.advance(120_000);
    assert.deepEqual([world.count('refused'), world.notices.length], [1, 1], 'the same text is no news');
    await world.change('cluster: [');
    assert.equal(world.count('refused'), 2);
    assert.equal(world.metric('logtender_config_bad_since_timestamp_seconds'), since, 'bad since the first');
  });

  const MARKER = 'opensesame';
  for (const [name, text, want] of [
    ['a password in a URL', `elasticsearchUrl: https://me:${MARKER}@host`, /line 1: elasticsearchUrl: expected a URL/],
    [
      'an API key in a URL',
      `cloudwatchEndpoint: https://host/?apikey=${MARKER}`,
      /line 1: cloudwatchEndpoint: expected/,
    ],
    ['a password that looks like an alias', `cluster: one\nawsRegion: *${MARKER}`, /line 2: \(file\): expected YAML/],
    ['a password that is no YAML', `cluster: "${MARKER}" ${MARKER}`, /line 1: \(file\): expected YAML without [A-Z_]+/],
    ['a default', `defaults: { flush-interval: ${MARKER} }`, /line 1: defaults\.flush-interval: expected a duration/],
    ['a value whose hint repeats it', 'image: 815815815', /line 1: image: expected an image reference/],
  ] as const) {
    it(`what is wrong is told without its value: ${name}`, async () => {
      world = new World('cluster: zero');
      await world.change(text);
      assert.equal(world.count('refused'), 1);
      const told = [world.source.note() ?? '', world.notices[0]?.text ?? '', world.lines.join('')];
      for (const one of told) {
        assert.match(one, want);
        assert.doesNotMatch(one, new RegExp(`${MARKER}|815815815`));
      }
    });
  }

  it('a file that is put right, or back to what it was, ends the matter', async () => {
    world = new World('cluster: one');
    await world.change('clustr: two');
    assert.notEqual(world.source.note(), undefined);
    await world.change('cluster: one');
    assert.deepEqual([world.source.note(), world.count('applied')], [undefined, 1]);
    assert.equal(world.metric('logtender_config_bad_since_timestamp_seconds'), '0');
  });

  it('a file that is gone is said once, and read again when it is back', async () => {
    world = new World('cluster: one');
    await world.change(new Error('ENOENT'), 60_000);
    assert.deepEqual([world.source.current().cluster, world.count('unreadable')], ['one', 1]);
    assert.match(world.source.note() ?? '', /cannot be read.*ENOENT/);
    await world.change('cluster: one');
    assert.deepEqual([world.source.note(), world.count('applied')], [undefined, 1]);
  });

  it('what takes a restart keeps its value and is said; the rest of the file holds', async () => {
    world = new World('cluster: one\nserver: { port: 1 }\n');
    await world.change('cluster: two\nserver: { port: 2 }\nlogLevel: debug\n');
    const { cluster, server, logLevel } = world.source.current();
    assert.deepEqual([cluster, server.port, logLevel], ['two', 1, 'info']);
    assert.deepEqual(
      world.notices.map(({ kind }) => kind),
      ['restart_needed'],
    );
    assert.match(world.notices[0]?.text ?? '', /^logLevel, server: /);
    assert.equal(world.metric('logtender_config_restart_needed'), '1');
    await world.change('cluster: three\nserver: { port: 2 }\nlogLevel: debug\n');
    assert.equal(world.notices.length, 1, 'said once');
    await world.change('cluster: three\nserver: { port: 1 }\n');
    assert.equal(world.metric('logtender_config_restart_needed'), '0');
  });

  it('a file that is being written is taken when it is whole', async () => {
    world = new World('cluster: one');
    await world.clock.quiet(1);
    world.text = 'clus';
    world.hint();
    await world.clock.advance(300);
    world.text = 'cluster: two';
    await world.clock.advance(1_500);
    assert.deepEqual([world.source.current().cluster, world.count('refused')], ['two', 0]);
  });

  it('a swarm of hints costs a handful of reads', async () => {
    world = new World('cluster: one');
    await world.clock.quiet(1);
    for (let i = 0; i < 1_000; i += 1) {
      world.hint();
      await world.clock.advance(1);
    }
    assert(world.reads <= 6, `${world.reads} reads`);
  });

  it('a mounted ConfigMap is followed over the swap of its links', async function () {
    this.timeout(10_000);
    world = new World('');
    const folder = mkdtempSync(join(tmpdir(), 'logtender-config-'));
    const write = (generation: string, text: string): void => {
      mkdirSync(join(folder, generation));
      writeFileSync(join(folder, generation, 'webhook.yaml'), text);
      symlinkSync(generation, join(folder, '..data_tmp'));
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    };
    write('..first', 'cluster: one');
    symlinkSync('..data/webhook.yaml', join(folder, 'webhook.yaml'));
    const file = configFileAt(join(folder, 'webhook.yaml'));
    const text = await file.read();
    const source = createConfigSource({
      started: { config: parsed(text), text },
      file,
      parse,
      tell: () => {},
      clock: systemClock,
      log: silentLog,
      metrics: createMetrics(),
    });
    write('..second', 'cluster: two');
    // The watch alone: the poll would take ten seconds.
    const deadline = systemClock.monotonic() + 5_000;
    while (source.current().cluster !== 'two' && systemClock.monotonic() < deadline) await systemClock.sleep(20);
    assert.equal(source.current().cluster, 'two');
    await source.close();
    rmSync(folder, { recursive: true });
  });

  it('the status of a pod names the configuration that it was injected by', async () => {
    world = new World('');
    let config = webhookConfig();
    const handler = createHandler({
      config: () => config,
      facts: clusterFacts(),
      events: { announce: () => {}, close: async () => {} },
      clock: world.clock,
      log: silentLog,
      record: () => {},
      version: '0.0.0-test',
    });
    const pod = {
      metadata: { name: 'p', annotations: { 'logging.io/inject': 'true' } },
      spec: { containers: [{ name: 'app' }] },
    };
    const hash = async (): Promise<string> =>
      /\\"config\\":\\"([0-9a-f]{12})/.exec(JSON.stringify((await ask(handler, reviewOf(pod))).operations))?.[1] ?? '';
    const first = await hash();
    config = webhookConfig({ paused: false, logLevel: 'debug' });
    assert.equal(await hash(), first, 'what concerns the webhook alone does not count');
    config = webhookConfig({ defaults: { sink: 'elasticsearch' } });
    const second = await hash();
    assert(first.length === 12 && second.length === 12 && first !== second, `${first} ${second}`);
  });
});
