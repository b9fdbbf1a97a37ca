/**
 * A steady load of dry-run pod creations, spread over API servers and over both kinds of opt-in, each answer judged.
 *
 * Every pod stands in a namespace whose failure policy is `fail`: a webhook that cannot be used is an error here and never passes
 * silently. Paced by the clock: a creation that is late does not make the next ones come in a burst. May import: src, test/cluster.
 */
import type { Clock } from '../../src/core/clock.ts';
import type { KubeClient, KubeObject } from '../../src/kube/client.ts';
import { isRecord } from '../../src/kube/client.ts';
import { corePath } from '../../src/kube/paths.ts';

/** Namespaces of the load: opt-in by label and by annotation, so that two of the four webhook entries are called. */
export const LOAD_NAMESPACES: ReadonlyArray<{
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}> = [
  { name: 'soak-labelled', labels: { 'logging.io/inject': 'true', 'logging.io/failure-policy': 'fail' } },
  { name: 'soak-annotated', labels: { 'logging.io/failure-policy': 'fail' } },
];

export interface LoadCounts {
  /** Creations that were answered, well or not. */
  readonly creations: number;
  /** Answered with an error. */
  readonly refused: number;
  /** Created, but without our sidecar. */
  readonly bare: number;
  /** No answer from an API server that should be there. */
  readonly unanswered: number;
  /** No answer while a test had taken that API server away. */
  readonly excused: number;
  /** The first failures in words, at most ten. */
  readonly failures: readonly string[];
}

export interface AdmissionLoad {
  counts(): LoadCounts;
  /** Sends nothing to that API server until the function that is returned is called; what is under way there is excused. */
  spare(server: number): () => void;
  /** Resolves when the last answer is there. */
  stop(): Promise<LoadCounts>;
}

export interface LoadOptions {
  /** One for each API server. */
  readonly clients: readonly KubeClient[];
  readonly clock: Clock;
  readonly perSecond: number;
}

/** Creations under way at one time, for all servers: two seconds of load. Beyond it the load waits. */
const IN_FLIGHT_SECONDS = 2;
const FAILURES_KEPT = 10;
/** Above the 5 s that an API server gives the webhook. */
const TIMEOUT_MS = 20_000;

/** Starts at once. */
export function startLoad(options: LoadOptions): AdmissionLoad {
  return new PacedLoad(options);
}

class PacedLoad implements AdmissionLoad {
  readonly #options: LoadOptions;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  readonly #spared = new Set<number>();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #counts = { creations: 0, refused: 0, bare: 0, unanswered: 0, excused: 0 };
  readonly #failures: string[] = [];

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  counts(): LoadCounts {
    return { ...this.#counts, failures: this.#failures };
  }

  spare(server: number): () => void {
    this.#spared.add(server);
    return () => this.#spared.delete(server);
  }

  async stop(): Promise<LoadCounts> {
    this.#stop.abort();
    await this.#done;
    return this.counts();
  }

  async #run(): Promise<void> {
    const { clients, clock, perSecond } = this.#options;
    const intervalMs = 1_000 / perSecond;
    let dueMs = clock.monotonic();
    for (let n = 0; !this.#stop.signal.aborted; n += 1) {
      const server = n % clients.length;
      if (!this.#spared.has(server)) this.#launch(server, Math.floor(n / clients.length));
      if (this.#inFlight.size >= perSecond * IN_FLIGHT_SECONDS) await Promise.race(this.#inFlight);
      dueMs = Math.max(dueMs + intervalMs, clock.monotonic());
      await clock.sleep(Math.max(0, dueMs - clock.monotonic()), this.#stop.signal);
    }
    await Promise.all(this.#inFlight);
  }

  #launch(server: number, n: number): void {
    const done = this.#create(server, n).finally(() => this.#inFlight.delete(done));
    this.#inFlight.add(done);
  }

  async #create(server: number, n: number): Promise<void> {
    const namespace = LOAD_NAMESPACES[n % LOAD_NAMESPACES.length]?.name ?? '';
    const client = this.#options.clients[server];
    if (client === undefined) return;
    const result = await client.create(corePath(namespace, 'pods'), loadPod(n), {
      query: { dryRun: 'All' },
      timeoutMs: TIMEOUT_MS,
    });
    if (!result.ok && result.status === 0 && this.#spared.has(server)) {
      this.#counts.excused += 1;
      return;
    }
    this.#counts.creations += 1;
    if (result.ok && hasSidecar(result.value)) return;
    const kind = result.ok ? 'bare' : result.status === 0 ? 'unanswered' : 'refused';
    this.#counts[kind] += 1;
    const words = result.ok ? 'created without sidecar' : `status ${result.status}: ${result.text}`;
    if (this.#failures.length < FAILURES_KEPT)
      this.#failures.push(`creation ${this.#counts.creations}, ${namespace}, API server ${server}: ${words}`);
  }
}

/** A pod of the load: asks by annotation in every namespace; in the labelled one the label alone would do. */
export function loadPod(n: number): Readonly<Record<string, unknown>> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `load-${n}`,
      labels: { app: 'load' },
      annotations: { 'logging.io/inject': 'true', 'logging.io/files': '/var/log/app/*.log' },
    },
    spec: { containers: [{ name: 'app', image: 'example/app:1' }] },
  };
}

function hasSidecar(pod: KubeObject): boolean {
  const spec = isRecord(pod['spec']) ? pod['spec'] : {};
  return [spec['initContainers'], spec['containers']].some(
    (list: unknown) =>
      Array.isArray(list) &&
      list.some((container: unknown) => isRecord(container) && container['name'] === 'logtender'),
  );
}
