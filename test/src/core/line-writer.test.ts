/** Lines are gathered, keep their order, never block, and what is lost is counted. */
import assert from 'node:assert/strict';

import { createLineWriter } from '../../../src/core/line-writer.ts';
import type { LineOutput, LineWriter } from '../../../src/core/line-writer.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** An output that takes what it is let take, when it is told to. */
class SlowOutput implements LineOutput {
  text = '';
  writes = 0;
  #waiting: ((bytesMax: number, error?: Error) => void) | undefined;

  write(bytes: Buffer, done: (error: Error | null, written: number) => void): void {
    this.writes += 1;
    this.#waiting = (bytesMax, error) => {
      const part = bytes.subarray(0, bytesMax);
      if (error === undefined) this.text += part.toString();
      done(error ?? null, part.length);
    };
  }

  writeSync(bytes: Buffer): number {
    this.text += bytes.subarray(0, 3).toString();
    return Math.min(3, bytes.length);
  }

  async take(bytesMax = Number.POSITIVE_INFINITY, error?: Error): Promise<void> {
    const answer = this.#waiting;
    assert(answer !== undefined, 'nothing is being written');
    this.#waiting = undefined;
    answer(bytesMax, error);
    await turn();
  }
}

describe('line writer', () => {
  let clock: VirtualClock;
  let output: SlowOutput;
  let writer: LineWriter;
  beforeEach(() => {
    clock = new VirtualClock();
    output = new SlowOutput();
    writer = createLineWriter({ output, clock, lost: (lines) => `lost ${lines}\n` });
  });

  const pass = async (ms: number): Promise<void> => {
    await clock.quiet(1);
    await clock.advance(ms, 0);
    await turn();
  };

  it('writes what came within ten milliseconds at once, and what comes later in its turn', async () => {
    for (const line of ['a\n', 'b\n', 'c\n']) writer.write(line);
    assert.equal(output.writes, 0);
    await pass(10);
    writer.write('d\n');
    await output.take();
    assert.equal(output.text, 'a\nb\nc\n');
    await pass(10);
    await output.take();
    assert.deepEqual([output.text, output.writes], ['a\nb\nc\nd\n', 2]);
  });

  it('does not wait when there is a pipe full of lines', async () => {
    writer.write('a\n');
    writer.write(`${'x'.repeat(64 * 1024)}\n`);
    await turn();
    await output.take();
    assert.equal(output.text.length, 64 * 1024 + 3);
  });

  it('goes on where a write ended early, and tries a full pipe again', async () => {
    writer.write('abc\n');
    await pass(10);
    await output.take(2);
    await output.take(0, Object.assign(new Error('full'), { code: 'EAGAIN' }));
    await pass(50);
    await output.take();
    assert.equal(output.text, 'abc\n');
  });

  it('keeps a bounded number of lines for a reader that does not read, counts the others and says so', async () => {
    const line = `${'x'.repeat(1024 * 1024 - 1)}\n`;
    for (let i = 0; i < 7; i += 1) writer.write(line);
    await turn();
    await output.take();
    assert.equal(output.text, `${line.repeat(4)}lost 3\n`);
  });

  it('writes what is left at the end, in pieces if need be', () => {
    writer.write('abcdefgh\n');
    writer.end();
    assert.equal(output.text, 'abcdefgh\n');
    writer.end();
    assert.equal(output.text, 'abcdefgh\n');
  });
});
