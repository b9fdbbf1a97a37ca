/**
 * Reads for commands that look at a cluster with the rights of whoever runs them.
 *
 * Invariants: a missing right is no end, it is remembered and said; an API server that cannot be reached is one; collections are read
 * page by page; nothing is written. May import: everything but test.
 */
import { listAt, textAt, textMapAt } from '../../webhook/json.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { OperationalError } from '../core/errors.ts';
import type { KubeClient, KubeFailure, KubeObject, Query } from '../kube/client.ts';
import { createKubeClient } from '../kube/http-client.ts';
import { loadKubeConnection } from '../kube/kubeconfig.ts';

/** What was found of one object. */
export type Found<T> =
  | { readonly status: 'found'; readonly value: T }
  | { readonly status: 'absent' }
  /** A right is missing, or the answer never came. */
  | { readonly status: 'unknown' };

/** Options that every command on a cluster takes, as `parseArgs` wants them. */
export const CLUSTER_OPTIONS = {
  kubeconfig: { type: 'string' },
  context: { type: 'string' },
  namespace: { type: 'string', short: 'n' },
  'logtender-namespace': { type: 'string', default: 'logtender' },
  instance: { type: 'string', default: '' },
  output: { type: 'string', short: 'o', default: 'text' },
} as const;

/** Objects of one page: the page size of kubectl. */
const PAGE_OBJECTS = '500';
/** Pages of one collection: five million objects are beyond every API server. */
const PAGES_MAX = 10_000;

export interface ClusterConnection {
  readonly client: KubeClient;
  /** Namespace of the context. */
  readonly namespace: string;
}

/**
 * Connects as kubectl would.
 *
 * @throws OperationalError CLUSTER_UNREADABLE for a kubeconfig that cannot be used
 */
export async function connectCluster(options: {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
}): Promise<ClusterConnection> {
  const { kubeconfig, context } = options;
  const connection = await loadKubeConnection({
    ...(kubeconfig === undefined ? {} : { file: kubeconfig }),
    ...(context === undefined ? {} : { context }),
  }).catch((error: unknown) => {
    if (!(error instanceof OperationalError)) throw error;
    const { message, hint } = error;
    throw new OperationalError('CLUSTER_UNREADABLE', message, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  });
  return { client: createKubeClient(connection), namespace: connection.namespace ?? 'default' };
}

/** `text` or `json`. */
export function outputFormat(text: string): 'text' | 'json' {
  if (text === 'text' || text === 'json') return text;
  throw new OperationalError('USAGE', `read --output: expected text or json, got ${text.slice(0, 32)}`, {
    hint: 'logtender help',
  });
}

/** Reads that go on where a right is missing, and remember it. */
export class ClusterReader {
  readonly client: KubeClient;
  /** What could not be read, each once: `list nodes: forbidden`. */
  readonly gaps: string[] = [];

  constructor(client: KubeClient) {
    this.client = client;
  }

  /** One object; `what` names the read for people. */
  async get(path: string, what: string, accept?: string): Promise<Found<KubeObject>> {
    const result = await this.client.get(path, accept === undefined ? {} : { accept });
    if (result.ok) return { status: 'found', value: result.value };
    if (result.kind === 'not_found') return { status: 'absent' };
    this.note(`get ${what}`, result);
    return { status: 'unknown' };
  }

  /**
   * Every object of a collection, page by page, each handed on as it comes; false when a page could not be read.
   *
   * A list that grew too old between two pages (410) ends there, and that is said.
   */
  async each(
    path: string,
    what: string,
    query: Query,
    onObject: (object: KubeObject) => Promise<void>,
  ): Promise<boolean> {
    let next = '';
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const result = await this.client.list(path, {
        ...query,
        limit: PAGE_OBJECTS,
        ...(next === '' ? {} : { continue: next }),
      });
      if (!result.ok) {
        this.note(`list ${what}`, result);
        return false;
      }
      for (const object of result.value.items) await onObject(object);
      next = result.value.next;
      if (next === '') return true;
    }
    return true;
  }

  /** The whole of a small collection. */
  async all(path: string, what: string, query: Query = {}): Promise<Found<readonly KubeObject[]>> {
    const objects: KubeObject[] = [];
    const isWhole = await this.each(path, what, query, async (object) => void objects.push(object));
    return isWhole ? { status: 'found', value: objects } : { status: 'unknown' };
  }

  /**
   * Remembers a read that failed.
   *
   * @throws OperationalError CLUSTER_UNREADABLE where the API server cannot be reached: there is nothing to judge then
   */
  note(what: string, failure: KubeFailure): void {
    if (failure.status === 0) {
      throw new OperationalError(
        'CLUSTER_UNREADABLE',
        `${what}: expected an answer of the API server, got: ${failure.text}`,
        {
          hint: 'look at --kubeconfig and --context',
        },
      );
    }
    const text = `${what}: ${failure.kind === 'forbidden' ? 'no right to' : `HTTP status ${failure.status}`}`;
    if (!this.gaps.includes(text)) this.gaps.push(text);
  }
}

/** A label selector (API reference, LabelSelector) as the query of a list; the empty text for one that selects everything. */
export function selectorQuery(selector: Json | undefined): string {
  const requirements = requirementsOf(selector).map(({ key, operator, values }) => {
    if (operator === 'In') return `${key} in (${values.join(',')})`;
    if (operator === 'NotIn') return `${key} notin (${values.join(',')})`;
    return operator === 'Exists' ? key : `!${key}`;
  });
  return requirements.join(',');
}

/** Whether a label selector selects these labels. */
export function selects(selector: Json | undefined, labels: ReadonlyMap<string, string>): boolean {
  return requirementsOf(selector).every(({ key, operator, values }) => {
    const value = labels.get(key);
    if (operator === 'In') return value !== undefined && values.includes(value);
    if (operator === 'NotIn') return value === undefined || !values.includes(value);
    return (operator === 'Exists') === (value !== undefined);
  });
}

interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values: readonly string[];
}

function requirementsOf(selector: Json | undefined): readonly Requirement[] {
  const labels = [...textMapAt(selector, 'matchLabels')];
  return [
    ...labels.map(([key, value]) => ({ key, operator: 'In', values: [value] })),
    ...listAt(selector, 'matchExpressions').map((one) => ({
      key: textAt(one, 'key') ?? '',
      operator: textAt(one, 'operator') ?? '',
      values: listAt(one, 'values').filter((value) => typeof value === 'string'),
    })),
  ];
}

/** An object of the API as raw JSON: what came from JSON.parse is nothing else. */
export function rawOf(object: KubeObject): JsonObject {
  const raw: unknown = structuredClone(object);
  return raw as JsonObject;
}
