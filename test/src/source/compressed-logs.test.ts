/**
 * Which of the kubelet's compressed logs are unpacked at a start: what was read is not read again, what was not is.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { silentLog } from '../../../src/core/log.ts';
import { createMetrics } from '../../../src/core/metrics.ts';
import { unpackMissed } from '../../../src/source/compressed-logs.ts';
import { digest } from '../../../src/source/identity.ts';
import type { KnownSource } from '../../../src/source/source-file.ts';

const ROOT = '/var/log/pods/shop_web_1/';
const OLD = '20261128-120000';
const MIDDLE = '20261128-120010';
const YOUNG = '20261128-120020';

const textOf = (name: string): string => `2026-11-28T12:00:00.${name.length}00000001Z stdout F ${name}\n`.repeat(40);

interface Case {
  readonly name: string;
  /** Files of the container; `.gz` ones are compressed. */
  readonly files: readonly string[];
  /** Those of them that the checkpoint knows. */
  readonly known: readonly string[];
  readonly unpacked: readonly string[];
}

const CASES: readonly Case[] = [
  {
    name: 'nothing is known: all of it',
    files: [`0.log.${OLD}.gz`, `0.log.${MIDDLE}`, '0.log'],
    known: [],
    unpacked: [`0.log.${OLD}`],
  },
  {
    name: 'the live file is known: what was compressed before it is done',
    files: [`0.log.${OLD}.gz`, `0.log.${MIDDLE}`, '0.log'],
    known: [`0.log.${MIDDLE}`, '0.log'],
    unpacked: [],
  },
  {
    name: 'what was partly read was compressed meanwhile: it goes on, what is younger is read, what is older is done',
    files: [`0.log.${OLD}.gz`, `0.log.${MIDDLE}.gz`, `0.log.${YOUNG}.gz`, '0.log'],
    known: [`0.log.${MIDDLE}.gz`],
    unpacked: [`0.log.${MIDDLE}`, `0.log.${YOUNG}`],
  },
  {
    name: 'a start of the container that nobody saw',
    files: ['0.log', `1.log.${OLD}.gz`, '1.log'],
    known: ['0.log'],
    unpacked: [`1.log.${OLD}`],
  },
  {
    name: 'an older start whose archive is left',
    files: [`0.log.${OLD}.gz`, '0.log', '1.log'],
    known: ['0.log', '1.log'],
    unpacked: [],
  },
];

describe('compressed logs of the node', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-gz-'));
    mkdirSync(join(folder, 'mount/app'), { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const write = (name: string, text = textOf(name)): string => {
    const path = join(folder, 'mount/app', name);
    writeFileSync(path, name.endsWith('.gz') ? gzipSync(text) : text);
    return path;
  };
  const knownOf = (name: string): KnownSource => {
    const path = join(folder, 'mount/app', name);
    const head = Buffer.from(textOf(name)).subarray(0, 1024);
    // An archive is another file than the log that it was made of.
    const ino = name.endsWith('.gz') ? '1' : String(statSync(path, { bigint: true }).ino);
    return {
      id: name,
      container: 'app',
      path: `${ROOT}app/0.log`,
      positions: undefined,
      identity: { dev: '1', ino, birthUs: 1 },
      head: { length: head.length, hash: digest(head) },
      copy: false,
      orphan: false,
      order: 1,
      anchors: [],
    };
  };
  const unpack = (known: readonly KnownSource[], bytesMax = 1_000_000): Promise<readonly KnownSource[]> =>
    unpackMissed(known, {
      containers: ['app'],
      mount: join(folder, 'mount'),
      root: ROOT,
      unpacked: join(folder, 'unpacked'),
      log: silentLog,
      metrics: createMetrics(),
      bytesMax,
    });
  const target = (name: string): string => join(folder, 'unpacked/app', name);

  for (const { name, files, known, unpacked } of CASES)
    it(name, async () => {
      for (const file of files) write(file);
      const moved = await unpack(known.map(knownOf));
      const archives = files.filter((file) => file.endsWith('.gz')).map((file) => file.slice(0, -3));
      assert.deepEqual(
        archives.filter((file) => existsSync(target(file))),
        unpacked,
      );
      for (const file of unpacked) assert.equal(readFileSync(target(file), 'utf8'), textOf(`${file}.gz`));
      for (const source of moved) {
        if (!source.id.endsWith('.gz')) continue;
        const { ino } = statSync(target(source.id.slice(0, -3)), { bigint: true });
        assert.equal(source.identity.ino, String(ino), 'known bytes are found under the unpacked file');
      }
      // Once more, as after another restart: nothing is unpacked anew over what is being read.
      const again = await unpack(moved);
      assert.deepEqual(again, moved);
    });

  it('a damaged archive costs itself alone, and no half of it is read', async () => {
    const path = write(`0.log.${OLD}.gz`);
    writeFileSync(path, readFileSync(path).subarray(0, 60));
    write(`0.log.${MIDDLE}.gz`);
    await unpack([]);
    assert.deepEqual([existsSync(target(`0.log.${OLD}`)), existsSync(target(`0.log.${MIDDLE}`))], [false, true]);
  });

  it('a start unpacks no more than its bound', async () => {
    write(`0.log.${OLD}.gz`);
    await unpack([], 100);
    assert.equal(existsSync(target(`0.log.${OLD}`)), false);
  });
});
