/**
 * Events through the API: said once, bounded, never in anybody's way.
 *
 * Invariants: `say` returns at once; the same word about the same object once in ten minutes; bounded in rate, in what is under way and
 * in memory, and what is left out is counted. Source: API reference, Event v1 core. May import: core, config.
 */
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { KubeClient } from './client.ts';
import { corePath } from './paths.ts';

/** One word about one object of a namespace. No value of an annotation or of a variable stands in it. */
export interface KubeEvent {
  /** Of the Event and of its object: the API server wants them to be the same. */
  readonly namespace: string;
  readonly regarding: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly uid?: string;
  };
  readonly type: 'Normal' | 'Warning';
  /** In CamelCase, from a closed set. */
  readonly reason: string;
  readonly message: string;
}

export interface EventWriter {
  /** Takes note and returns at once. */
  say(event: KubeEvent): void;
  /** Resolves when what is under way has ended. */
  close(): Promise<void>;
}

export interface EventWriterOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Who says it: `logtender-webhook`. */
  readonly component: string;
}

const REPEAT_AFTER_MS = 10 * 60_000;
/** Words remembered: a rollout of a thousand Deployments. The oldest is forgotten and may be told again. */
const REMEMBERED_MAX = 1_000;
/** The EventRateLimit of the API server allows a user some tens a second; a burst for a rollout, then one a second. */
const BURST = 25;
const REFILL_PER_SECOND = 1;
const IN_FLIGHT_MAX = 10;
const TIMEOUT_MS = 5_000;
/** Event v1 core, `note` and `message`: 1 kB. */
export const MESSAGE_CHARS_MAX = 1_000;

/** A writer that has said nothing yet. */
export function createEventWriter(options: EventWriterOptions): EventWriter {
  return new Writer(options);
}

class Writer implements EventWriter {
  readonly #options: EventWriterOptions;
  readonly #told = new Map<string, number>();
  readonly #underWay = new Set<Promise<void>>();
  #tokens = BURST;
  #refilledMs: number;

  constructor(options: EventWriterOptions) {
    this.#options = options;
    this.#refilledMs = options.clock.monotonic();
  }

  say(event: KubeEvent): void {
    const nowMs = this.#options.clock.monotonic();
    const { kind, name, uid } = event.regarding;
    const key = JSON.stringify([event.namespace, kind, uid ?? name, event.reason, event.message]);
    const toldMs = this.#told.get(key);
    if (toldMs !== undefined && nowMs - toldMs < REPEAT_AFTER_MS) return;
    if (!this.#take(nowMs)) {
      this.#count('limited');
      return;
    }
    this.#told.delete(key);
    this.#told.set(key, nowMs);
    const oldest = this.#told.keys().next();
    if (this.#told.size > REMEMBERED_MAX && oldest.done !== true) this.#told.delete(oldest.value);
    const sent = this.#send(event).finally(() => this.#underWay.delete(sent));
    this.#underWay.add(sent);
  }

  async close(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #take(nowMs: number): boolean {
    this.#tokens = Math.min(BURST, this.#tokens + ((nowMs - this.#refilledMs) / 1000) * REFILL_PER_SECOND);
    this.#refilledMs = nowMs;
    if (this.#tokens < 1 || this.#underWay.size >= IN_FLIGHT_MAX) return false;
    this.#tokens -= 1;
    return true;
  }

  async #send({ namespace, regarding, type, reason, message }: KubeEvent): Promise<void> {
    const { client, clock, log, component } = this.#options;
    const time = new Date(clock.now()).toISOString();
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { generateName: 'logtender-', namespace },
      involvedObject: { ...regarding, namespace },
      type,
      reason,
      message: message.slice(0, MESSAGE_CHARS_MAX),
      source: { component },
      reportingComponent: component,
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    };
    const created = await client.create(corePath(namespace, 'events'), event, { timeoutMs: TIMEOUT_MS });
    this.#count(created.ok ? 'created' : 'failed');
    if (!created.ok) log.warn('event was not created', { kind: created.kind, reason });
  }

  #count(result: 'created' | 'failed' | 'limited'): void {
    this.#options.metrics.counter('logtender_events_total', 'Events, by result').add(1, { result });
  }
}
