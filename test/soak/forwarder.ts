/**
 * The real forwarder over numbered lines in files that rotate, killed at fault points of its checkpoint and at random moments, with the
 * sink away for a while; then the destination is asked what it holds.
 *
 * May import: src, test/bench, test/fakes, test/soak. It needs some 130 bytes of disk for each line: files are rotated, not deleted,
 * because what is deleted while nobody holds it open is nobody's to ship.
 */
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { forwarderEntry, startForwarder } from '../bench/forwarder-process.ts';
import type { ForwarderUnderTest } from '../bench/forwarder-process.ts';
import { watchMemory } from '../bench/measured-process.ts';
import { line } from '../bench/numbered-lines.ts';
import type { SeededRandom } from '../fakes/seeded-random.ts';
import { openDestination } from './forwarder-destinations.ts';
import type { SoakDestination, SoakSink } from './forwarder-destinations.ts';

export interface ForwarderSoakOptions {
  readonly lines: number;
  readonly sink: SoakSink;
  readonly kills: number;
  readonly outages: number;
  readonly outageMs: number;
  readonly random: SeededRandom;
  /** Progress, a line at a time. */
  readonly note: (line: string) => void;
}

export const FORWARDER_SOAK_DEFAULTS = {
  lines: 1_000_000,
  sink: 'memory',
  kills: 10,
  outages: 2,
  outageMs: 30_000,
} as const;

/** The figures in the order and with the names in which they are printed. */
export interface ForwarderSoakFigures {
  readonly written: number;
  readonly delivered: number;
  readonly dropped: number;
  readonly pending: number;
  readonly lost: number;
  readonly duplicates: number;
  /** Peak over the lives of the first half, and over those of the second: one life may be too short to load everything. */
  readonly rss_mib_first: number;
  readonly rss_mib_last: number;
}

export interface ForwarderSoakResult {
  readonly figures: ForwarderSoakFigures;
  /** In words: what went wrong, none when all was well. */
  readonly problems: readonly string[];
}

const FILES = 5;
/** Each file is rotated so often while it is written. */
const ROTATIONS = 4;
const FIRST_DAY = 20_260_101;
const WRITE_EVERY_MS = 50;
/** No app writes faster for long: 6 MB/s. */
const LINES_PER_SECOND_MAX = 50_000;
/** A life: long enough to start and ship something, short enough that a thousand of them are a matter of minutes. */
const LIFE_MS = { min: 300, max: 1_500 } as const;
/** A life that is to end at a fault point gets the time to come there. */
const FAULTY_LIFE_MS_MAX = 6_000;
/** Operations on the state folder of which each is a fault point: the start makes ten, each checkpoint two or three. */
const FAULT_OPERATIONS = 16;
const FAULT_PHASES = ['before', 'half', 'after'] as const;
/** Steps through the fault points so that few kills are spread over all; it shares no factor with their number. */
const FAULT_STRIDE = 7;
/** The last life ends by itself when everything is delivered; a second for each thousand lines is slow. */
const END_MS_MIN = 120_000;
/** Memory is flat: what a life may need more than another by chance. */
const RSS_GROWTH_MIB_MAX = 16;

/** Runs to its end, which is bounded; every process that it started is gone when it resolves or rejects. */
export async function soakForwarder(options: ForwarderSoakOptions): Promise<ForwarderSoakResult> {
  const root = mkdtempSync(join(tmpdir(), 'logtender-soak-'));
  const destination = await openDestination(options.sink, options.lines, FILES);
  try {
    return await new Soak(options, root, destination).run();
  } finally {
    await destination.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

class Soak {
  readonly #options: ForwarderSoakOptions;
  readonly #root: string;
  readonly #logs: string;
  readonly #destination: SoakDestination;
  readonly #entry = forwarderEntry();
  readonly #peaks: number[] = [];
  #life: { readonly forwarder: ForwarderUnderTest; readonly memory: ReturnType<typeof watchMemory> } | undefined;
  #faults = 0;
  #faultsHit = 0;

  constructor(options: ForwarderSoakOptions, root: string, destination: SoakDestination) {
    this.#options = options;
    this.#root = root;
    this.#logs = join(root, 'logs');
    this.#destination = destination;
    mkdirSync(this.#logs);
  }

  async run(): Promise<ForwarderSoakResult> {
    const { lines, note, kills, outages } = this.#options;
    const stop = new AbortController();
    try {
      this.#start();
      const writing = this.#write(stop.signal);
      await this.#disturb();
      await writing;
      note(
        `${lines} lines written, ${kills + outages} kills (${this.#faultsHit} at a fault point), ${outages} outages; the last life ships the rest`,
      );
      await this.#kill();
      const problems = await this.#finish();
      return await this.#judge(problems);
    } finally {
      stop.abort();
      await this.#kill();
    }
  }

  #start(env: Readonly<Record<string, string>> = {}, flags: readonly string[] = []): void {
    const forwarder = startForwarder({
      root: this.#root,
      logs: this.#logs,
      sink: this.#destination.sink,
      keys: this.#destination.keys,
      metadata: 'full',
      port: 1,
      ca: undefined,
      entry: this.#entry,
      flags,
      env: { ...this.#destination.env, ...env },
    });
    this.#life = { forwarder, memory: watchMemory(forwarder.pid) };
  }

  async #kill(): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    this.#life = undefined;
    this.#peaks.push(life.memory.stop().rssMib);
    await life.forwarder.kill();
  }

  /** All kills and outages, the outages spread evenly between the kills. */
  async #disturb(): Promise<void> {
    const { kills, outages, random, note } = this.#options;
    let outage = 0;
    let outageBefore = 0;
    for (let kill = 0; kill < kills || outage < outages; kill += 1) {
      while (outage < outages && kill >= ((outage + 1) * kills) / (outages + 1)) {
        note(`outage ${outage + 1} of ${outages}`);
        await this.#outage();
        outage += 1;
      }
      if (kill >= kills) continue;
      // What was started by the kill before this one: the same parity as below.
      const isFaulty = kill % 2 === 1 && outage === outageBefore;
      const lifeMs = isFaulty ? FAULTY_LIFE_MS_MAX : LIFE_MS.min + random.below(LIFE_MS.max - LIFE_MS.min);
      outageBefore = outage;
      // Every other life ends at a fault point; should it not get there, then like the others.
      const died = this.#life?.forwarder.ended.then(() => true);
      if ((await Promise.race([systemClock.sleep(lifeMs), died])) === true) this.#faultsHit += 1;
      await this.#kill();
      if (kill % 2 === 0) this.#startFaulty();
      else this.#start();
      if ((kill + 1) % 50 === 0) note(`${kill + 1} of ${kills} kills`);
    }
  }

  #startFaulty(): void {
    const points = FAULT_OPERATIONS * FAULT_PHASES.length;
    const point = (this.#faults * FAULT_STRIDE) % points;
    this.#faults += 1;
    const env = {
      KILL_AT: String(1 + Math.floor(point / FAULT_PHASES.length)),
      KILL_PHASE: FAULT_PHASES[point % FAULT_PHASES.length] ?? '',
    };
    this.#start(env, ['--import', join(import.meta.dirname, 'kill-at.ts')]);
  }

  /** The sink is away, with a kill in the middle. */
  async #outage(): Promise<void> {
    const { outageMs } = this.#options;
    await this.#kill();
    this.#start();
    await this.#destination.halt();
    await systemClock.sleep(outageMs / 2);
    await this.#kill();
    this.#start();
    await systemClock.sleep(outageMs / 2);
    await this.#destination.resume();
  }

  /** Line n goes to file n modulo FILES, evenly over the time that the disturbances take. */
  async #write(signal: AbortSignal): Promise<void> {
    const { lines, kills, outages, outageMs } = this.#options;
    const disturbedMs = kills * (LIFE_MS.min + LIFE_MS.max) * 0.5 + outages * outageMs;
    const steps = Math.ceil(Math.max(disturbedMs, (lines / LINES_PER_SECOND_MAX) * 1_000) / WRITE_EVERY_MS);
    const rotateEvery = Math.ceil(steps / (ROTATIONS + 1));
    for (let step = 0; step < steps && !signal.aborted; step += 1) {
      const until = Math.floor((lines * (step + 1)) / steps);
      const texts = new Array<string>(FILES).fill('');
      for (let number = Math.floor((lines * step) / steps); number < until; number += 1)
        texts[number % FILES] = (texts[number % FILES] ?? '') + line('plain', number);
      for (const [file, text] of texts.entries()) {
        const path = join(this.#logs, `app-${file}.log`);
        // Not all at the same moment.
        const isTurn = step > 0 && (step + file) % rotateEvery === 0;
        // Named by a day, as logrotate does with dateext: the later day is the younger file.
        if (isTurn) renameSync(path, `${path}-${FIRST_DAY + Math.floor((step + file) / rotateEvery)}`);
        appendFileSync(path, text);
      }
      await systemClock.sleep(WRITE_EVERY_MS);
    }
  }

  /** The last life: ships what is there and ends. Gives what went wrong with that. */
  async #finish(): Promise<readonly string[]> {
    this.#start({ ONCE: 'true' });
    const life = this.#life;
    const timeout = new AbortController();
    const tooLong = systemClock.sleep(END_MS_MIN + this.#options.lines, timeout.signal).then(() => 'late' as const);
    const code = await Promise.race([life?.forwarder.ended, tooLong]);
    timeout.abort();
    if (code === 'late') return ['the last life did not end'];
    return code === 0 ? [] : [`the last life ended with ${code ?? 'a signal'}`];
  }

  async #judge(problems: readonly string[]): Promise<ForwarderSoakResult> {
    await this.#kill();
    const { lines } = this.#options;
    const summary = readFileSync(join(this.#root, 'termination-message'), 'utf8');
    const figure = (name: string): number => Number(new RegExp(`\\b${name}=(\\d+)`).exec(summary)?.[1] ?? Number.NaN);
    const { lost, duplicates, outOfOrder } = await this.#destination.counts();
    const half = Math.ceil(this.#peaks.length / 2);
    const figures = {
      written: lines,
      delivered: figure('delivered'),
      dropped: figure('dropped'),
      pending: figure('pending'),
      lost,
      duplicates,
      rss_mib_first: Math.max(0, ...this.#peaks.slice(0, half)),
      rss_mib_last: Math.max(0, ...this.#peaks.slice(half)),
    };
    const { delivered, dropped, pending } = figures;
    // What the ledger says that the destination may hold twice; counted for destinations that cannot tell a resend.
    const duplicatesMax = Number(/\bduplicates_max=(\d+)/.exec(summary)?.[1] ?? 0);
    this.#options.note(`the ledger says that at most ${duplicatesMax} lines are stored twice`);
    const growth = figures.rss_mib_last - figures.rss_mib_first;
    return {
      figures,
      problems: [
        ...problems,
        ...(delivered + dropped + pending === lines ? [] : [`the ledger is not exact: ${summary.trim()}`]),
        ...(lost === 0 ? [] : [`${lost} lines are lost`]),
        ...(duplicates > 0 && this.#destination.isIdempotent ? [`${duplicates} lines are stored twice`] : []),
        ...(this.#options.sink === 'cloudwatch' && duplicates > duplicatesMax
          ? [`${duplicates} lines are stored twice, the ledger says at most ${duplicatesMax}`]
          : []),
        ...(outOfOrder === 0 ? [] : [`${outOfOrder} lines came after a later one of their file`]),
        ...(growth <= RSS_GROWTH_MIB_MAX ? [] : [`memory grew by ${growth.toFixed(1)} MiB`]),
      ],
    };
  }
}
