/**
 * Objects are closed by size and by age, and a request that has a name keeps its range over a restart, whatever the other files do meanwhile:
 * the engine with the encoder of S3 over real files, its destination in memory.
 */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PLAIN_RULES } from '../../../src/config/record-rules.ts';
import { READ_BYTES } from '../../../src/core/limits.ts';
import { silentLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { Forwarder } from '../../../src/pipeline/forwarder.ts';
import { namedObject } from '../../../src/sinks/s3/object-key.ts';
import { S3Sink } from '../../../src/sinks/s3/sink.ts';
import type { Delivery, Sink } from '../../../src/sinks/sink.ts';
import { forwarderConfig } from '../../fakes/forwarder-config.ts';
import { MemoryDisk } from '../../fakes/memory-state-files.ts';
import { seededRandom } from '../../fakes/seeded-random.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

const OBJECT_BYTES = 1024 * 1024;
const OBJECT_AGE_MS = 1_000;
const SCAN_MS = 1_000;
const LINE = `${'x'.repeat(199)}\n`;
const FILES = ['a', 'b', 'c'];
const LIVES = 30;

/** Stores objects by name; after a number of them its answers are lost. */
class NamedObjects {
  /** Key -> its range, `source from to`. */
  readonly objects = new Map<string, { readonly source: string; readonly from: number; readonly to: number }>();
  answersLeft = 0;

  sink(clock: VirtualClock): Sink {
    const config = forwarderConfig({ S3_BUCKET: 'logs', S3_OBJECT_BYTES: String(OBJECT_BYTES), S3_OBJECT_AGE: '1s' });
    const real = new S3Sink({ config, clock, metrics: createMetrics() });
    return {
      name: real.name,
      pace: real.pace,
      createEncoder: () => real.createEncoder(),
      close: () => real.close(),
      deliver: async (batch, { selection, promise }): Promise<Delivery> => {
        const made = namedObject(batch, selection, 'none');
        const { key = made.key } = (await promise?.(made)) ?? {};
        const isThere = this.objects.has(key);
        this.objects.set(key, { source: /[^/]+(?=_\d+-)/.exec(key)?.[0] ?? '', from: made.from, to: made.to });
        if (this.answersLeft === 0) return new Promise<Delivery>(() => {});
        this.answersLeft -= 1;
        return { status: 'delivered', duplicates: isThere ? batch.records : 0 };
      },
    };
  }

  /** Bytes that stand in two objects. */
  overlap(): number {
    let bytes = 0;
    const ends = new Map<string, number>();
    const sorted = [...this.objects.values()].toSorted((a, b) => a.from - b.from);
    for (const { source, from, to } of sorted) {
      const end = ends.get(source) ?? 0;
      bytes += Math.max(0, Math.min(end, to) - from);
      ends.set(source, Math.max(end, to));
    }
    return bytes;
  }

  /** Bytes that stand in any. */
  covered(): number {
    const bytes = [...this.objects.values()].reduce((sum, { from, to }) => sum + to - from, 0);
    return bytes - this.overlap();
  }
}

function openForwarder(options: {
  readonly folder: string;
  readonly clock: VirtualClock;
  readonly disk: MemoryDisk;
  readonly life: number;
  readonly isAlive: () => boolean;
}): Promise<Forwarder> {
  const { folder, clock, disk, life, isAlive } = options;
  return Forwarder.open({
    files: [{ container: 'app', path: '/log/*.log', directory: '/log', mount: folder }],
    sinks: ['s3'],
    uid: 'uid',
    epoch: `epoch-${life}`,
    flushIntervalMs: OBJECT_AGE_MS,
    rules: PLAIN_RULES,
    stateFiles: disk.mount(isAlive),
    clock,
    random: () => 0.5,
    log: silentLog,
    metrics: createMetrics(),
    watch: false,
    bootId: 'boot',
  });
}

describe('objects', () => {
  it('are closed by their size at once, and by the age of their first record', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'logtender-objects-'));
    const clock = new VirtualClock();
    const destination = new NamedObjects();
    destination.answersLeft = Number.POSITIVE_INFINITY;
    const forwarder = await openForwarder({ folder, clock, disk: new MemoryDisk(), life: 1, isAlive: () => true });
    forwarder.attach(destination.sink(clock));
    const run = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 50) {
        for (let turn = 0; turn < 20; turn += 1) {
          forwarder.turn();
          await clock.advance(0, 0);
        }
        await clock.advance(50, 0);
      }
    };
    const sizes = (): readonly number[] => [...destination.objects.values()].map(({ from, to }) => to - from);
    // What is there is found at once; from then on it waits for the age of an object.
    appendFileSync(join(folder, 'a.log'), LINE.repeat(10));
    await run(OBJECT_AGE_MS / 2);
    assert.deepEqual(sizes(), []);
    await run(OBJECT_AGE_MS);
    assert.deepEqual(sizes(), [10 * LINE.length]);
    const lines = Math.ceil((3 * OBJECT_BYTES) / LINE.length);
    appendFileSync(join(folder, 'a.log'), LINE.repeat(lines));
    await run(SCAN_MS + OBJECT_AGE_MS / 2);
    const full = sizes().slice(1);
    assert(full.length >= 2, full.join());
    // The bound is met by what is encoded: a line with its places is some twice as long as in the file.
    assert(
      full.every((size) => size <= OBJECT_BYTES && size > OBJECT_BYTES / 4),
      full.join(),
    );
    forwarder.abort();
    await forwarder.close();
    rmSync(folder, { recursive: true });
  });
});

describe('objects that were promised', () => {
  it(`keep their range through ${LIVES} kills while other files grow and wait`, async () => {
    const seed = Number(process.env['TEST_SEED'] ?? 20_261_128);
    const random = seededRandom(seed);
    const folder = mkdtempSync(join(tmpdir(), 'logtender-promised-'));
    const clock = new VirtualClock();
    const disk = new MemoryDisk();
    const destination = new NamedObjects();
    const gone: Forwarder[] = [];
    let written = 0;
    for (let life = 1; life <= LIVES; life += 1) {
      for (const name of FILES) {
        const lines = random.below(5) < 3 ? 0 : random.below((3 * OBJECT_BYTES) / LINE.length);
        appendFileSync(join(folder, `${name}.log`), LINE.repeat(lines));
        written += lines * LINE.length;
      }
      let isAlive = true;
      const forwarder = await openForwarder({ folder, clock, disk, life, isAlive: () => isAlive });
      destination.answersLeft = life === LIVES ? Number.POSITIVE_INFINITY : random.below(4);
      forwarder.attach(destination.sink(clock));
      const steps = life === LIVES ? 400 : 20 + random.below(60);
      for (let step = 0; step < steps; step += 1) {
        forwarder.turn();
        // A busy machine: time passes between two reads.
        await clock.advance(random.below(300), 0);
      }
      isAlive = false;
      gone.push(forwarder);
      assert.equal(destination.overlap(), 0, `life ${life} of seed ${seed}`);
    }
    assert.equal(destination.covered(), written, `seed ${seed}`);
    assert(OBJECT_BYTES > READ_BYTES, 'an object takes more than one reading');
    for (const forwarder of gone) {
      forwarder.abort();
      await Promise.race([forwarder.close(), clock.advance(0, 0)]);
    }
    rmSync(folder, { recursive: true });
  });
});
