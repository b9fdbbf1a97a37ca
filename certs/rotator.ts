/**
 * The control loop: observe, remember, decide, apply one step; again at once after a write, else at the next tick or change.
 *
 * Invariants: a decision is made on objects read after the last write; no wait is longer than a tick, so that suspended machines and
 * clocks that jump are caught up with; a failed write is followed by a new observation, never by a repetition of the same write.
 * May import: src/core, src/kube, certs.
 */
import { backoffMs } from '../src/core/backoff.ts';
import type { Clock, Random } from '../src/core/clock.ts';
import { errorText } from '../src/core/errors.ts';
import type { Log } from '../src/core/log.ts';
import type { KubeFailure, KubeResult } from '../src/kube/client.ts';
import { webhookConfigurationPath } from '../src/kube/paths.ts';
import { applyStep } from './apply.ts';
import type { ApplyOptions, WritingStep } from './apply.ts';
import { entriesOf } from './ca-bundle.ts';
import { parseCaState } from './ca-state.ts';
import { clockOffMsMax, decide, targetKey } from './decide.ts';
import type { Settings, Step } from './decide.ts';
import { EMPTY_MEMORY, remember } from './observation.ts';
import type { ConfigurationView, Memory, Observation } from './observation.ts';
import { parseRequest, ROTATE_ANNOTATION } from './orders.ts';
import { readSecret } from './secret-store.ts';
import { parseServingPair } from './serving-state.ts';

export interface RotatorOptions extends ApplyOptions {
  readonly settings: Settings;
  /** Longest time between two observations. */
  readonly tickMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Called after each round, for metrics and readiness. */
  readonly onRound?: (round: Round) => void;
  /**
   * Whether this replica should do the step now; true by default. A Lease answers it, to cut contention. `pendingMs`: for how long this
   * replica has seen that kind of step due.
   */
  readonly mayAct?: (step: WritingStep, pendingMs: number) => boolean;
}

/** What became of one round. */
export interface Round {
  /** Undefined when the API server could not be asked. */
  readonly seen: Observation | undefined;
  readonly step: Step | undefined;
  readonly outcome: 'written' | 'waited' | 'yielded' | 'lost_race' | 'failed' | 'blocked' | 'unobserved';
  /** For people, on failure. */
  readonly problem: string;
}

export interface Rotator {
  /** Observe now: something changed. */
  wake(): void;
  /** Resolves when the loop has ended; a step that was begun is finished first. */
  close(): Promise<void>;
}

/** A lost race is decided anew at once, for a moment; then the other replicas get air. */
const BACKOFF = { baseMs: 50, maxMs: 15_000 };

/** Starts at once. */
export function createRotator(options: RotatorOptions): Rotator {
  return new Loop(options);
}

class Loop implements Rotator {
  readonly #options: RotatorOptions;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #memory: Memory = EMPTY_MEMORY;
  #sleep = new AbortController();
  #isWoken = false;
  #failures = 0;
  #blockedBy = '';
  #pending: { readonly kind: string; readonly sinceMs: number } | undefined;

  constructor(options: RotatorOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  wake(): void {
    this.#isWoken = true;
    this.#sleep.abort();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#sleep.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#isWoken = false;
      const round = await this.#round();
      this.#options.onRound?.(round);
      await this.#pause(round);
    }
  }

  /** Never rejects: what nobody foresaw is a failed round, logged and tried again with backoff. */
  async #round(): Promise<Round> {
    try {
      const observed = await this.#observe();
      if (!observed.ok) return this.#unobserved(observed.failure);
      const seen = observed.seen;
      this.#memory = remember(this.#memory, seen);
      const step = decide(seen, this.#memory, this.#options.settings);
      if (step.kind === 'wait') return { seen, step, outcome: 'waited', problem: this.#hindrance(step, seen) };
      if (step.kind === 'blocked') return this.#blocked(seen, step.problem);
      if (!this.#mayAct(step, seen.monotonicMs)) return { seen, step, outcome: 'yielded', problem: '' };
      return await this.#apply(step, seen);
    } catch (error) {
      this.#options.log.error('round failed', { error: errorText(error) });
      return { seen: undefined, step: undefined, outcome: 'failed', problem: errorText(error) };
    }
  }

  async #observe(): Promise<{ ok: true; seen: Observation } | { ok: false; failure: KubeFailure }> {
    const { clock, client, ca, tls, configurationName } = this.#options;
    const askedMs = clock.now();
    // The CA state last: it decides what is written over the other two, and what changed after their reading makes that write a conflict.
    const [tlsRead, configuration] = await Promise.all([
      readSecret(tls, parseServingPair),
      client.get(webhookConfigurationPath(configurationName)),
    ]);
    const caRead = await readSecret(ca, parseCaState);
    if (!caRead.ok) return caRead;
    if (!tlsRead.ok) return tlsRead;
    if (!configuration.ok && configuration.kind !== 'not_found') return { ok: false, failure: configuration };
    const times = { nowMs: clock.now(), monotonicMs: clock.monotonic() };
    return {
      ok: true,
      seen: {
        ...times,
        ca: caRead.view,
        tls: tlsRead.view,
        configuration: configurationView(configuration),
        request: parseRequest(caRead.annotations[ROTATE_ANNOTATION]),
        clockOffMs: clockOffMs(askedMs, client.serverDateMs?.(), times.nowMs),
      },
    };
  }

  async #apply(step: WritingStep, seen: Observation): Promise<Round> {
    const { log } = this.#options;
    const result = await applyStep(step, seen, this.#options);
    const reason = 'reason' in step ? step.reason : undefined;
    if (result.ok) {
      log.info('step done', { step: step.kind, reason });
      if (step.kind === 'publish') {
        const publication = { atMs: seen.monotonicMs, target: targetKey(step.target) };
        this.#memory = { ...this.#memory, published: [...this.#memory.published, publication] };
      }
      return { seen, step, outcome: 'written', problem: '' };
    }
    const isLostRace = result.kind === 'conflict' || result.kind === 'already_exists' || result.kind === 'not_found';
    if (isLostRace) return { seen, step, outcome: 'lost_race', problem: result.text };
    log.warn('step failed', { step: step.kind, reason, status: result.status, error: result.text });
    return { seen, step, outcome: 'failed', problem: result.text };
  }

  #mayAct(step: WritingStep, monotonicMs: number): boolean {
    if (this.#pending?.kind !== step.kind) this.#pending = { kind: step.kind, sinceMs: monotonicMs };
    return this.#options.mayAct?.(step, monotonicMs - this.#pending.sinceMs) ?? true;
  }

  #unobserved(failure: KubeFailure): Round {
    this.#options.log.warn('observation failed', { status: failure.status, error: failure.text });
    return { seen: undefined, step: undefined, outcome: 'unobserved', problem: failure.text };
  }

  #blocked(seen: Observation, problem: string): Round {
    if (this.#blockedBy !== problem) this.#options.log.error('blocked by a foreign secret', { error: problem });
    this.#blockedBy = problem;
    return { seen, step: { kind: 'blocked', problem }, outcome: 'blocked', problem };
  }

  /** Why nothing can be done, for people; the empty text while waiting is as it should be. */
  #hindrance(step: Extract<Step, { kind: 'wait' }>, seen: Observation): string {
    if (step.reason !== 'clock_off' || seen.clockOffMs === undefined) return '';
    const { settings, log } = this.#options;
    const offSeconds = Math.round(Math.abs(seen.clockOffMs) / 1000);
    const side = seen.clockOffMs > 0 ? 'ahead' : 'behind';
    const problem =
      `compare clocks: expected at most ${clockOffMsMax(settings) / 1000} s between this node and the API server, ` +
      `got ${offSeconds} s ${side}; nothing is renewed until the clock of the node is right`;
    log.warn('clock is off', { error: problem });
    return problem;
  }

  async #pause(round: Round): Promise<void> {
    const { clock, random, tickMs } = this.#options;
    const isFailure = round.outcome === 'failed' || round.outcome === 'unobserved' || round.outcome === 'lost_race';
    this.#failures = isFailure ? this.#failures + 1 : 0;
    if (round.step?.kind === 'wait' || round.outcome === 'written') this.#pending = undefined;
    // What was written is looked at again at once; that round finds the next step or that there is none.
    if (round.outcome === 'written' || this.#isWoken) return;
    const waitMs = round.step?.kind === 'wait' ? Math.min(tickMs, round.step.waitMs + 1) : tickMs;
    const pauseMs = isFailure ? Math.min(tickMs, backoffMs(BACKOFF, this.#failures, random)) : waitMs;
    this.#sleep = new AbortController();
    await clock.sleep(pauseMs, AbortSignal.any([this.#stop.signal, this.#sleep.signal]));
  }
}

/**
 * How far our clock is ahead (negative: behind) for certain, whatever the answers took. `dateMs` is the Date of an answer between the
 * two readings of our clock, in whole seconds (RFC 9110 section 6.6.1).
 */
function clockOffMs(askedMs: number, dateMs: number | undefined, answeredMs: number): number | undefined {
  if (dateMs === undefined) return undefined;
  const [aheadMs, behindMs] = [askedMs - (dateMs + 1_000), dateMs - answeredMs];
  if (aheadMs > 0) return aheadMs;
  return behindMs > 0 ? -behindMs : 0;
}

function configurationView(result: KubeResult): ConfigurationView {
  if (!result.ok) return { status: 'missing' };
  const resourceVersion = result.value.metadata.resourceVersion ?? '';
  const { generation } = result.value.metadata;
  const counted = typeof generation === 'number' ? { generation } : {};
  return { status: 'present', resourceVersion, entries: entriesOf(result.value), ...counted };
}
