/**
 * What verify says where records do not tell their source: log streams of CloudWatch Logs, and the files of the file sink.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { runVerify } from '../../../src/cli/verify.ts';
import { lineMessages } from '../../../src/cli/verify-cloudwatch.ts';
import { GroupBook } from '../../../src/cli/verify-group.ts';
import type { GroupVerdict } from '../../../src/cli/verify-group.ts';
import type { LedgerSource } from '../../../src/cli/verify-ledger.ts';
import { LINE_BYTES_MAX } from '../../../src/core/limits.ts';
import { sourceInfo } from '../../fakes/forwarder-config.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';

const RUNS = 300;
const CLI = resolve(import.meta.dirname, '../../../src/cli/main.ts');

function source(more: Partial<LedgerSource> = {}): LedgerSource {
  return {
    ...{ id: 'AAAABBBBCCCCDDDD', container: 'app', path: '/log/a.log', file: 'log/a.log', device: '1', inode: '2' },
    ...{
      ackedTo: 50,
      deliveredLines: 5,
      deliveredBytes: 50,
      droppedLines: 0,
      droppedBytes: 0,
      duplicatesMax: 0,
      linesAreRecords: true,
    },
    ...more,
  };
}

/** A file whose lines are ten bytes each. */
function judged(
  found: readonly string[],
  lines: readonly string[] | 'gone' = ['a', 'b', 'c', 'd', 'e'],
  more: Partial<LedgerSource> = {},
): GroupVerdict {
  const book = new GroupBook({
    name: 'g s',
    sources: [source(more)],
    files: new Map(lines === 'gone' ? [] : [['AAAABBBBCCCCDDDD', 'x']]),
    linesOf: () => (lines === 'gone' ? [] : lines).map((text, i) => ({ offset: i * 10, text })),
  });
  for (const text of found) book.addFound(text);
  return book.verdict();
}

describe('verify, records that do not tell their source', () => {
  const counts = ({ missing, twice, strangers }: GroupVerdict): readonly number[] => [missing, twice, strangers];
  const places = ({ ranges }: GroupVerdict): readonly string[] => ranges.map(({ from, to }) => `${from}-${to}`);

  it('all there, once or more often, and what is not settled may be there or not', () => {
    assert.deepEqual(counts(judged(['a', 'b', 'c', 'd', 'e'])), [0, 0, 0]);
    assert.deepEqual(counts(judged(['a', 'b', 'c', 'b', 'c', 'd', 'e', 'c'])), [0, 3, 0]);
    const growing = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    assert.deepEqual(counts(judged(['a', 'b', 'c', 'd', 'e', 'f'], growing)), [0, 0, 0]);
    assert.deepEqual(counts(judged(['a', 'b', 'c', 'd', 'e', 'f', 'f'], growing)), [0, 1, 0]);
  });

  it('names what is missing, neighbours as one range, equal lines by their number', () => {
    const verdict = judged(['a', 'd']);
    assert.deepEqual(
      [counts(verdict), places(verdict)],
      [
        [3, 0, 0],
        ['10-30', '40-50'],
      ],
    );
    assert.deepEqual(counts(judged(['x', 'x', 'y'], ['x', 'x', 'y', 'x', 'y'])), [2, 0, 0]);
    assert.deepEqual(places(judged(['x', 'x', 'y'], ['x', 'x', 'y', 'x', 'y'])), ['0-10', '20-30']);
    assert.deepEqual(counts(judged([])), [5, 0, 0]);
  });

  it('what was dropped may be absent, and may be there after a replay', () => {
    const dropped = { deliveredLines: 4, droppedLines: 1 };
    assert.deepEqual(counts(judged(['a', 'b', 'd', 'e'], undefined, dropped)), [0, 0, 0]);
    assert.deepEqual(counts(judged(['a', 'b', 'c', 'd', 'e'], undefined, dropped)), [0, 0, 0]);
    const mixed = judged(['a', 'b', 'd'], undefined, dropped);
    assert.equal(mixed.missing, 1);
    // Lines that stood there before the pod came are in no account of lines.
    assert.deepEqual(counts(judged(['c', 'd', 'e'], undefined, { deliveredLines: 3 })), [0, 0, 0]);
    assert.match(mixed.undecided ?? '', /1 records that were dropped or passed over are among the ranges/);
  });

  it('of a file that is gone it compares the number, and says so', () => {
    const gone = judged(['a', 'b', 'c'], 'gone');
    assert.deepEqual(counts(gone), [2, 0, 0]);
    assert.match(gone.undecided ?? '', /5 delivered records are of files that are gone/);
    assert.deepEqual(counts(judged(['a', 'b', 'c', 'd', 'e', 'f'], 'gone')), [0, 0, 1]);
  });

  it('what a file that is gone had in common with another one is not there twice', () => {
    const sources = [source(), source({ id: 'EEEEFFFFGGGGHHHH', deliveredLines: 3 })];
    const judge = (found: readonly string[]): GroupVerdict => {
      const book = new GroupBook({
        name: 'g s',
        sources,
        files: new Map([['AAAABBBBCCCCDDDD', 'x']]),
        linesOf: () => ['a', 'b', 'c', 'd', 'e'].map((text, i) => ({ offset: i * 10, text })),
      });
      for (const text of found) book.addFound(text);
      return book.verdict();
    };
    const own = ['a', 'b', 'c', 'd', 'e'];
    assert.deepEqual(counts(judge([...own, 'a', 'b', 'gone'])), [0, 0, 0]);
    assert.deepEqual(counts(judge([...own, 'a', 'gone'])), [1, 0, 0]);
    assert.deepEqual(counts(judge([...own, 'a', 'a', 'a', 'gone'])), [0, 1, 0]);
    assert.deepEqual(counts(judge([...own, 'gone', 'gone', 'gone', 'gone'])), [0, 0, 1]);
  });

  it('events of others are counted as that, and hide nothing', () => {
    const verdict = judged(['a', 'b', 'c', 'd', 'other']);
    assert.deepEqual(counts(verdict), [1, 0, 1]);
    assert.match(verdict.undecided ?? '', /1 were found that are no line of the files/);
  });

  it('finds exactly what was taken away and doubled (random)', () => {
    const seed = testSeed();
    const { below: int } = seededRandom(seed);
    for (let run = 0; run < RUNS; run += 1) {
      const lines = Array.from({ length: 1 + int(40) }, () => `line ${int(12)}`);
      const found: string[] = [];
      let [missing, twice] = [0, 0];
      for (const line of lines) {
        const times = int(8) === 0 ? 0 : 1 + (int(8) === 0 ? int(3) : 0);
        for (let k = 0; k < times; k += 1) found.splice(int(found.length + 1), 0, line);
      }
      for (const text of new Set(lines)) {
        const count = (list: readonly string[]): number => list.filter((one) => one === text).length;
        missing += Math.max(0, count(lines) - count(found));
        twice += Math.max(0, count(found) - count(lines));
      }
      const verdict = judged(found, lines, { ackedTo: lines.length * 10, deliveredLines: lines.length });
      assert.deepEqual(counts(verdict), [missing, twice, 0], `seed ${seed}, run ${run}`);
      const named = verdict.ranges.reduce((sum, { from, to }) => sum + (to - from) / 10, 0);
      if (verdict.ranges.length < 20) assert.equal(named, missing, `seed ${seed}, run ${run}`);
    }
  });
});

describe('verify, lines as messages of a log stream', () => {
  it('are those that the sink sends: empty, cut, ill-formed, behind a byte order mark, without a newline', () => {
    const folder = mkdtempSync(join(tmpdir(), 'logtender-verify-'));
    try {
      const path = join(folder, 'a.log');
      const long = 'x'.repeat(LINE_BYTES_MAX + 5);
      writeFileSync(
        path,
        Buffer.concat([Buffer.from('\uFEFFone\n\n'), Buffer.from([0xff, 0x0a]), Buffer.from(`${long}\né"\\`)]),
      );
      const got = [...lineMessages(path, sourceInfo())];
      assert.deepEqual(
        got.map(({ text }) => text),
        ['one', ' ', '\uFFFD', `${long.slice(5)} [continued in the next event]`, 'xxxxx', 'é"\\'],
      );
      assert.deepEqual(
        got.map(({ offset }) => offset),
        [3, 7, 8, 10, 10 + LINE_BYTES_MAX, 16 + LINE_BYTES_MAX],
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('verify, the file sink', () => {
  it('names what somebody took out of its file, counts what is there more than once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'logtender-verify-'));
    try {
      mkdirSync(join(folder, 'logs'));
      const lines = Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? `{"n":${i}}` : `line ${i % 7}`));
      writeFileSync(join(folder, 'logs/a.log'), `${lines.join('\n')}\n`);
      const config = join(folder, 'forward.yaml');
      const records = join(folder, 'out/records.ndjson');
      writeFileSync(
        config,
        `files: ['${folder}/logs/*.log']\nsinks: [file]\nfile: {path: ${records}}\nstateDir: ${folder}/state\n` +
          `exitSummaryPath: ${folder}/summary\nadmin: {port: 0}\n`,
      );
      await promisify(execFile)(process.execPath, [CLI, 'forward', '--config', config, '--once']);
      const verify = async (): Promise<{ readonly code: number; readonly text: string }> => {
        let text = '';
        const io = {
          read: async () => '',
          out: (more: string) => void (text += more),
          err: () => {},
          hasColour: false,
        };
        const args = ['--ledger', join(folder, 'state/ledger.json'), '--sink', 'file', '--config', config];
        return { code: await runVerify(args, io, {}), text };
      };
      assert.deepEqual(await verify(), {
        code: 0,
        text: `app:${folder}/logs/a.log: 300 records, all 300 there\n1 places, 300 records found, 0 missing, 0 more than once\n`,
      });
      const kept = readFileSync(records, 'utf8').trimEnd().split('\n');
      const twice = [...kept, kept[7]];
      writeFileSync(records, `${twice.join('\n')}\n`);
      assert.match((await verify()).text, /301 records, all 300 there, 1 more than once\n/);
      assert.equal((await verify()).code, 0, 'it is stored at least once');
      kept.splice(100, 2);
      writeFileSync(records, `${kept.join('\n')}\n`);
      const at = (number: number): number => Buffer.byteLength(`${lines.slice(0, number).join('\n')}\n`);
      const bad = await verify();
      assert.equal(bad.code, 1);
      assert.match(bad.text, /298 records, 2 of 300 missing\n/);
      assert.match(bad.text, new RegExp(`missing from offset ${at(100)} up to ${at(102)} of ${folder}/logs/a\\.log`));
      // Where the oldest may have gone for newer ones, nobody can tell.
      for (const number of [1, 2, 3]) writeFileSync(join(folder, `out/records.${number}.ndjson`), '');
      assert.match((await verify()).text, /2 are missing, or made room for newer ones/);
      assert.equal((await verify()).code, 2);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
