/**
 * A Lease that lets one replica work while the others watch. It cuts contention and nothing else: correctness never depends on it.
 *
 * Invariants: a Lease is over when its renewal was not seen to change for its duration, by our own monotonic clock (clocks of replicas
 * differ); when the Lease cannot be read or written we hold nothing, and the rotator's own patience takes over.
 * Source: kubernetes/api coordination/v1 LeaseSpec. May import: src/core, src/kube, certs.
 */
import type { Clock, Random } from '../src/core/clock.ts';
import type { Log } from '../src/core/log.ts';
import { isRecord } from '../src/kube/client.ts';
import type { KubeClient, KubeObject } from '../src/kube/client.ts';
import { groupPath } from '../src/kube/paths.ts';

export interface LeaseOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly namespace: string;
  readonly name: string;
  /** Unique among the replicas. */
  readonly identity: string;
  readonly durationMs: number;
  /** Called when we become the holder. */
  readonly onAcquired: () => void;
  /** Written onto the Lease with each renewal, beside what others put there. */
  readonly annotations?: () => Readonly<Record<string, string>>;
}

export interface Lease {
  isHeld(): boolean;
  /** Gives the Lease back, so that the next replica need not wait for its end. */
  close(): Promise<void>;
}

const GROUP_VERSION = 'coordination.k8s.io/v1';

/** Starts at once. */
export function createLease(options: LeaseOptions): Lease {
  return new Holder(options);
}

class Holder implements Lease {
  readonly #options: LeaseOptions;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #heldUntilMs = Number.NEGATIVE_INFINITY;
  /** The renewal last seen of somebody else, and when we first saw it. */
  #seen: { readonly renewal: string; readonly atMs: number } | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  isHeld(): boolean {
    return this.#options.clock.monotonic() < this.#heldUntilMs;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#done;
    if (!this.isHeld()) return;
    const { client, namespace, name } = this.#options;
    const lease = await client.get(groupPath(GROUP_VERSION, namespace, 'leases', name));
    this.#heldUntilMs = Number.NEGATIVE_INFINITY;
    if (lease.ok && holderOf(lease.value) === this.#options.identity) await this.#write(lease.value, '');
  }

  async #run(): Promise<void> {
    const { clock, random, durationMs } = this.#options;
    while (!this.#stop.signal.aborted) {
      const wasHeld = this.isHeld();
      await this.#renew();
      if (!wasHeld && this.isHeld()) {
        this.#options.log.info('lease acquired');
        this.#options.onAcquired();
      }
      // Three tries within one duration; spread, so that replicas do not ask in step.
      await clock.sleep((durationMs / 3) * (0.8 + 0.2 * random()), this.#stop.signal);
    }
  }

  async #renew(): Promise<void> {
    const { client, clock, namespace, name, identity, durationMs } = this.#options;
    const startedMs = clock.monotonic();
    const path = groupPath(GROUP_VERSION, namespace, 'leases');
    const lease = await client.get(`${path}/${encodeURIComponent(name)}`);
    if (!lease.ok && lease.kind !== 'not_found') return;
    if (lease.ok && !this.#isOurs(lease.value, startedMs)) return;
    const written = lease.ok
      ? await this.#write(lease.value, identity)
      : await client.create(path, {
          apiVersion: GROUP_VERSION,
          kind: 'Lease',
          metadata: { name, namespace },
          spec: this.#spec(undefined, identity),
        });
    // Counted from before the request: the others may have seen it then.
    if (written.ok) this.#heldUntilMs = startedMs + durationMs;
  }

  /** Whether the Lease is ours, free, or over. */
  #isOurs(lease: KubeObject, nowMs: number): boolean {
    const holder = holderOf(lease);
    if (holder === this.#options.identity || holder === '') return true;
    const renewal = `${holder} ${String(specOf(lease)['renewTime'])}`;
    if (this.#seen?.renewal !== renewal) this.#seen = { renewal, atMs: nowMs };
    return nowMs - this.#seen.atMs > this.#options.durationMs;
  }

  #write(lease: KubeObject, identity: string): ReturnType<KubeClient['update']> {
    const { client, namespace, name } = this.#options;
    const metadata = {
      ...lease.metadata,
      annotations: { ...lease.metadata.annotations, ...this.#options.annotations?.() },
    };
    const body = { ...lease, metadata, spec: this.#spec(lease, identity) };
    return client.update(groupPath(GROUP_VERSION, namespace, 'leases', name), body);
  }

  #spec(lease: KubeObject | undefined, identity: string): Readonly<Record<string, unknown>> {
    const { clock, durationMs } = this.#options;
    const before = lease === undefined ? {} : specOf(lease);
    // MicroTime: RFC 3339 with six digits of a second.
    const now = new Date(clock.now()).toISOString().replace('Z', '000Z');
    const isNewHolder = before['holderIdentity'] !== identity;
    const transitions = typeof before['leaseTransitions'] === 'number' ? before['leaseTransitions'] : 0;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.max(1, Math.round(durationMs / 1000)),
      acquireTime: isNewHolder ? now : before['acquireTime'],
      renewTime: now,
      leaseTransitions: isNewHolder ? transitions + 1 : transitions,
    };
  }
}

function specOf(lease: KubeObject): Readonly<Record<string, unknown>> {
  return isRecord(lease['spec']) ? lease['spec'] : {};
}

function holderOf(lease: KubeObject): string {
  const holder = specOf(lease)['holderIdentity'];
  return typeof holder === 'string' ? holder : '';
}
