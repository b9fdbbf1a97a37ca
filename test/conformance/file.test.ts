/**
 * The file sink in a folder that can go away, with a bound that is reached, and after a crash in the middle of a line.
 */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { FILE_SINK_BYTES } from '../../src/config/file-sink-config.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { FileSink } from '../../src/sinks/file/sink.ts';
import { RotatingFile } from '../../src/sinks/file/rotating-file.ts';
import { forwarderConfig } from '../fakes/forwarder-config.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { describeSink } from './sink.ts';

const folder = (): string => mkdtempSync(join(tmpdir(), 'logtender-file-'));

function readLines(path: string): string[] {
  const text = readFileSync(path, 'utf8');
  assert(text === '' || text.endsWith('\n'));
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { message: string }).message);
}

describeSink('file', {
  isIdempotent: false,
  can: new Set(['connection_cut']),
  start: async () => {
    const root = folder();
    const path = join(root, 'out', 'records.ndjson');
    const away = join(root, 'away');
    const config = forwarderConfig({ FILE_SINK_PATH: path });
    const down = async (): Promise<void> => {
      // Before the first record there is no folder yet.
      if (readdirSync(root).includes('out')) renameSync(dirname(path), away);
      writeFileSync(dirname(path), 'in the way');
    };
    const up = async (): Promise<void> => {
      rmSync(dirname(path));
      if (readdirSync(root).includes('away')) renameSync(away, dirname(path));
    };
    const sink = new FileSink({ config, metrics: createMetrics() });
    let isCut = false;
    return {
      sink: {
        name: sink.name,
        createEncoder: () => sink.createEncoder(),
        close: () => sink.close(),
        deliver: async (batch, options) => {
          if (!isCut) return sink.deliver(batch, options);
          isCut = false;
          await down();
          const delivery = await sink.deliver(batch, options);
          await up();
          return delivery;
        },
      },
      clock: new VirtualClock(),
      script: () => {
        isCut = true;
      },
      unseen: () => (isCut ? 1 : 0),
      stored: () => (readdirSync(root).includes('out') ? readLines(path) : []),
      down,
      up,
      stop: async () => rmSync(root, { recursive: true }),
    };
  },
});

describe('RotatingFile', () => {
  let root = '';
  beforeEach(() => {
    root = folder();
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('keeps within its bound and tells what made room', async () => {
    const path = join(root, 'r.ndjson');
    let discarded = 0;
    const file = new RotatingFile({ path, files: 4, bytesMax: 400, onDiscarded: (bytes) => (discarded += bytes) });
    for (let i = 0; i < 100; i += 1) await file.append([Buffer.from(`${String(i).padStart(19, '0')}\n`)]);
    await file.close();
    const names = readdirSync(root).toSorted();
    assert.deepEqual(names, ['r.1.ndjson', 'r.2.ndjson', 'r.3.ndjson', 'r.ndjson']);
    const kept = ['r.3.ndjson', 'r.2.ndjson', 'r.1.ndjson', 'r.ndjson'].map((name) =>
      readFileSync(join(root, name), 'utf8'),
    );
    const numbers = kept.join('').trimEnd().split('\n').map(Number);
    assert.deepEqual(
      numbers,
      Array.from({ length: numbers.length }, (_, i) => 100 - numbers.length + i),
    );
    assert.equal(discarded, 2000 - numbers.length * 20);
    assert(names.every((name) => statSync(join(root, name)).size <= 100));
  });

  it('cuts a line that a crash left, however long, and goes on behind the last whole one', async () => {
    const path = join(root, 'r.ndjson');
    appendFileSync(path, `"whole"\n"torn ${'x'.repeat(200_000)}`);
    const open = (): RotatingFile =>
      new RotatingFile({ path, files: 4, bytesMax: FILE_SINK_BYTES.min, onDiscarded: () => {} });
    const file = open();
    await file.append([Buffer.from('"next"\n')]);
    await file.close();
    assert.equal(readFileSync(path, 'utf8'), '"whole"\n"next"\n');
    writeFileSync(path, 'no line at all');
    const again = open();
    await again.append([Buffer.from('"next"\n')]);
    await again.close();
    assert.equal(readFileSync(path, 'utf8'), '"next"\n');
  });

  it('makes a file anew that somebody moved away', async () => {
    const path = join(root, 'r.ndjson');
    const file = new RotatingFile({ path, files: 4, bytesMax: FILE_SINK_BYTES.min, onDiscarded: () => {} });
    await file.append([Buffer.from('1\n')]);
    renameSync(path, join(root, 'moved'));
    await file.append([Buffer.from('2\n'), Buffer.from('3\n')]);
    await file.close();
    assert.equal(readFileSync(path, 'utf8'), '2\n3\n');
  });
});
