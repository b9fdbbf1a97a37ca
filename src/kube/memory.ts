/**
 * The Kubernetes API in memory: objects by path, resourceVersion, conflicts, patches, watches. For one process without a cluster.
 *
 * Invariants: each write gets a new resourceVersion, a write with an old one is a conflict, watchers see every write in order.
 * No admission, no validation, no selectors but `metadata.name`. May import: core, config.
 */
import { randomUUID } from 'node:crypto';

import { failureOf, toKubeObject } from './client.ts';
import type { KubeClient, KubeFailure, KubeObject, KubeResult, Query, WatchEvent } from './client.ts';
import { applyJsonPatch, applyMergePatch } from './json-patch.ts';

/** Writes remembered for watches that resume; older resume points get 410, as from etcd after a compaction. */
const HISTORY_EVENTS_MAX = 1_000;

interface HistoryEntry {
  readonly version: number;
  readonly path: string;
  readonly event: WatchEvent;
}

/** An empty API. */
export function createMemoryKube(): KubeClient {
  return new MemoryKube();
}

class MemoryKube implements KubeClient {
  readonly #objects = new Map<string, KubeObject>();
  readonly #history: HistoryEntry[] = [];
  readonly #watchers = new Set<(entry: HistoryEntry) => void>();
  #version = 1;

  async get(path: string): Promise<KubeResult> {
    const found = this.#objects.get(path);
    return found === undefined ? notFound(path) : { ok: true, value: structuredClone(found) };
  }

  async list(
    path: string,
    query: Query = {},
  ): Promise<KubeResult<{ items: readonly KubeObject[]; resourceVersion: string; next: string }>> {
    const items = [...this.#objects]
      .filter(([key, object]) => isSelected(path, query, key, object))
      .map(([, object]) => structuredClone(object));
    return { ok: true, value: { items, resourceVersion: String(this.#version), next: '' } };
  }

  async create(path: string, body: object): Promise<KubeResult> {
    const object = toKubeObject(body);
    const suffix = randomUUID().slice(0, 5);
    const name =
      object?.metadata.name ??
      (object?.metadata.generateName === undefined ? undefined : object.metadata.generateName + suffix);
    if (object === undefined || name === undefined) return failureOf(422, 'expected an object with a name');
    const key = `${path}/${name}`;
    if (this.#objects.has(key)) return failureOf(409, { reason: 'AlreadyExists', message: `${key} already exists` });
    const namespace = /\/namespaces\/([^/]+)\//.exec(`${path}/`)?.[1];
    const metadata = { ...object.metadata, name, ...(namespace === undefined ? {} : { namespace }), uid: randomUUID() };
    return this.#store('ADDED', key, { ...object, metadata });
  }

  async update(path: string, body: object): Promise<KubeResult> {
    const known = this.#objects.get(path);
    const object = toKubeObject(body);
    if (known === undefined) return notFound(path);
    if (object === undefined) return failureOf(422, 'expected an object');
    const expected = object.metadata.resourceVersion;
    if (expected !== undefined && expected !== known.metadata.resourceVersion) return conflict(path);
    return this.#store('MODIFIED', path, {
      ...object,
      metadata: { ...object.metadata, uid: known.metadata.uid ?? '' },
    });
  }

  async patch(path: string, body: unknown, type: string): Promise<KubeResult> {
    const known = this.#objects.get(path);
    if (known === undefined) return notFound(path);
    if (type === 'application/merge-patch+json')
      return this.update(path, toKubeObject(applyMergePatch(known, body)) ?? {});
    if (type !== 'application/json-patch+json') return failureOf(415, `the API in memory knows no ${type}`);
    const patched = applyJsonPatch(known, body);
    return patched.ok ? this.update(path, toKubeObject(patched.value) ?? {}) : failureOf(422, patched.text);
  }

  async delete(path: string): Promise<KubeResult> {
    const known = this.#objects.get(path);
    if (known === undefined) return notFound(path);
    this.#objects.delete(path);
    return this.#record('DELETED', path, known);
  }

  async watch(
    path: string,
    query: Query,
    onEvent: (event: WatchEvent) => void,
    signal: AbortSignal,
  ): Promise<KubeResult<'ended'>> {
    const since = Number(query['resourceVersion'] ?? this.#version);
    const oldest = this.#history[0]?.version ?? this.#version;
    if (since < oldest - 1 && this.#history.length >= HISTORY_EVENTS_MAX)
      return failureOf(410, { reason: 'Expired', message: 'too old resource version' });
    const watcher = (entry: HistoryEntry): void => {
      if (isSelected(path, query, entry.path, entry.event.object)) onEvent(structuredClone(entry.event));
    };
    for (const entry of this.#history) if (entry.version > since) watcher(entry);
    this.#watchers.add(watcher);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    this.#watchers.delete(watcher);
    return { ok: true, value: 'ended' };
  }

  close(): void {
    this.#watchers.clear();
  }

  #store(type: 'ADDED' | 'MODIFIED', path: string, object: KubeObject): KubeResult {
    const metadata = { ...object.metadata, resourceVersion: String(this.#version + 1) };
    const stored = structuredClone({ ...object, metadata });
    this.#objects.set(path, stored);
    return this.#record(type, path, stored);
  }

  #record(type: WatchEvent['type'], path: string, object: KubeObject): KubeResult {
    this.#version += 1;
    const entry = { version: this.#version, path, event: { type, object: withVersion(object, this.#version) } };
    this.#history.push(entry);
    if (this.#history.length > HISTORY_EVENTS_MAX) this.#history.shift();
    for (const watcher of this.#watchers) watcher(entry);
    return { ok: true, value: structuredClone(object) };
  }
}

function withVersion(object: KubeObject, version: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
}

/** Whether the object at `key` belongs to the collection, which may span all namespaces. */
function isSelected(collection: string, query: Query, key: string, object: KubeObject): boolean {
  const parent = key.slice(0, key.lastIndexOf('/'));
  if (parent !== collection && parent.replace(/\/namespaces\/[^/]+(?=\/)/, '') !== collection) return false;
  const name = /^metadata\.name=(.*)$/.exec(query['fieldSelector'] ?? '')?.[1];
  return name === undefined || object.metadata.name === name;
}

function notFound(path: string): KubeFailure {
  return failureOf(404, { reason: 'NotFound', message: `${path} not found` });
}

function conflict(path: string): KubeFailure {
  return failureOf(409, { reason: 'Conflict', message: `${path}: the object has been modified` });
}
