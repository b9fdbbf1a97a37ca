/**
 * What a ledger says against what was found: every difference is named, nothing else is.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { indexPattern } from '../../../src/cli/verify-elasticsearch.ts';
import { readLedger, recordOffsets } from '../../../src/cli/verify-ledger.ts';
import type { LedgerSource } from '../../../src/cli/verify-ledger.ts';
import { SourceTrack } from '../../../src/cli/verify-track.ts';
import { LINE_BYTES_MAX, READ_BYTES } from '../../../src/core/limits.ts';
import { forwarderConfig } from '../../fakes/forwarder-config.ts';

const source = (more: Partial<LedgerSource> = {}): LedgerSource => ({
  id: 'AAAABBBBCCCCDDDD',
  container: 'app',
  path: '/var/log/app/a.log',
  file: 'var/log/app/a.log',
  device: '1',
  inode: '2',
  ackedTo: 50,
  deliveredLines: 5,
  deliveredBytes: 50,
  droppedLines: 0,
  droppedBytes: 0,
  linesAreRecords: true,
  duplicatesMax: 0,
  ...more,
});
const TENS = [0, 10, 20, 30, 40];

function judged(found: readonly number[], more: Partial<LedgerSource> = {}, file: readonly number[] | 'gone' = TENS) {
  const track = new SourceTrack(source(more), file === 'gone' ? undefined : file[Symbol.iterator]());
  for (const offset of found) track.see(offset);
  const { missing, twice, ranges, undecided } = track.end(true);
  return { missing, twice, ranges: ranges.map(({ what, from, to }) => `${what} ${from}-${to}`), undecided };
}

describe('verify, one source', () => {
  const GOOD = { missing: 0, twice: 0, ranges: [], undecided: undefined };
  it('all there once, and what is not settled yet does not count', () => {
    assert.deepEqual(judged(TENS), GOOD);
    assert.deepEqual(judged([...TENS, 50, 60]), GOOD);
  });

  it('names what is missing, neighbours as one range', () => {
    assert.deepEqual(judged([0, 30, 40]), { ...GOOD, missing: 2, ranges: ['missing 10-30'] });
    assert.deepEqual(judged([10, 20, 30]), { ...GOOD, missing: 2, ranges: ['missing 0-10', 'missing 40-50'] });
    assert.deepEqual(judged([]), { ...GOOD, missing: 5, ranges: ['missing 0-50'] });
  });

  it('names what is there twice, and both at once', () => {
    assert.deepEqual(judged([0, 10, 10, 20, 30, 40]), { ...GOOD, twice: 1, ranges: ['twice 10-11'] });
    // An object that covers what another one covers too.
    assert.deepEqual(judged([0, 10, 20, 10, 20, 30, 40]).twice, 2);
    assert.deepEqual(judged([0, 0, 10, 30, 40]), {
      ...GOOD,
      missing: 1,
      twice: 1,
      ranges: ['twice 0-1', 'missing 20-30'],
    });
  });

  it('what was dropped may be absent', () => {
    assert.deepEqual(judged([0, 10, 30, 40], { deliveredLines: 4, droppedLines: 1 }), GOOD);
    // And may be there after a replay.
    assert.deepEqual(judged(TENS, { deliveredLines: 4, droppedLines: 1 }), GOOD);
    const mixed = judged([0, 10, 30], { deliveredLines: 4, droppedLines: 1 });
    assert.deepEqual([mixed.missing, mixed.ranges.length], [1, 2]);
    assert.match(mixed.undecided ?? '', /1 dropped records are among the ranges/);
  });

  it('without the file it says how many', () => {
    const { missing, ranges, undecided } = judged([0, 40], {}, 'gone');
    assert.deepEqual([missing, ranges], [3, []]);
    assert.match(undecided ?? '', /the file is gone/);
    const track = new SourceTrack(source(), undefined);
    assert.match(track.end(false).undecided ?? '', /more than lines/);
  });

  it('of many ranges it names the first ones, and counts all', () => {
    const many = Array.from({ length: 1_000 }, (_, i) => i * 10);
    const found = many.filter((_, i) => i % 2 === 0);
    const { missing, ranges } = judged(found, { ackedTo: 10_000, deliveredLines: 1_000 }, many);
    assert.deepEqual([missing, ranges.length], [500, 20]);
  });
});

describe('verify, ledger and files', () => {
  it('reads the ledger page', () => {
    const page = {
      uid: 'u',
      lines_are_records: true,
      sinks: [
        { sink: 'console' },
        {
          sink: 's3',
          delivered: { lines: 9, bytes: 90 },
          duplicatesMax: 8,
          sources: [
            {
              id: 'x',
              path: '/a',
              acked_to: 70,
              duplicatesMax: 6,
              delivered: { lines: 5, bytes: 50 },
              dropped: { too_large: { lines: 1, bytes: 10 }, rejected_by_sink: { lines: 1, bytes: 10 } },
            },
          ],
        },
      ],
    };
    const ledger = readLedger(page, 's3');
    assert.deepEqual([ledger.unlistedLines, ledger.sources[0]?.droppedLines, ledger.sources[0]?.ackedTo], [4, 2, 70]);
    assert.deepEqual([ledger.unlistedDuplicatesMax, ledger.sources[0]?.duplicatesMax], [2, 6]);
    assert.throws(() => readLedger(page, 'elasticsearch'), /expected the sink elasticsearch/);
    assert.throws(() => readLedger(5, 's3'), /read ledger: expected/);
    assert.throws(
      () => readLedger({ sinks: [{ sink: 's3', delivered: { lines: -1 } }] }, 's3'),
      /delivered\.lines: expected/,
    );
  });

  it('finds where records begin: short lines, long ones in parts, an incomplete last one, over the borders of reads', () => {
    const folder = mkdtempSync(join(tmpdir(), 'logtender-verify-'));
    try {
      const path = join(folder, 'a.log');
      const lines = [
        'one',
        '',
        'x'.repeat(LINE_BYTES_MAX + 5),
        'y'.repeat(READ_BYTES - 7),
        'é'.repeat(LINE_BYTES_MAX),
        'end',
      ];
      const text = lines.join('\n');
      writeFileSync(path, text);
      const size = Buffer.byteLength(text);
      const offsets = [...recordOffsets(path, size)];
      assert.deepEqual(offsets.slice(0, 4), [0, 4, 5, 5 + LINE_BYTES_MAX]);
      assert.equal(offsets.at(-1), size - 3);
      assert.deepEqual(
        offsets,
        offsets.toSorted((a, b) => a - b),
      );
      const ends = [...offsets.slice(1), size];
      assert(ends.every((end, i) => end - (offsets[i] ?? 0) <= LINE_BYTES_MAX + 1));
      assert.deepEqual([...recordOffsets(path, 4)], [0]);
      assert.deepEqual([...recordOffsets(path, 0)], []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('what a file begins with and is no record is not looked for: a byte order mark, a hole of any length', () => {
    const folder = mkdtempSync(join(tmpdir(), 'logtender-verify-'));
    try {
      const path = join(folder, 'a.log');
      const offsets = (begin: Buffer, text: string): number[] => {
        writeFileSync(path, Buffer.concat([begin, Buffer.from(text)]));
        return [...recordOffsets(path, begin.length + Buffer.byteLength(text))];
      };
      assert.deepEqual(offsets(Buffer.from('\u{feff}'), 'one\ntwo\n'), [3, 7]);
      for (const hole of [1, 3_000, READ_BYTES - 1, READ_BYTES, 3 * READ_BYTES + 5])
        assert.deepEqual(offsets(Buffer.alloc(hole), 'one\n\0two\n'), [hole, hole + 4], `${hole}`);
      assert.deepEqual(offsets(Buffer.alloc(10), ''), []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('indices: dates become stars', () => {
    const dated = forwarderConfig({ DATA_STREAM: 'logstash-{app}-{yyyy.MM.dd}' });
    assert.equal(indexPattern(dated, [source(), source({ path: '/b' })]), 'logstash-web-*');
    assert.equal(indexPattern(forwarderConfig(), [source()]), 'logs-logtender-shop');
  });
});
