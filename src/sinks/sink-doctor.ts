/**
 * Looks at a sink that is behind as `logtender check sink` does, and says what it finds: in the log and on /readyz.
 *
 * Information only: nothing waits for it, and it asks a destination nothing while all is well. May import: core, config, sinks/check.ts.
 */
import type { ForwarderConfig, SinkName } from '../config/forwarder-config.ts';
import type { Clock } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { checkOf } from './check.ts';
import type { CheckStep, SinkCheck } from './check.ts';

/** Trouble that is over by itself within this time needs no doctor. */
const ILL_MS_MIN = 10_000;
/** While it lasts it is looked at again: somebody may have cured the first of several faults. */
const AGAIN_MS = 300_000;
const TICK_MS = 2_000;

export interface SinkDoctorOptions {
  readonly config: ForwarderConfig;
  readonly log: Log;
  readonly clock: Clock;
  /** Why a sink is behind; undefined while it is not. */
  readonly isIll: (sink: SinkName) => string | undefined;
  /** How a sink is checked; the catalogue of `logtender check sink` unless given. */
  readonly checkOf?: (sink: SinkName) => Promise<SinkCheck | undefined>;
}

interface Patient {
  readonly sinceMs: number;
  lookedAtMs: number | undefined;
  finding: string | undefined;
}

export class SinkDoctor {
  readonly #options: SinkDoctorOptions;
  readonly #patients = new Map<SinkName, Patient>();

  constructor(options: SinkDoctorOptions) {
    this.#options = options;
  }

  /** The last finding about a sink that is still behind. */
  finding(sink: string): string | undefined {
    return [...this.#patients].find(([name]) => name === sink)?.[1].finding;
  }

  /** Goes its rounds until the signal is aborted. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(TICK_MS, signal);
      if (!signal.aborted) await this.round();
    }
  }

  /** One look at every sink. */
  async round(): Promise<void> {
    const { config, clock, isIll } = this.#options;
    const now = clock.monotonic();
    for (const sink of config.sinks) {
      if (isIll(sink) === undefined) {
        this.#patients.delete(sink);
        continue;
      }
      const patient: Patient = this.#patients.get(sink) ?? { sinceMs: now, lookedAtMs: undefined, finding: undefined };
      this.#patients.set(sink, patient);
      const isDue =
        patient.lookedAtMs === undefined ? now - patient.sinceMs >= ILL_MS_MIN : now - patient.lookedAtMs >= AGAIN_MS;
      if (!isDue) continue;
      patient.lookedAtMs = now;
      await this.#look(sink, patient);
    }
  }

  async #look(sink: SinkName, patient: Patient): Promise<void> {
    const { config, clock, log } = this.#options;
    const find = this.#options.checkOf ?? checkOf;
    try {
      const check = await find(sink);
      if (check === undefined) return;
      const steps: CheckStep[] = [];
      for await (const step of check({ config, clock, writes: false })) steps.push(step);
      const bad = steps.filter(({ outcome }) => outcome === 'failed' || outcome === 'warning');
      patient.finding =
        bad.length === 0
          ? `check: ${steps.map(({ name }) => name).join(', ')} are well`
          : `check: ${bad.map(stepText).join('; ')}`;
      if (bad.length > 0) log.warn('sink was checked', { sink, finding: patient.finding });
      else log.info('sink was checked', { sink, finding: patient.finding });
    } catch (error) {
      // A check never rejects for what it finds: this is its own fault, and no reason to stop anything.
      log.debug('sink could not be checked', { sink, error: errorText(error) });
    }
  }
}

function stepText({ name, text, remedy }: CheckStep): string {
  return `${name}: ${text}${remedy === undefined ? '' : ` (${remedy})`}`;
}
