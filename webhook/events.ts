/**
 * Events on the owner of a pod: what people see who look at the Deployment's ReplicaSet and not at the pod.
 *
 * Invariants: never under dry run, never in the way of an answer; the same word about the same owner once in ten minutes; bounded in
 * rate and in memory; no value of an annotation, only codes and keys. Source: API reference, Event v1 core. May import: core, config, kube.
 */
import type { Clock } from '../src/core/clock.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';
import type { KubeClient } from '../src/kube/client.ts';
import { corePath } from '../src/kube/paths.ts';
import { findingLabel, isDegrading } from './finding.ts';
import type { Finding } from './finding.ts';
import type { PodView } from './pod.ts';
import { eventReason, reasonText } from './reasons.ts';
import type { ReasonCode } from './reasons.ts';

export interface Announcement {
  readonly namespace: string;
  readonly owner: NonNullable<PodView['owner']>;
  readonly reason: ReasonCode;
  readonly findings: readonly Finding[];
}

export interface Events {
  /** Takes note and returns at once. */
  announce(announcement: Announcement): void;
  /** Resolves when what is under way has ended. */
  close(): Promise<void>;
}

const REPEAT_AFTER_MS = 10 * 60_000;
/** Owners remembered: a rollout of a thousand Deployments. The oldest is forgotten and may be told again. */
const REMEMBERED_MAX = 1_000;
/** The EventRateLimit of the API server allows a user some tens a second; a burst for a rollout, then one a second. */
const BURST = 25;
const REFILL_PER_SECOND = 1;
const IN_FLIGHT_MAX = 10;
const TIMEOUT_MS = 5_000;
/** Event v1 core, `note` and `message`: 1 kB. */
const MESSAGE_CHARS_MAX = 1_000;

/** Events through the API. */
export function createEvents(options: {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}): Events {
  return new EventWriter(options);
}

class EventWriter implements Events {
  readonly #options: Parameters<typeof createEvents>[0];
  readonly #told = new Map<string, number>();
  readonly #underWay = new Set<Promise<void>>();
  #tokens = BURST;
  #refilledMs: number;

  constructor(options: Parameters<typeof createEvents>[0]) {
    this.#options = options;
    this.#refilledMs = options.clock.monotonic();
  }

  announce(announcement: Announcement): void {
    const nowMs = this.#options.clock.monotonic();
    const key = `${announcement.owner.uid}/${announcement.reason}/${labelsOf(announcement.findings)}`;
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
    const sent = this.#send(announcement).finally(() => this.#underWay.delete(sent));
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

  async #send(announcement: Announcement): Promise<void> {
    const { client, clock, log } = this.#options;
    const { namespace, owner, reason, findings } = announcement;
    const time = new Date(clock.now()).toISOString();
    const labels = labelsOf(findings);
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { generateName: 'logtender-', namespace },
      involvedObject: { apiVersion: owner.apiVersion, kind: owner.kind, name: owner.name, uid: owner.uid, namespace },
      type: 'Warning',
      reason: eventReason(reason),
      message: `${reasonText(reason)}${labels === '' ? '' : ` (${labels})`}`.slice(0, MESSAGE_CHARS_MAX),
      source: { component: 'logtender-webhook' },
      reportingComponent: 'logtender-webhook',
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    };
    const created = await client.create(corePath(namespace, 'events'), event, { timeoutMs: TIMEOUT_MS });
    this.#count(created.ok ? 'created' : 'failed');
    if (!created.ok) log.warn('event was not created', { kind: created.kind, reason });
  }

  #count(result: 'created' | 'failed' | 'limited'): void {
    this.#options.metrics.counter('logtender_events_total', 'Events on owners of pods, by result').add(1, { result });
  }
}

function labelsOf(findings: readonly Finding[]): string {
  return [...new Set(findings.filter(isDegrading).map(findingLabel))].join(', ');
}
