/**
 * The narrow port to the Kubernetes API: raw JSON in, raw JSON out, every outcome a value.
 *
 * Invariants: an implementation never throws for what the server or the network did; every request has a time-out.
 * Implementations: http-client.ts (a real API server), memory.ts (no cluster). May import: core, config.
 */

/** What stands under `metadata`. The API server guarantees these shapes; everything else is raw. */
export interface ObjectMeta {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** Any Kubernetes object as raw JSON; `metadata` is `{}` where an answer has none. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

export interface KubeList {
  readonly items: readonly KubeObject[];
  /** Where a watch of the same collection goes on. */
  readonly resourceVersion: string;
  /** Token of the next page; the empty text on the last one. */
  readonly next: string;
}

export type KubeFailureKind =
  | 'not_found'
  /** Somebody else wrote first (409): read again. */
  | 'conflict'
  | 'already_exists'
  /** 401 and 403. */
  | 'forbidden'
  /** 400, 406, 415, 422: sending the same again cannot help. */
  | 'invalid'
  /** 410: the resourceVersion or the page token is too old, list again. */
  | 'gone'
  /** No answer in time, a broken connection, 429 or 5xx. A write may or may not have happened. */
  | 'unavailable';

export interface KubeFailure {
  readonly ok: false;
  readonly kind: KubeFailureKind;
  /** HTTP status, 0 when there was no answer. */
  readonly status: number;
  /** The server's own words, cut to 1 KiB. */
  readonly text: string;
  /** What Retry-After asked for, in milliseconds; 0 without one. */
  readonly retryAfterMs: number;
}

export type KubeResult<T = KubeObject> = { readonly ok: true; readonly value: T } | KubeFailure;

export type Query = Readonly<Record<string, string>>;

export interface ReadOptions {
  /** Accept header; METADATA_ONLY asks for PartialObjectMetadata. */
  readonly accept?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface WriteOptions {
  /** Accept header of the answer; METADATA_ONLY keeps the content of a Secret out of it. */
  readonly accept?: string;
  readonly query?: Query;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface WatchOptions {
  readonly accept?: string;
}

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';

export interface WatchEvent {
  readonly type: WatchEventType;
  readonly object: KubeObject;
}

/** The body formats of PATCH that we use. */
export type PatchType = 'application/json-patch+json' | 'application/merge-patch+json' | 'application/apply-patch+yaml';

/** Accept header for objects without spec and status (API reference, "Receiving resources as partial metadata"). */
export const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
/** Accept header for lists without spec and status. */
export const METADATA_LIST_ONLY = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

export interface KubeClient {
  /** One object, or any other JSON document such as `/version`. */
  get(path: string, options?: ReadOptions): Promise<KubeResult>;
  /** One page of a collection; `limit` and `continue` in the query page on. */
  list(path: string, query?: Query, options?: ReadOptions): Promise<KubeResult<KubeList>>;
  create(path: string, body: object, options?: WriteOptions): Promise<KubeResult>;
  /** Replaces the object; `metadata.resourceVersion` in the body makes it a compare-and-swap. */
  update(path: string, body: object, options?: WriteOptions): Promise<KubeResult>;
  patch(path: string, body: unknown, type: PatchType, options?: WriteOptions): Promise<KubeResult>;
  delete(path: string, options?: WriteOptions): Promise<KubeResult>;
  /**
   * Follows a collection until the server ends the stream (`ok`), it fails, or the signal is aborted (`ok`).
   *
   * An ERROR event ends it as a failure. `onEvent` must not throw.
   */
  watch(
    path: string,
    query: Query,
    onEvent: (event: WatchEvent) => void,
    signal: AbortSignal,
    options?: WatchOptions,
  ): Promise<KubeResult<'ended'>>;
  /**
   * The Date of the server's last answer, milliseconds since the epoch in whole seconds (RFC 9110 section 6.6.1); undefined before one.
   * Absent where the server has no clock of its own.
   */
  serverDateMs?(): number | undefined;
  /** Ends kept connections. */
  close(): void;
}

/** Longest text of a failure. */
const TEXT_CHARS_MAX = 1024;

/** A failure from a status and what came with it: the `Status` object of the API, or plain text. */
export function failureOf(status: number, body: unknown, retryAfterMs = 0): KubeFailure {
  const fields = isRecord(body) ? body : {};
  const reason = typeof fields['reason'] === 'string' ? fields['reason'] : '';
  const message = typeof fields['message'] === 'string' ? fields['message'] : typeof body === 'string' ? body : '';
  const text = (message === '' ? `HTTP status ${status} ${reason}`.trim() : message).slice(0, TEXT_CHARS_MAX);
  return { ok: false, kind: failureKind(status, reason), status, text, retryAfterMs };
}

/** A failure without an answer. */
export function noAnswer(text: string): KubeFailure {
  return { ok: false, kind: 'unavailable', status: 0, text: text.slice(0, TEXT_CHARS_MAX), retryAfterMs: 0 };
}

/** Status codes and reasons: API conventions, "Response Status Kind". */
function failureKind(status: number, reason: string): KubeFailureKind {
  if (status === 404) return 'not_found';
  if (status === 409) return reason === 'AlreadyExists' ? 'already_exists' : 'conflict';
  if (status === 401 || status === 403) return 'forbidden';
  if (status === 410) return 'gone';
  if (status === 429 || status >= 500 || status === 408 || status < 300) return 'unavailable';
  return 'invalid';
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Any JSON object as a KubeObject; undefined for what is no object. */
export function toKubeObject(value: unknown): KubeObject | undefined {
  if (!isRecord(value)) return undefined;
  const metadata: unknown = value['metadata'];
  return { ...value, metadata: isRecord(metadata) ? metadata : {} };
}
