/**
 * The escaper against the two judges that did not write it: JSON.parse and TextDecoder.
 */
import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { LINE_BYTES_MAX } from '../../../src/core/limits.ts';
import { ESCAPED_LINE_BYTES_MAX, LineEscaper } from '../../../src/kernel/line-escaper.ts';
import { seededRandom, testSeed } from '../../fakes/seeded-random.ts';
import type { SeededRandom } from '../../fakes/seeded-random.ts';

interface Escaped {
  readonly json: string;
  readonly messageBytes: number;
}

/** Every line of `input`, escaped, as JSON text with quotes. */
function escapeAll(input: Buffer, from = 0): { lines: Escaped[]; replaced: number } {
  const out = Buffer.alloc(ESCAPED_LINE_BYTES_MAX + 8);
  const escaper = new LineEscaper(out);
  escaper.bind(input, from, input.length);
  const lines: Escaped[] = [];
  for (let at = from; at < input.length; at = escaper.next) {
    const end = escaper.escapeLine(at, input.length, 3);
    assert(escaper.next > at, 'the escaper moves on');
    lines.push({ json: `"${out.toString('utf8', 3, end)}"`, messageBytes: escaper.messageBytes });
  }
  return { lines, replaced: escaper.replaced };
}

/** The same by the platform: split at newlines, CR before LF removed, decoded with U+FFFD. */
function expectedLines(input: Buffer): string[] {
  const lines: string[] = [];
  let from = 0;
  while (from < input.length) {
    const newline = input.indexOf(10, from);
    const end = newline < 0 ? input.length : newline;
    const stop = newline > from && input[newline - 1] === 13 ? newline - 1 : end;
    lines.push(new TextDecoder('utf-8', { ignoreBOM: true }).decode(input.subarray(from, stop)));
    from = newline < 0 ? input.length : newline + 1;
  }
  return lines;
}

function assertSame(input: Buffer): void {
  const { lines } = escapeAll(input);
  const want = expectedLines(input);
  assert.deepEqual(
    lines.map((line) => JSON.parse(line.json) as unknown),
    want,
  );
  assert.deepEqual(
    lines.map((line) => line.messageBytes),
    want.map((line) => Buffer.byteLength(line)),
  );
}

const PIECES: readonly (readonly number[])[] = [
  [0x41],
  [0x22],
  [0x5c],
  [0x0a],
  [0x0d],
  [0x0d, 0x0a],
  [0x00],
  [0x1f],
  [0x20],
  [0x21],
  [0x23],
  [0x5b],
  [0x5d],
  [0x7f],
  [0x80],
  [0xbf],
  [0xc2],
  [0xc3, 0xa9],
  [0xe2, 0x82, 0xac],
  [0xe2, 0x82],
  [0xed, 0xa0, 0x80],
  [0xef, 0xbb, 0xbf],
  [0xf0, 0x9f, 0x98, 0x80],
  [0xf0, 0x9f, 0x98],
  [0xf4, 0x90, 0x80, 0x80],
  [0xff],
];

function randomBytes(random: SeededRandom, isValid: boolean): Buffer {
  const bytes: number[] = [];
  const pieces = isValid ? PIECES.filter((piece) => isUtf8(Buffer.from(piece))) : PIECES;
  const count = random.below(60);
  for (let i = 0; i < count; i += 1) {
    if (random.below(3) === 0) bytes.push(...(pieces[random.below(pieces.length)] ?? []));
    else bytes.push(0x61 + random.below(26));
  }
  return Buffer.from(bytes);
}

describe('LineEscaper', () => {
  it('treats every single byte, and every byte after a word of plain ones, as the platform does', () => {
    for (let byte = 0; byte < 256; byte += 1) {
      assertSame(Buffer.from([byte]));
      assertSame(Buffer.from([0x61, 0x62, 0x63, 0x64, byte, 0x65]));
      assertSame(Buffer.from([0x61, 0x62, byte, 0x63, 0x64, 0x65, 0x66, 0x0a, byte]));
    }
  });

  it('agrees with JSON.parse and TextDecoder on random bytes', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    for (let round = 0; round < 4000; round += 1) {
      const input = randomBytes(random, round % 2 === 0);
      try {
        assertSame(input);
      } catch (cause) {
        throw new Error(`seed ${seed}, round ${round}, input ${input.toString('hex')}`, { cause });
      }
    }
  });

  it('counts one replacement per maximal subpart', () => {
    assert.equal(escapeAll(Buffer.from([0x61, 0xff, 0xe2, 0x82, 0x62])).replaced, 2);
    assert.equal(escapeAll(Buffer.from('héllo\n')).replaced, 0);
  });

  const parts: ReadonlyArray<readonly [name: string, line: Buffer, want: readonly number[]]> = [
    ['at the limit stays whole', Buffer.from(`${'x'.repeat(LINE_BYTES_MAX)}\n`), [LINE_BYTES_MAX]],
    ['at the limit with CR LF stays whole', Buffer.from(`${'x'.repeat(LINE_BYTES_MAX)}\r\n`), [LINE_BYTES_MAX]],
    ['one byte over is two parts', Buffer.from(`${'x'.repeat(LINE_BYTES_MAX + 1)}\n`), [LINE_BYTES_MAX, 1]],
    ['a character is not cut', Buffer.from(`${'x'.repeat(LINE_BYTES_MAX - 1)}é\n`), [LINE_BYTES_MAX - 1, 2]],
    ['four bytes are not cut', Buffer.from(`${'x'.repeat(LINE_BYTES_MAX - 3)}😀\n`), [LINE_BYTES_MAX - 3, 4]],
    [
      'ill-formed bytes are cut anywhere',
      Buffer.from([...Buffer.alloc(LINE_BYTES_MAX, 0xff), 0xff, 10]),
      [LINE_BYTES_MAX * 3, 3],
    ],
  ];
  for (const [name, line, want] of parts) {
    it(`a long line: ${name}`, () => {
      const { lines } = escapeAll(line);
      assert.deepEqual(
        lines.map((part) => part.messageBytes),
        want,
      );
      assert.equal(
        lines.map((part) => JSON.parse(part.json) as string).join(''),
        line.toString().replace(/\r?\n$/, ''),
      );
    });
  }

  it('writes no more than its bound for the worst line', () => {
    const { lines } = escapeAll(Buffer.alloc(LINE_BYTES_MAX, 1));
    assert.equal(lines[0]?.json.length, ESCAPED_LINE_BYTES_MAX + 2);
  });
});
