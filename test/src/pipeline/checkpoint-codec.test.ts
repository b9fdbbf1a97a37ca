/**
 * What is written comes back; what is torn, flipped or foreign is cut or reported, never believed.
 */
import assert from 'node:assert/strict';

import { CHECKPOINT_VERSION, decodeLines, encodeLine } from '../../../src/pipeline/checkpoint-codec.ts';
import type { Entry } from '../../../src/pipeline/checkpoint-codec.ts';
import { EMPTY_ACCOUNT } from '../../../src/pipeline/ledger.ts';

const ENTRIES: readonly Entry[] = [
  {
    t: 'source',
    id: 'AAAAAAAAAAAAAAAA',
    container: 'app',
    path: '/var/log/ä "quoted"\n.log',
    dev: '65024',
    ino: '18446744073709551615',
    birthUs: 1_700_000_000_000_000,
    order: 1.5,
    headLength: 17,
    headHash: 'BBBBBBBBBBBBBBBB',
    copy: false,
    orphan: true,
    truncatedUs: 1_700_000_000_000_001,
  },
  {
    t: 'lane',
    sink: 'elasticsearch',
    id: 'AAAAAAAAAAAAAAAA',
    acked: 12,
    tail: 'CCCCCCCCCCCCCCCC',
    reserved: 17,
    sent: 17,
    sentTail: 'EEEEEEEEEEEEEEEE',
    cuts: [17],
    account: { delivered: { lines: 2, bytes: 12 }, dropped: { too_large: { lines: 1, bytes: 3 } }, duplicates: 1 },
  },
  { t: 'gone', id: 'DDDDDDDDDDDDDDDD', retired: { elasticsearch: EMPTY_ACCOUNT } },
];

const header = encodeLine({ t: 'logtender-checkpoint', version: CHECKPOINT_VERSION, seq: 7 });
const whole = Buffer.from(
  header + ENTRIES.map(encodeLine).join('') + encodeLine({ t: 'end', entries: ENTRIES.length }),
);

describe('checkpoint codec', () => {
  it('reads back what it wrote', () => {
    const decoded = decodeLines(whole);
    assert.deepEqual(decoded.entries, ENTRIES);
    assert.deepEqual(decoded.header, { t: 'logtender-checkpoint', version: CHECKPOINT_VERSION, seq: 7 });
    assert.equal(decoded.end?.entries, ENTRIES.length);
    assert.deepEqual([decoded.damagedLines, decoded.tornBytes], [0, 0]);
  });

  it('keeps the whole lines of a file that is cut at any byte, and calls nothing damaged', () => {
    for (let length = 0; length < whole.length; length += 1) {
      const { header: found, entries, end, damagedLines, tornBytes } = decodeLines(whole.subarray(0, length));
      const lines = whole.toString('latin1', 0, length).split('\n').length - 1;
      assert.equal(damagedLines, 0, `cut at ${length}`);
      assert.equal(found === undefined, lines === 0);
      assert.deepEqual(entries, ENTRIES.slice(0, Math.max(0, lines - 1)));
      assert.equal(end, undefined);
      assert.equal(tornBytes, length - (whole.lastIndexOf(10, length - 1) + 1) * Number(length > 0));
    }
  });

  it('never takes a line with a flipped byte for what it said', () => {
    const texts = new Set(ENTRIES.map((entry) => JSON.stringify(entry)));
    for (let at = 0; at < whole.length; at += 1) {
      for (const bit of [0x01, 0x20, 0x80]) {
        const flipped = Buffer.from(whole);
        flipped[at] = (flipped[at] ?? 0) ^ bit;
        const decoded = decodeLines(flipped);
        assert(decoded.entries.every((entry) => texts.has(JSON.stringify(entry))));
        const lost =
          5 - decoded.entries.length - Number(decoded.header !== undefined) - Number(decoded.end !== undefined);
        assert(lost >= 1, `a flip at ${at} is noticed`);
        assert(decoded.damagedLines >= 1 || decoded.tornBytes > 0, `a flip at ${at} is reported`);
      }
    }
  });

  const SHAPES: ReadonlyArray<readonly [what: string, value: unknown]> = [
    ['a negative offset', { ...ENTRIES[1], acked: -1 }],
    ['an offset that is no integer', { ...ENTRIES[1], acked: 0.5 }],
    [
      'an unknown drop reason',
      { ...ENTRIES[1], account: { ...EMPTY_ACCOUNT, dropped: { forgot: { lines: 1, bytes: 1 } } } },
    ],
    ['an unknown kind of entry', { t: 'other' }],
    ['a list', []],
    ['a text', 'text'],
    ['a source without an id', { ...ENTRIES[0], id: undefined }],
  ];
  for (const [what, value] of SHAPES) {
    it(`calls ${what} damaged, whatever its sum says`, () => {
      const line = encodeLine(value as Entry);
      const decoded = decodeLines(Buffer.from(header + line));
      assert.equal(decoded.damagedLines, 1);
      assert.deepEqual(decoded.entries, []);
    });
  }

  it('needs its header first', () => {
    const entry = ENTRIES[0];
    assert(entry !== undefined);
    assert.equal(decodeLines(Buffer.from(encodeLine(entry) + header)).damagedLines, 1);
  });
});
