/**
 * The file sink in a folder that can go away, with a bound that is reached, on a disk that is full, without the right to write for a while,
 * and after a crash in the middle of a line.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { FILE_SINK_BYTES } from '../../src/config/file-sink-config.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { FileSink } from '../../src/sinks/file/sink.ts';
import { RotatingFile } from '../../src/sinks/file/rotating-file.ts';
import type { Delivery } from '../../src/sinks/sink.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { describeSink } from './sink.ts';

/** The user `nobody`. */
const NOBODY = 65_534;

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
  cannot: {
    ...Object.fromEntries(
      (
        [
          'throttled',
          'server_error',
          'refused',
          'too_large',
          'first_rejected',
          'second_throttled',
          'credentials',
        ] as const
      ).map((next) => [next, 'a file takes bytes and judges none of them']),
    ),
    ...Object.fromEntries(
      (['answer_lost', 'answer_cut', 'silence'] as const).map((next) => [
        next,
        'a write to a file has no answer beside its own end',
      ]),
    ),
  },
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

  it('a disk that takes a part of the lines keeps none of them, and the same goes through once there is room', async () => {
    // A file of at most 4 KiB, by the shell's own limit, fails as a full disk does: a part is taken without an error, the next byte is refused.
    const script = `
      import { RotatingFile } from '${resolve(import.meta.dirname, '../../src/sinks/file/rotating-file.ts')}';
      import { statSync } from 'node:fs';
      const file = new RotatingFile({ path: 'r.ndjson', files: 4, bytesMax: 1e6, onDiscarded: () => {} });
      const append = async (bytes) => {
        const line = Buffer.alloc(bytes, 'x').fill('\\n', bytes - 1);
        const said = await file.append([line.subarray(0, 7), line.subarray(7)]).then(() => 'done', (error) => error.code);
        return said + ' ' + statSync('r.ndjson').size;
      };
      console.log(await append(3000), await append(3000), await append(3000), await append(1096), await append(1));
    `;
    const node = `"${process.execPath}" --input-type=module --eval "$0"`;
    const { stdout } = await promisify(execFile)('sh', ['-c', `ulimit -f 8 && exec ${node}`, script], { cwd: root });
    assert.equal(stdout.trim(), 'done 3000 EFBIG 3000 EFBIG 3000 done 4096 EFBIG 4096');
  });
});

describe('FileSink', () => {
  let root = '';
  beforeEach(() => {
    root = folder();
  });
  afterEach(() => {
    chmodSync(root, 0o700);
    rmSync(root, { recursive: true });
  });

  const deliver = (sink: FileSink, line: string): Promise<Delivery> => {
    const encoder = sink.createEncoder();
    const input = Buffer.from(`${line}\n`);
    encoder.append(sourceInfo(), input, 0, input.length, 0, 0);
    const { signal } = new AbortController();
    return sink.deliver(encoder.finish(), { selection: undefined, sentBefore: () => false, signal });
  };

  it('waits while it may not write, says so, and goes on when it may', async () => {
    const path = join(root, 'out/records.ndjson');
    chmodSync(root, 0o777);
    const config = forwarderConfig({ FILE_SINK_PATH: path });
    await withoutRights(async () => {
      const sink = new FileSink({ config, metrics: createMetrics() });
      assert.equal((await deliver(sink, 'before')).status, 'delivered');
      for (const [place, mode] of [
        [dirname(path), 0o700],
        [path, 0o600],
      ] as const) {
        // What is open stays open: only a file that is moved away, as a rotation by hand does, is opened anew.
        renameSync(path, `${path}.moved`);
        writeFileSync(path, '');
        chmodSync(place, 0);
        const refused = await deliver(sink, 'refused');
        assert(refused.status === 'retryable' && refused.reason === 'unreachable', JSON.stringify(refused));
        assert.match(refused.text, /records\.ndjson: EACCES/);
        chmodSync(place, mode);
        assert.deepEqual(await deliver(sink, 'after'), { status: 'delivered', duplicates: 0 });
        assert.deepEqual(readLines(path), ['after']);
      }
      await sink.close();
    });
  });

  it('writes into a folder that it may not read', async () => {
    const path = join(root, 'out/records.ndjson');
    chmodSync(root, 0o777);
    await withoutRights(async () => {
      mkdirSync(dirname(path), { mode: 0o300 });
      const sink = new FileSink({ config: forwarderConfig({ FILE_SINK_PATH: path }), metrics: createMetrics() });
      assert.deepEqual(await deliver(sink, 'x'), { status: 'delivered', duplicates: 0 });
      await sink.close();
      assert.deepEqual(readLines(path), ['x']);
    });
  });

  it('a full disk holds the records back, says so, and loses none', async () => {
    const path = join(root, 'records.ndjson');
    const sink = new FileSink({ config: forwarderConfig({ FILE_SINK_PATH: path }), metrics: createMetrics() });
    assert.equal((await deliver(sink, 'before')).status, 'delivered');
    renameSync(path, `${path}.moved`);
    // Every write to it is answered as by a full disk (full(4)).
    symlinkSync('/dev/full', path);
    for (let i = 0; i < 2; i += 1) {
      const refused = await deliver(sink, 'x');
      assert(refused.status === 'retryable' && refused.reason === 'unreachable', JSON.stringify(refused));
      assert.match(refused.text, /ENOSPC/);
    }
    unlinkSync(path);
    renameSync(`${path}.moved`, path);
    assert.deepEqual(await deliver(sink, 'x'), { status: 'delivered', duplicates: 0 });
    assert.deepEqual(readLines(path), ['before', 'x']);
    await sink.close();
  });
});

/** Root writes where nobody may: it acts as the user `nobody` meanwhile. */
async function withoutRights(act: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    await act();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}
