/**
 * The spill log: what is read back is what was written, whatever became of its end.
 */
import assert from 'node:assert/strict';
import fs, { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CriLine } from '../../../../src/parse/cri-line.ts';
import { SpillLog } from '../../../../src/source/pod-log/spill-log.ts';
import { LineSplitter, PART_BYTES_MAX } from '../../../../src/source/pod-log/timed-line.ts';
import type { Piece } from '../../../../src/source/pod-log/timed-line.ts';

const LINES = Array.from({ length: 50 }, (_, i) => `2026-11-28T12:00:0${i % 10}.12345678${i % 10}Z text ${i}`);

/** The lines of all segments, oldest first. */
function partsIn(folder: string): readonly { readonly tag: string; readonly text: string }[] {
  return readdirSync(folder)
    .toSorted((a, b) => Number(a === 'stdio.log') - Number(b === 'stdio.log') || (a < b ? -1 : 1))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line) => {
      const [, , tag = '', ...text] = line.split(' ');
      return { tag: tag.slice(0, 1), text: text.join(' ') };
    });
}

describe('spill log', () => {
  let folder = '';
  let spill = new SpillLog({ folder });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-spill-'));
    spill = new SpillLog({ folder });
  });
  afterEach(() => {
    spill.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const fill = (lines: readonly string[] = LINES): void => {
    new LineSplitter().push(Buffer.from(lines.map((line) => `${line}\n`).join('')), (piece) => spill.append(piece));
    assert.equal(spill.flush(), true);
  };

  it('is lines of a container runtime whose stream nobody knows', () => {
    spill.open();
    fill();
    const bytes = readFileSync(join(folder, 'stdio.log'));
    const cri = new CriLine();
    const end = bytes.indexOf(10);
    assert.ok(cri.read(bytes, 0, end));
    assert.deepEqual([cri.stdio, cri.isPartial, bytes.toString('utf8', cri.textFrom, end)], ['', false, 'text 0']);
  });

  it('cut at every byte: the whole lines are there, the torn one is cut away', () => {
    spill.open();
    fill();
    spill.close();
    const path = join(folder, 'stdio.log');
    const bytes = readFileSync(path);
    for (let at = bytes.length; at >= bytes.length - 120; at -= 1) {
      writeFileSync(path, bytes.subarray(0, at));
      const { lines, tornBytes, damaged } = spill.open();
      spill.close();
      const whole = bytes.subarray(0, at).filter((byte) => byte === 10).length;
      assert.deepEqual([lines.length, damaged], [whole, 0]);
      assert.equal(readFileSync(path).length, at - tornBytes);
    }
  });

  it('a changed byte is told, the other lines count; zeros at the end are cut away', () => {
    spill.open();
    fill();
    spill.close();
    const path = join(folder, 'stdio.log');
    const bytes = readFileSync(path);
    const length = bytes.length;
    bytes[bytes.indexOf('text 7') + 1] = 0x21;
    writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(4_096)]));
    const { lines, damaged, tornBytes } = spill.open();
    assert.deepEqual([lines.length, damaged, tornBytes], [LINES.length - 1, 1, 4_096]);
    assert.equal(readFileSync(path).length, length);
  });

  it('full: no more is taken until the oldest segments are deleted, and never the youngest', () => {
    spill = new SpillLog({ folder, segmentBytes: 1_000, bytesMax: 6_000 });
    spill.open();
    for (let i = 0; i < 20 && !spill.isFull; i += 1) fill(LINES.slice(0, 20));
    assert.equal(spill.isFull, true);
    const names = [1, 2, 3, 4].map((n) => join(folder, `stdio.log.2000000000000${n}`));
    assert.equal(spill.isDispensable(names[0] ?? ''), true);
    assert.equal(spill.isDispensable(join(folder, 'stdio.log')), false);
    truncateSync(names[0] ?? '', 0);
    truncateSync(names[1] ?? '', 0);
    assert.equal(spill.isFull, false);
  });

  /** One call of the file system fails as the kernel would: root may do everything, and a disk that fails is hard to come by. */
  const failing = (name: 'writeSync' | 'renameSync' | 'openSync', code: string, during: () => void): void => {
    const real = fs[name];
    Object.assign(fs, {
      [name]: () => {
        throw Object.assign(new Error(`${code}: made to fail`), { code });
      },
    });
    syncBuiltinESMExports();
    try {
      during();
    } finally {
      Object.assign(fs, { [name]: real });
      syncBuiltinESMExports();
    }
  };

  for (const code of ['ENOSPC', 'EIO', 'EROFS'])
    it(`a disk that answers ${code} costs time, not lines`, () => {
      spill.open();
      failing('writeSync', code, () => {
        spill.append({
          time: Buffer.from('2026-11-28T12:00:00Z'),
          text: Buffer.from('kept'),
          isPartial: false,
        });
        assert.equal(spill.flush(), false);
        assert.match(spill.problem ?? '', new RegExp(code));
      });
      assert.equal(spill.flush(), true);
      assert.equal(spill.problem, undefined);
      assert.match(readFileSync(join(folder, 'stdio.log'), 'utf8'), /kept\n$/);
    });

  for (const call of ['renameSync', 'openSync'] as const)
    it(`a segment that cannot be put aside (${call}) is put aside later, and nothing is lost`, () => {
      spill = new SpillLog({ folder, segmentBytes: 500 });
      spill.open();
      failing(call, 'EIO', () => {
        fill(LINES.slice(0, 20));
        assert.match(spill.problem ?? '', /EIO/);
      });
      fill(LINES.slice(20, 21));
      fill(LINES.slice(21, 22));
      const [aside, live] = ['stdio.log.20000000000001', 'stdio.log'].map((name) =>
        readFileSync(join(folder, name), 'utf8'),
      );
      assert.deepEqual(
        `${aside}${live}`
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => line.split(' ').slice(3).join(' ')),
        LINES.slice(0, 22).map((line) => line.split(' ').slice(1).join(' ')),
      );
    });

  it('killed within a long line, also right behind a full segment: nothing else becomes its rest, and it is asked for again', () => {
    const long = `${LINES[0] ?? ''} ${'x'.repeat(3 * PART_BYTES_MAX)}`;
    for (const segmentBytes of [undefined, PART_BYTES_MAX]) {
      rmSync(folder, { recursive: true });
      spill = new SpillLog({ folder, ...(segmentBytes === undefined ? {} : { segmentBytes }) });
      spill.open();
      fill([LINES[1] ?? '']);
      // Two parts are out when the process is gone.
      new LineSplitter().push(Buffer.from(long.slice(0, 2 * PART_BYTES_MAX + 1)), (piece) => spill.append(piece));
      spill.flush();
      spill.close();
      spill = new SpillLog({ folder, ...(segmentBytes === undefined ? {} : { segmentBytes }) });
      const { lines, damaged, tornBytes } = spill.open();
      assert.deepEqual([lines.length, damaged, tornBytes], [1, 0, 0], 'the long one is not known');
      fill([LINES[2] ?? '']);
      const tags = partsIn(folder).map(({ tag, text }) => `${tag}${text.length}`);
      assert.deepEqual(tags.slice(1), [
        `P${PART_BYTES_MAX - (LINES[0] ?? '').indexOf(' ') - 1}`,
        `P${PART_BYTES_MAX}`,
        'F0',
        `F${'text 2'.length}`,
      ]);
      spill.close();
      spill = new SpillLog({ folder });
      assert.equal(spill.open().lines.length, 2, 'and it stays so');
      spill.close();
    }
  });

  it('a line that is longer than a part comes in parts that say so', () => {
    const pieces: { text: number; isPartial: boolean; isFirst: boolean }[] = [];
    const splitter = new LineSplitter();
    const text = 'x'.repeat(PART_BYTES_MAX * 2);
    const keep = ({ text: { length }, isPartial, line }: Piece): void =>
      void pieces.push({ text: length, isPartial, isFirst: line !== undefined });
    for (const chunk of [`${LINES[0] ?? ''}${text.slice(0, 1000)}`, `${text.slice(1000)}\n${LINES[1] ?? ''}\n`])
      splitter.push(Buffer.from(chunk), keep);
    assert.deepEqual(
      pieces.map(({ isPartial, isFirst }) => [isPartial, isFirst]),
      [
        [true, true],
        [true, false],
        [false, false],
        [false, true],
      ],
    );
  });
});
