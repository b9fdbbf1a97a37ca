/**
 * A local copy of one collection, kept fresh by list and watch, that never stops silently.
 *
 * Invariants: after `synced` the copy is a state the server had; every change is told once, in order; a failure only delays
 * (backoff with full jitter); a stream without any sign of life is given up after `idleMsMax` and listed anew.
 * Why our own: the client library's informer ends after any error but 410 (kubernetes-client/javascript issues 596, 958) and spins
 * when its stream ends at once (issue 1933). Rules: Kubernetes API concepts, "Efficient detection of changes". May import: core, config.
 */
import { backoffMs } from '../core/backoff.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { KubeClient, KubeFailure, KubeObject, KubeResult, Query, WatchEvent } from './client.ts';

export interface InformerChange {
  readonly type: 'added' | 'updated' | 'deleted';
  readonly object: KubeObject;
}

export interface Informer {
  /** Resolves after the first complete list, or when the informer is closed before it. */
  readonly synced: Promise<void>;
  hasSynced(): boolean;
  /** The object by name; `namespace` is the empty text for cluster-wide objects. */
  get(namespace: string, name: string): KubeObject | undefined;
  list(): readonly KubeObject[];
  /** Calls back after each change of the copy, and returns the function that ends that. */
  onChange(listener: (change: InformerChange) => void): () => void;
  /** Milliseconds since the server last gave a sign of life; Infinity before the first. */
  idleMs(): number;
  /** Lists anew at once, whatever the stream says: for a reader who has cause to doubt the copy. */
  refresh(): void;
  /** Stops, and resolves when nothing of it runs any more. */
  close(): Promise<void>;
}

export interface InformerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Path of the collection. */
  readonly path: string;
  /** fieldSelector, labelSelector. */
  readonly query?: Query;
  /** Accept headers of list and watch, for metadata only. */
  readonly accept?: { readonly list: string; readonly watch: string };
  /** What of an object is kept in memory, its metadata.resourceVersion among it; all of it by default. */
  readonly keep?: (object: KubeObject) => KubeObject;
  /** A stream that was silent for so long is listed anew. Bookmarks come about once a minute. */
  readonly idleMsMax?: number;
}

const IDLE_MS_MAX = 5 * 60_000;
/** The server ends a stream after this time, so that load moves to new API servers; the copy goes on where it was. */
const WATCH_SECONDS = 290;
/** Objects a page: the page size of kubectl. */
const PAGE_OBJECTS = '500';
/** First waits are short because a restart of the API server takes seconds; the longest keeps drift below a minute. */
const BACKOFF = { baseMs: 250, maxMs: 15_000 };
/** A stream that ends sooner than this without an event counts as a failure, else a broken server is asked without pause. */
const STREAM_MS_MIN = 1_000;

/** Starts at once. */
export function createInformer(options: InformerOptions): Informer {
  return new ListWatch(options);
}

class ListWatch implements Informer {
  readonly synced: Promise<void>;
  readonly #options: InformerOptions;
  readonly #resolveSynced: () => void;
  readonly #objects = new Map<string, KubeObject>();
  readonly #listeners = new Set<(change: InformerChange) => void>();
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  /** Ends the stream of this moment, so that a list follows. */
  #restart: () => void = () => {};
  #hasSynced = false;
  #resourceVersion = '';
  #lastContactMs = Number.NEGATIVE_INFINITY;
  #attempt = 0;

  constructor(options: InformerOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.synced = promise;
    this.#resolveSynced = resolve;
    this.#done = this.#run();
  }

  hasSynced(): boolean {
    return this.#hasSynced;
  }

  get(namespace: string, name: string): KubeObject | undefined {
    return this.#objects.get(`${namespace}/${name}`);
  }

  list(): readonly KubeObject[] {
    return [...this.#objects.values()];
  }

  onChange(listener: (change: InformerChange) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  idleMs(): number {
    return this.#options.clock.monotonic() - this.#lastContactMs;
  }

  refresh(): void {
    this.#restart();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#resolveSynced();
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const listed = await this.#list();
      if (!listed.ok) {
        await this.#pause('list failed', listed);
        continue;
      }
      this.#replace(listed.value);
      this.#attempt = 0;
      if (!this.#hasSynced) {
        this.#hasSynced = true;
        this.#resolveSynced();
      }
      await this.#follow();
    }
  }

  /** All pages of the collection. */
  async #list(): Promise<KubeResult<readonly KubeObject[]>> {
    const { client, path, query = {}, accept } = this.#options;
    const items: KubeObject[] = [];
    const read = { signal: this.#stop.signal, ...(accept === undefined ? {} : { accept: accept.list }) };
    let next = '';
    do {
      const page = await client.list(
        path,
        { ...query, limit: PAGE_OBJECTS, ...(next === '' ? {} : { continue: next }) },
        read,
      );
      if (!page.ok) return page;
      this.#touch();
      items.push(...page.value.items);
      this.#resourceVersion = page.value.resourceVersion;
      next = page.value.next;
    } while (next !== '' && !this.#stop.signal.aborted);
    return { ok: true, value: items };
  }

  /** Watches again and again from where it was; returns when a new list is needed. */
  async #follow(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const startedMs = this.#options.clock.monotonic();
      const { result, events, isStale } = await this.#watch();
      if (this.#stop.signal.aborted || isStale) return;
      const isShort = events === 0 && this.#options.clock.monotonic() - startedMs < STREAM_MS_MIN;
      if (result.ok && !isShort) {
        this.#attempt = 0;
        continue;
      }
      if (!result.ok && result.kind === 'gone') return;
      await this.#pause('watch failed', result.ok ? undefined : result);
      // A refused or malformed watch is not cured by asking the same: start over.
      if (!result.ok && result.kind !== 'unavailable') return;
    }
  }

  async #watch(): Promise<{ result: KubeResult<'ended'>; events: number; isStale: boolean }> {
    const { client, clock, path, query = {}, accept, idleMsMax = IDLE_MS_MAX } = this.#options;
    const stream = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, stream.signal]);
    let events = 0;
    let isDoubted = false;
    this.#restart = (): void => {
      isDoubted = true;
      stream.abort();
    };
    this.#touch();
    const guard = async (): Promise<boolean> => {
      while (!signal.aborted && this.idleMs() < idleMsMax) await clock.sleep(idleMsMax - this.idleMs(), signal);
      if (signal.aborted) return false;
      stream.abort();
      return true;
    };
    const idle = guard();
    const result = await client.watch(
      path,
      {
        ...query,
        allowWatchBookmarks: 'true',
        resourceVersion: this.#resourceVersion,
        timeoutSeconds: String(WATCH_SECONDS),
      },
      (event) => {
        events += 1;
        this.#apply(event);
      },
      signal,
      accept === undefined ? {} : { accept: accept.watch },
    );
    stream.abort();
    return { result, events, isStale: (await idle) || isDoubted };
  }

  #apply(event: WatchEvent): void {
    this.#touch();
    const version = event.object.metadata.resourceVersion;
    if (version !== undefined) this.#resourceVersion = version;
    if (event.type === 'BOOKMARK') return;
    if (event.type === 'DELETED') this.#remove(keyOf(event.object));
    else this.#put(event.object);
  }

  #replace(items: readonly KubeObject[]): void {
    const listed = new Set(items.map(keyOf));
    for (const key of this.#objects.keys()) if (!listed.has(key)) this.#remove(key);
    for (const item of items) this.#put(item);
  }

  #put(object: KubeObject): void {
    const key = keyOf(object);
    const known = this.#objects.get(key);
    if (known !== undefined && known.metadata.resourceVersion === object.metadata.resourceVersion) return;
    const kept = this.#options.keep?.(object) ?? object;
    this.#objects.set(key, kept);
    this.#tell({ type: known === undefined ? 'added' : 'updated', object: kept });
  }

  #remove(key: string): void {
    const known = this.#objects.get(key);
    if (known === undefined) return;
    this.#objects.delete(key);
    this.#tell({ type: 'deleted', object: known });
  }

  #tell(change: InformerChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  #touch(): void {
    this.#lastContactMs = this.#options.clock.monotonic();
  }

  async #pause(message: string, failure: KubeFailure | undefined): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { clock, random, log, path } = this.#options;
    this.#attempt += 1;
    const waitMs = backoffMs(BACKOFF, this.#attempt, random, failure?.retryAfterMs ?? 0);
    log.warn(message, { path, attempt: this.#attempt, waitMs, status: failure?.status, error: failure?.text });
    await clock.sleep(waitMs, this.#stop.signal);
  }
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
}
