/**
 * A model of what the API gives of a container's log, random cuts, restarts and rotations against the follower: every line once where the
 * API still has it, and where it has not, a gap that was told.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '../../../../src/core/log.ts';
import { createMetrics } from '../../../../src/core/metrics.ts';
import { ContainerLog } from '../../../../src/source/pod-log/container-log.ts';
import type { ContainerLogOptions } from '../../../../src/source/pod-log/container-log.ts';
import type { LogAnswer, LogQuery } from '../../../../src/source/pod-log/log-request.ts';
import { SeenLines } from '../../../../src/source/pod-log/seen-lines.ts';
import { SpillLog } from '../../../../src/source/pod-log/spill-log.ts';
import { PART_BYTES_MAX } from '../../../../src/source/pod-log/timed-line.ts';
import { seededRandom } from '../../../fakes/seeded-random.ts';
import { VirtualClock } from '../../../fakes/virtual-clock.ts';

interface Line {
  readonly timeMs: number;
  readonly text: string;
  /** It has no line end. */
  readonly isOpen?: boolean;
}

/** The kubelet's side: the current file of the current start, the current file of the one before, and who follows. */
class ModelContainer {
  current: Line[] = [];
  previous: Line[] | undefined;
  isRunning = true;
  readonly written: string[] = [];
  /** Lines that went where the API does not lead before anybody had them. */
  hidden = 0;
  /** Called once, when everything is asked for without a follow. */
  onLastLook: (() => void) | undefined;
  /** Bytes after which the next follows are cut. */
  cutAfterBytes: number[] = [];
  #wakes: (() => void)[] = [];
  #cut = 0;

  write(line: Line): void {
    this.current.push(line);
    this.written.push(line.text);
    this.wake();
  }

  restart(): void {
    this.isRunning = false;
    this.wake();
    this.previous = this.current;
    this.current = [];
    this.isRunning = true;
  }

  rotate(): void {
    this.current = [];
    this.wake();
  }

  cut(): void {
    this.#cut += 1;
    this.wake();
  }

  wake(): void {
    for (const wake of this.#wakes.splice(0)) wake();
  }

  readonly open = async (query: LogQuery, signal: AbortSignal): Promise<LogAnswer> => {
    if (query.follow !== true && query.previous !== true && query.bytesMax === undefined) {
      this.onLastLook?.();
      this.onLastLook = undefined;
    }
    const file = query.previous === true ? this.previous : this.current;
    if (file === undefined) return { status: 'absent', text: '400: no previous' };
    return { status: 'open', stream: this.#read(file, query, signal) };
  };

  async *#read(file: Line[], query: LogQuery, signal: AbortSignal): AsyncGenerator<Buffer> {
    const cut = this.#cut;
    const since = query.sinceSecond ?? Number.NEGATIVE_INFINITY;
    let own = file;
    let at = 0;
    const cutAfter = query.follow === true ? this.cutAfterBytes.shift() : undefined;
    let bytesLeft = query.bytesMax ?? cutAfter ?? Number.POSITIVE_INFINITY;
    for (;;) {
      if (signal.aborted || (query.follow === true && this.#cut !== cut)) throw new Error('cut');
      while (at < own.length) {
        const line = own[at];
        at += 1;
        if (line === undefined || line.timeMs / 1000 < since) continue;
        const bytes = Buffer.from(`${stamp(line.timeMs)} ${line.text}${line.isOpen === true ? '' : '\n'}`).subarray(
          0,
          bytesLeft,
        );
        bytesLeft -= bytes.length;
        if (bytes.length > 0) yield bytes;
        if (bytesLeft <= 0 && cutAfter !== undefined) throw new Error('cut');
        if (bytesLeft <= 0) return;
      }
      if (query.follow !== true) return;
      const isCurrent = own === this.current;
      if (!isCurrent && own !== this.previous) {
        // Rotated: over to the new file at once.
        own = this.current;
        at = 0;
        continue;
      }
      if (!isCurrent || !this.isRunning) return;
      await new Promise<void>((resolve) => {
        this.#wakes.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }
}

/** RFC 3339 with nanoseconds. */
function stamp(timeMs: number): string {
  return new Date(Math.floor(timeMs)).toISOString().replace('Z', '000000Z');
}

/** Time passes in slices, so that what was woken gets its turn. */
async function pass(clock: VirtualClock, ms: number): Promise<void> {
  for (let slice = 0; slice < 20; slice += 1) {
    await clock.advance(ms / 20, 0);
    await settle();
  }
}

interface Rig {
  readonly container: ModelContainer;
  readonly folder: string;
  readonly gaps: () => number;
  follower(options?: Partial<ContainerLogOptions>): { log: ContainerLog; spill: SpillLog; done: Promise<void> };
  readonly texts: () => string[];
  /** The same with the parts of long lines put together. */
  readonly parts: () => string[];
}

const TURNS = 12;
const settle = async (): Promise<void> => {
  for (let i = 0; i < TURNS; i += 1) await new Promise((resolve) => setImmediate(resolve));
};

function rig(clock: VirtualClock, random: () => number): Rig {
  const folder = mkdtempSync(join(tmpdir(), 'logtender-spill-'));
  const container = new ModelContainer();
  const metrics = createMetrics();
  let first: string | undefined;
  const gaps = (): number =>
    ['missed', 'rotated', 'cut'].reduce(
      (sum, kind) => sum + metrics.counter('logtender_stdio_gaps_total', '').value({ kind }),
      0,
    );
  const lines = (): string[] =>
    readdirSync(folder)
      .toSorted((a, b) => (a === 'stdio.log' ? 1 : b === 'stdio.log' ? -1 : a < b ? -1 : 1))
      .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'))
      .filter((line) => line !== '');
  const textOf = (line: string): string => line.split(' ').slice(3).join(' ');
  return {
    container,
    folder,
    gaps,
    follower: (options = {}) => {
      const spill = new SpillLog({ folder, segmentBytes: 4_096, bytesMax: 1024 * 1024 });
      const seen = new SeenLines();
      for (const line of spill.open().lines) seen.note(line);
      const keepFirst = (text: string): void => {
        first = text === '' ? undefined : text;
      };
      const log = new ContainerLog({
        container: 'app',
        open: container.open,
        spill,
        seen,
        first,
        keepFirst,
        clock,
        random,
        log: silentLog,
        metrics,
        idleMs: 600_000,
        ...options,
      });
      return { log, spill, done: log.run() };
    },
    texts: () => lines().map(textOf),
    parts: () => {
      const whole: string[] = [];
      let open = '';
      for (const line of lines()) {
        open += textOf(line);
        if (line.split(' ', 3)[2]?.startsWith('P') === true) continue;
        whole.push(open);
        open = '';
      }
      return whole;
    },
  };
}

const SEQUENCES = 40;
const STEPS = 60;

describe('log of a container through the API', () => {
  for (let seed = 1; seed <= SEQUENCES; seed += 1) {
    it(`random cuts, restarts, equal times, kills of the follower: seed ${seed}`, async () => {
      const random = seededRandom(seed).next;
      const clock = new VirtualClock();
      const it = rig(clock, random);
      let { log, spill, done } = it.follower();
      let timeMs = 1_790_000_000_000;
      let number = 0;
      const hasRotations = seed % 4 === 0;
      let mayHide = false;
      try {
        for (let step = 0; step < STEPS; step += 1) {
          const dice = random();
          if (dice < 0.6) {
            // Equal times, equal texts, and now and then a time before the last one.
            for (let i = 0; i < 1 + Math.floor(random() * 5); i += 1) {
              timeMs += random() < 0.4 ? 0 : Math.floor(random() * 700);
              const late = random() < 0.1 ? 3 : 0;
              const text = random() < 0.2 ? 'same' : `line ${number}`;
              number += 1;
              it.container.write({ timeMs: timeMs - late, text });
            }
          } else if (dice < 0.75) it.container.cut();
          else if (dice < 0.85) {
            // The API has the last two starts: a third before anybody looked is a gap, which another test has.
            await pass(clock, 400_000);
            // No two starts print in one nanosecond.
            timeMs += 10;
            it.container.restart();
          } else if (dice < 0.92) {
            log.stop();
            await settle();
            await done;
            spill.close();
            ({ log, spill, done } = it.follower());
          } else if (hasRotations) {
            const before = it.texts().length;
            if (before < it.container.written.length) mayHide = true;
            it.container.rotate();
          }
          await settle();
          if (random() < 0.5) {
            await pass(clock, Math.floor(random() * 15_000));
          }
        }
        await pass(clock, 400_000);
        log.end();
        log.cut();
        await settle();
        await pass(clock, 20_000);
        await done;
        const found = it.texts();
        if (!mayHide) assert.deepEqual(found.toSorted(), it.container.written.toSorted());
        const missing = it.container.written.length - found.length;
        if (missing > 0) assert.ok(it.gaps() > 0, `${missing} lines are missing and nobody says so`);
        if (!hasRotations) assert.equal(it.gaps(), 0);
      } finally {
        log.stop();
        spill.close();
        rmSync(it.folder, { recursive: true, force: true });
      }
    });
  }

  const START_MS = 1_790_000_000_000;
  const ended = async (clock: VirtualClock, log: ContainerLog, done: Promise<void>): Promise<void> => {
    log.end();
    log.cut();
    await settle();
    await pass(clock, 20_000);
    await done;
  };

  it('a rotation while the last look is taken is told', async () => {
    const clock = new VirtualClock();
    const it = rig(clock, () => 0.5);
    const { log, spill, done } = it.follower();
    try {
      it.container.write({ timeMs: START_MS, text: 'first' });
      await settle();
      it.container.onLastLook = () => {
        it.container.write({ timeMs: START_MS + 1, text: 'put aside unseen' });
        it.container.rotate();
        it.container.write({ timeMs: START_MS + 2, text: 'last' });
      };
      await ended(clock, log, done);
      assert.deepEqual(it.texts(), ['first', 'last']);
      assert.equal(it.gaps(), 1);
    } finally {
      spill.close();
      rmSync(it.folder, { recursive: true });
    }
  });

  it('no gap is told at the end of a log that nobody touched', async () => {
    const clock = new VirtualClock();
    const it = rig(clock, () => 0.5);
    const { log, spill, done } = it.follower();
    it.container.write({ timeMs: START_MS, text: 'first' });
    await settle();
    await ended(clock, log, done);
    assert.deepEqual([it.texts(), it.gaps()], [['first'], 0]);
    spill.close();
    rmSync(it.folder, { recursive: true });
  });

  for (const cuts of [1, 2])
    it(`a long line that is cut off ${cuts} times comes again once, and nothing becomes its rest`, async () => {
      const clock = new VirtualClock();
      const it = rig(clock, () => 0.5);
      const long = 'x'.repeat(2 * PART_BYTES_MAX);
      it.container.write({ timeMs: START_MS, text: 'before' });
      it.container.write({ timeMs: START_MS, text: long });
      it.container.write({ timeMs: START_MS, text: 'behind' });
      it.container.cutAfterBytes = Array.from({ length: cuts }, () => PART_BYTES_MAX + 100);
      const { log, spill, done } = it.follower();
      try {
        await settle();
        await pass(clock, 60_000);
        await ended(clock, log, done);
        const kinds = it.parts().map((text) => (text === long ? 'long' : long.startsWith(text) ? 'torn' : text));
        assert.deepEqual(kinds, ['before', 'torn', cuts === 1 ? 'long' : 'torn', 'behind']);
        assert.equal(it.gaps(), cuts - 1, 'what does not come is told');
      } finally {
        spill.close();
        rmSync(it.folder, { recursive: true });
      }
    });

  for (const [what, text] of [
    ['a short line', 'last words'],
    ['a long line', 'x'.repeat(2 * PART_BYTES_MAX + 100)],
  ] as const)
    it(`${what} that ends the start before without a line end is taken as it is, once`, async () => {
      const clock = new VirtualClock();
      const it = rig(clock, () => 0.5);
      it.container.write({ timeMs: START_MS, text: 'before' });
      it.container.write({ timeMs: START_MS + 1, text, isOpen: true });
      it.container.restart();
      // So late that no resume comes back to it.
      it.container.write({ timeMs: START_MS + 5_000, text: 'now' });
      const { log, spill, done } = it.follower();
      try {
        await settle();
        await pass(clock, 10_000);
        it.container.cut();
        await pass(clock, 10_000);
        const kept = (): readonly string[] => it.parts().map((part) => (part === text ? 'last' : part.slice(0, 9)));
        assert.deepEqual(kept(), ['before', 'last', 'now']);
        await ended(clock, log, done);
        assert.deepEqual(kept(), ['before', 'last', 'now']);
        assert.equal(it.gaps(), 0);
      } finally {
        log.stop();
        spill.close();
        rmSync(it.folder, { recursive: true });
      }
    });

  it('a long line without a line end in the log of a container that stands still is there to its last byte', async () => {
    const clock = new VirtualClock();
    const it = rig(clock, () => 0.5);
    const long = 'x'.repeat(2 * PART_BYTES_MAX + 100);
    it.container.write({ timeMs: START_MS, text: 'before' });
    it.container.write({ timeMs: START_MS + 1, text: long, isOpen: true });
    it.container.isRunning = false;
    const { log, spill, done } = it.follower();
    try {
      const kinds = (): readonly string[] =>
        it.parts().map((text) => (text === long ? 'long' : long.startsWith(text) ? 'torn' : text));
      // The back-off of a crash loop: it is looked at more than twice.
      await pass(clock, 60_000);
      assert.deepEqual(kinds(), ['before', 'torn', 'long']);
      it.container.restart();
      it.container.write({ timeMs: START_MS + 60_000, text: 'now' });
      await pass(clock, 60_000);
      await ended(clock, log, done);
      assert.deepEqual(kinds(), ['before', 'torn', 'long', 'now']);
      assert.equal(it.gaps(), 1, 'it might have gone on');
    } finally {
      log.stop();
      spill.close();
      rmSync(it.folder, { recursive: true });
    }
  });

  it('two long lines that break off by turns are asked for again once each', async () => {
    const clock = new VirtualClock();
    const it = rig(clock, () => 0.5);
    const long = 'x'.repeat(2 * PART_BYTES_MAX);
    it.container.write({ timeMs: START_MS, text: `p${long}` });
    it.container.restart();
    it.container.write({ timeMs: START_MS + 1, text: `c${long}` });
    let isTorn = false;
    const { log, spill, done } = it.follower({
      open: async (query, signal) => {
        const answer = await it.container.open(query, signal);
        if (query.bytesMax !== undefined || answer.status !== 'open') return answer;
        // Now the start before breaks off, now it is not to be had and the current one does.
        if (query.previous === true) isTorn = !isTorn;
        if (query.previous === true && !isTorn) return { status: 'absent', text: '400: no previous' };
        return { status: 'open', stream: broken(answer.stream) };
      },
    });
    try {
      for (let turn = 0; turn < 12; turn += 1) await pass(clock, 20_000);
      assert.deepEqual(
        it
          .parts()
          .map((text) => text[0])
          .toSorted(),
        ['c', 'c', 'p', 'p'],
      );
      assert.equal(it.gaps(), 2, 'what does not come is told');
    } finally {
      log.stop();
      await settle();
      await done;
      spill.close();
      rmSync(it.folder, { recursive: true });
    }
  });

  it('the log of the start before is read for as long as it comes', async () => {
    const clock = new VirtualClock();
    const it = rig(clock, () => 0.5);
    const texts = Array.from({ length: 14 }, (_, i) => `line ${i}`);
    for (const [i, text] of texts.entries()) it.container.write({ timeMs: START_MS + i, text });
    it.container.restart();
    it.container.write({ timeMs: START_MS + 100, text: 'now' });
    let asked = 0;
    const { log, spill, done } = it.follower({
      answerMs: 500,
      open: async (query, signal) => {
        const answer = await it.container.open(query, signal);
        if (query.previous !== true || query.bytesMax !== undefined || answer.status !== 'open') return answer;
        asked += 1;
        return { status: 'open', stream: slowly(answer.stream, signal) };
      },
    });
    try {
      while (it.texts().length < texts.length + 1) await pass(clock, 100);
      await ended(clock, log, done);
      assert.deepEqual(it.texts(), [...texts, 'now']);
      // The last look asks once more.
      assert.ok(asked <= 2, `${asked} times`);
    } finally {
      spill.close();
      rmSync(it.folder, { recursive: true });
    }
  });
});

/** A chunk each 50 ms, as long as nobody gives it up. */
async function* slowly(stream: AsyncIterable<unknown>, signal: AbortSignal): AsyncGenerator {
  for await (const chunk of stream) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (signal.aborted) throw new Error('given up');
    yield chunk;
  }
}

/** Ends in the middle of a long line. */
async function* broken(stream: AsyncIterable<unknown>): AsyncGenerator {
  for await (const chunk of stream) {
    yield Buffer.from(chunk as Buffer).subarray(0, PART_BYTES_MAX + 100);
    throw new Error('cut');
  }
}
