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
import type { LogAnswer, LogQuery } from '../../../../src/source/pod-log/log-request.ts';
import { SeenLines } from '../../../../src/source/pod-log/seen-lines.ts';
import { SpillLog } from '../../../../src/source/pod-log/spill-log.ts';
import { seededRandom } from '../../../fakes/seeded-random.ts';
import { VirtualClock } from '../../../fakes/virtual-clock.ts';

interface Line {
  readonly timeMs: number;
  readonly text: string;
}

/** The kubelet's side: the current file of the current start, the current file of the one before, and who follows. */
class ModelContainer {
  current: Line[] = [];
  previous: Line[] | undefined;
  isRunning = true;
  readonly written: string[] = [];
  /** Lines that went where the API does not lead before anybody had them. */
  hidden = 0;
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
    const file = query.previous === true ? this.previous : this.current;
    if (file === undefined) return { status: 'absent', text: '400: no previous' };
    return { status: 'open', stream: this.#read(file, query, signal) };
  };

  async *#read(file: Line[], query: LogQuery, signal: AbortSignal): AsyncGenerator<Buffer> {
    const cut = this.#cut;
    const since = query.sinceSecond ?? Number.NEGATIVE_INFINITY;
    let own = file;
    let at = 0;
    let bytesLeft = query.bytesMax ?? Number.POSITIVE_INFINITY;
    for (;;) {
      if (signal.aborted || (query.follow === true && this.#cut !== cut)) throw new Error('cut');
      while (at < own.length) {
        const line = own[at];
        at += 1;
        if (line === undefined || line.timeMs / 1000 < since) continue;
        const bytes = Buffer.from(`${stamp(line.timeMs)} ${line.text}\n`).subarray(0, bytesLeft);
        bytesLeft -= bytes.length;
        if (bytes.length > 0) yield bytes;
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
  follower(): { log: ContainerLog; spill: SpillLog; done: Promise<void> };
  readonly texts: () => string[];
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
    ['missed', 'rotated'].reduce(
      (sum, kind) => sum + metrics.counter('logtender_stdio_gaps_total', '').value({ kind }),
      0,
    );
  return {
    container,
    folder,
    gaps,
    follower: () => {
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
      });
      return { log, spill, done: log.run() };
    },
    texts: () =>
      readdirSync(folder)
        .toSorted((a, b) => (a === 'stdio.log' ? 1 : b === 'stdio.log' ? -1 : a < b ? -1 : 1))
        .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'))
        .filter((line) => line !== '')
        .map((line) => line.split(' ').slice(3).join(' ')),
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
});
