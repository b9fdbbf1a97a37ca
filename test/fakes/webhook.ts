/**
 * What tests of the webhook stand on: a configuration, a cluster that knows what it is told, Events that are kept.
 */
import assert from 'node:assert/strict';

import { problemsText } from '../../src/config/forwarder-config.ts';
import { readWebhookConfig } from '../../src/config/webhook-config.ts';
import type { WebhookConfig } from '../../src/config/webhook-config.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { Clock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import type { Log } from '../../src/core/log.ts';
import type { ClusterFacts } from '../../webhook/cluster-facts.ts';
import type { Announcement, Events } from '../../webhook/events.ts';
import { createHandler } from '../../webhook/handler.ts';
import type { Handler } from '../../webhook/handler.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { isObject } from '../../webhook/json.ts';
import type { RequestRecord } from '../../webhook/requests.ts';
import type { Operation } from '../../webhook/patch.ts';
import { checkDefault } from '../../webhook/settings.ts';
import type { Kubelets } from '../../webhook/shape.ts';

/** What a case says about its cluster (`cluster.json` of a fixture). */
export interface ClusterCase {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly accounts?: readonly string[];
  readonly kubelets?: Kubelets;
  /** As in webhook.yaml. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** A configuration with a few fields set, as in webhook.yaml. */
export function webhookConfig(raw: Readonly<Record<string, unknown>> = {}): WebhookConfig {
  const document = { cluster: 'dev', elasticsearchUrl: 'https://elasticsearch.example:9200', ...raw };
  const parsed = readWebhookConfig(document, { image: 'logtender:test', checkDefault });
  assert(parsed.ok, parsed.ok ? '' : problemsText(parsed.problems));
  return parsed.value;
}

/** A cluster whose every namespace looks alike. */
export function clusterFacts(cluster: ClusterCase = {}): ClusterFacts {
  return {
    namespace: async (name) => ({
      ok: true,
      value: {
        name,
        labels: new Map(Object.entries(cluster.labels ?? {})),
        annotations: new Map(Object.entries(cluster.annotations ?? {})),
      },
    }),
    accountExists: async (_namespace, name) => ({ ok: true, value: cluster.accounts?.includes(name) ?? false }),
    kubelets: () => cluster.kubelets ?? 'ready',
    isReady: () => true,
    close: async () => {},
  };
}

export interface TestWebhook {
  readonly handler: Handler;
  readonly events: Announcement[];
  readonly records: RequestRecord[];
}

/** A handler over such a cluster; `version` is fixed so that golden files outlive releases. */
export function testWebhook(
  cluster: ClusterCase = {},
  options: { readonly facts?: ClusterFacts; readonly log?: Log; readonly clock?: Clock } = {},
): TestWebhook {
  const events: Announcement[] = [];
  const records: RequestRecord[] = [];
  const sink: Events = {
    announce: (event) => {
      events.push(event);
    },
    close: async () => {},
  };
  const config = webhookConfig(cluster.config);
  const handler = createHandler({
    config: () => config,
    facts: options.facts ?? clusterFacts(cluster),
    events: sink,
    clock: options.clock ?? systemClock,
    log: options.log ?? silentLog,
    record: (record) => {
      records.push(record);
    },
    version: '0.0.0-test',
  });
  return { handler, events, records };
}

/** The decoded answer to a review. */
export interface TestAnswer {
  readonly status: number;
  readonly allowed: boolean | undefined;
  readonly uid: string | undefined;
  readonly reason: string;
  readonly message: string | undefined;
  readonly warnings: readonly string[];
  readonly operations: readonly Operation[];
  readonly body: string;
}

/** Asks the handler as a server would. */
export async function ask(handler: Handler, review: unknown): Promise<TestAnswer> {
  const body = Buffer.isBuffer(review) ? review : Buffer.from(JSON.stringify(review));
  const answer = await handler.handle(body, { startedMs: 0, signal: new AbortController().signal });
  const base = { status: answer.status, reason: answer.reason, body: answer.body };
  if (answer.status !== 200) {
    return { ...base, allowed: undefined, uid: undefined, message: answer.body, warnings: [], operations: [] };
  }
  const { response } = JSON.parse(answer.body) as {
    response: {
      uid: string;
      allowed: boolean;
      patch?: string;
      warnings?: string[];
      status?: { message: string };
    };
  };
  const operations =
    response.patch === undefined ? [] : (JSON.parse(Buffer.from(response.patch, 'base64').toString()) as Operation[]);
  return {
    ...base,
    allowed: response.allowed,
    uid: response.uid,
    message: response.status?.message,
    warnings: response.warnings ?? [],
    operations,
  };
}

/** An AdmissionReview for a pod. */
export function reviewOf(pod: Json, namespace = 'shop', dryRun = false): JsonObject {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'c0ffee00-0000-4000-8000-000000000001',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      namespace,
      operation: 'CREATE',
      object: pod,
      dryRun,
    },
  };
}

/** The pod inside a review. */
export function podOf(review: JsonObject): JsonObject {
  const request = review['request'];
  const object = isObject(request) ? request['object'] : undefined;
  assert(isObject(object));
  return object;
}
