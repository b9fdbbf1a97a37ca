/**
 * Makes what is missing: the stream, and before it the group, so that a role which may not create groups works where they exist.
 *
 * Invariants: what a group is to have beside its name (class, key, tags, retention) never keeps a line from being delivered: what the service
 * refuses is left out, one after another, and said; a retention that could not be set is tried again, with growing waits.
 * May import: core, config, sinks/cloudwatch-logs.
 */
import { tagsOf } from '../../config/cloudwatch-config.ts';
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import { retryable } from './classify.ts';
import type { Called, CallFailure } from './classify.ts';
import type { LogsCalls } from './calls.ts';
import type { LogGroupSettings } from './client.ts';
import type { LogDestination } from './request.ts';

/** The quota of PutRetentionPolicy is 5 a second for an account: a first wait of a minute, doubled up to an hour. */
const RETENTION_RETRY_MS = { first: 60_000, most: 3_600_000 } as const;
/** Groups whose retention is still to be set: one pod has as many groups as its template makes. The oldest is given up, and said. */
const RETENTION_GROUPS_MAX = 100;

interface DueRetention {
  readonly destination: LogDestination;
  dueMs: number;
  waitMs: number;
}

export class Provisioner {
  readonly #config: ForwarderConfig;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #retention = new Map<string, DueRetention>();
  /** Groups whose making had no answer: one that exists afterwards is ours. */
  readonly #halfMade = new Set<string>();

  constructor(options: { readonly config: ForwarderConfig; readonly clock: Clock; readonly log: Log }) {
    this.#config = options.config;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Makes stream and group. Gives why it could not be done, or undefined. */
  async provide(calls: LogsCalls, destination: LogDestination, signal: AbortSignal): Promise<CallFailure | undefined> {
    const stream = await calls.createLogStream(destination, signal);
    if (stream.kind !== 'missing') return failureOf(stream);
    const group = await this.#makeGroup(calls, destination, signal);
    if (group !== undefined) return group;
    return failureOf(await calls.createLogStream(destination, signal));
  }

  /** Sets a retention that is due, if any. */
  async finish(calls: LogsCalls, signal: AbortSignal): Promise<void> {
    const now = this.#clock.monotonic();
    const due = [...this.#retention.values()].find(({ dueMs }) => dueMs <= now);
    if (due === undefined) return;
    const days = this.#config.retentionDays ?? 0;
    const { destination } = due;
    const { group } = destination;
    const called = await calls.putRetentionPolicy(destination, days, signal);
    if (called.kind === 'done') {
      this.#retention.delete(group);
      this.#log.info('log group retention set', { logGroup: group, retentionDays: days });
      return;
    }
    due.dueMs = now + due.waitMs;
    this.#log.warn('set retention failed, lines are delivered all the same', {
      logGroup: group,
      retentionDays: days,
      error: called.kind === 'failed' ? called.delivery.text : called.kind,
      next_try_ms: due.waitMs,
    });
    due.waitMs = Math.min(2 * due.waitMs, RETENTION_RETRY_MS.most);
  }

  async #makeGroup(
    calls: LogsCalls,
    destination: LogDestination,
    signal: AbortSignal,
  ): Promise<CallFailure | undefined> {
    const { group } = destination;
    const wanted = settingsOf(this.#config);
    let called: Called<void> = { kind: 'exists' };
    for (const { settings, left } of fewerAndFewer(wanted)) {
      called = await calls.createLogGroup(destination, settings, signal);
      if (called.kind === 'done' && left.length > 0)
        this.#log.error('log group was created without what the service refuses', { logGroup: group, left_out: left });
      if (called.kind !== 'failed' || !isRefusal(called)) break;
      this.#log.warn('log group cannot be created as configured', { logGroup: group, error: called.delivery.text });
    }
    if (called.kind === 'failed' && called.mayBeDone === true) this.#halfMade.add(group);
    const isOurs = called.kind === 'done' || (called.kind === 'exists' && this.#halfMade.has(group));
    if (isOurs) this.#made(destination);
    return failureOf(called);
  }

  #made(destination: LogDestination): void {
    const { group } = destination;
    this.#halfMade.delete(group);
    this.#log.info('log group created', { logGroup: group });
    if (this.#config.retentionDays === undefined) return;
    const [oldest] = this.#retention.keys();
    if (this.#retention.size >= RETENTION_GROUPS_MAX && oldest !== undefined) {
      this.#retention.delete(oldest);
      this.#log.error('set retention was given up', { logGroup: oldest });
    }
    this.#retention.set(group, {
      destination,
      dueMs: this.#clock.monotonic(),
      waitMs: RETENTION_RETRY_MS.first,
    });
  }
}

/** What the configuration asks for, as the SDK takes it. */
function settingsOf(config: ForwarderConfig): LogGroupSettings {
  const { logGroupClass, kmsKey, tags } = config.cloudwatch;
  return {
    ...(logGroupClass === 'infrequent-access' ? { logGroupClass: 'INFREQUENT_ACCESS' } : {}),
    ...(logGroupClass === 'standard' ? { logGroupClass: 'STANDARD' } : {}),
    ...(kmsKey === undefined ? {} : { kmsKeyId: kmsKey }),
    ...(tags.length === 0 ? {} : { tags: Object.fromEntries(tagsOf(tags)) }),
  };
}

/** In this order things are left out: what costs least first, what cannot be mended later last. */
const LEAVE_OUT = ['tags', 'kmsKeyId', 'logGroupClass'] as const satisfies readonly (keyof LogGroupSettings)[];

/** The settings whole, then with each alone left out, then with none. */
function* fewerAndFewer(
  wanted: LogGroupSettings,
): Generator<{ readonly settings: LogGroupSettings; readonly left: readonly string[] }> {
  const present = LEAVE_OUT.filter((key) => wanted[key] !== undefined);
  yield { settings: wanted, left: [] };
  for (const key of present) yield { settings: without(wanted, [key]), left: [key] };
  if (present.length > 1) yield { settings: {}, left: present };
}

function without(settings: LogGroupSettings, left: readonly string[]): LogGroupSettings {
  return Object.fromEntries(Object.entries(settings).filter(([key]) => !left.includes(key)));
}

/** The service refused what was asked for, or the right to it: asking for less may help. */
function isRefusal(failure: CallFailure & { kind: 'failed' }): boolean {
  const { delivery, isIdentity } = failure;
  if (delivery.status !== 'retryable') return true;
  return delivery.reason === 'credentials' && isIdentity !== true;
}

/** A group or stream that cannot be made is no record's fault: nothing is to be looked for by halves. */
function failureOf(called: Called<void>): CallFailure | undefined {
  if (called.kind === 'missing') return { kind: 'failed', delivery: retryable('not_found', called.text) };
  if (called.kind !== 'failed') return undefined;
  const { delivery } = called;
  if (delivery.status === 'retryable') return called;
  return { kind: 'failed', delivery: retryable('not_found', `create log group or stream: ${delivery.text}`) };
}
