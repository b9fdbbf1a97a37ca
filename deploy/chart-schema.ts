/**
 * The JSON Schema of the chart's values, for `helm install` and for editors: nothing that is not in values.yaml, and both configurations as
 * the processes themselves read them (deploy/schema).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Schema = Readonly<Record<string, unknown>>;

/** What a place of a schema says of an object: these keys and no other. */
const object = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  additionalProperties: false,
  properties,
});

const TEXT: Schema = { type: 'string' };
/** RFC 1123 label, as Kubernetes wants names of namespaces. */
const NAME: Schema = { type: 'string', pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' };
const NAMES: Schema = { type: 'array', items: NAME };
const MAP: Schema = { type: 'object', additionalProperties: { type: 'string' } };
/** Kubernetes checks what is in it. */
const FREE: Schema = { type: 'object' };
const CHOICE = (...values: readonly string[]): Schema => ({ enum: values });

/** One of the configurations of the ConfigMap, without the keys that the chart itself decides. */
function configuration(name: 'webhook' | 'certs', decided: readonly string[]): Schema {
  const text = readFileSync(join(import.meta.dirname, `schema/${name}.schema.json`), 'utf8');
  const {
    $schema: _,
    properties,
    ...rest
  } = JSON.parse(text) as { $schema: string; properties: Record<string, Schema> };
  const kept = Object.entries(properties).filter(([key]) => !decided.includes(key));
  return { ...rest, properties: Object.fromEntries(kept.map(([key, inner]) => [key, readableByGo(inner) as Schema])) };
}

/**
 * Helm is written in Go, whose regular expressions look neither ahead nor behind (https://github.com/google/re2/wiki/Syntax) and whose
 * validator refuses a schema with such a pattern as a whole. The processes judge those values themselves.
 */
function readableByGo(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(readableByGo);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(
    ([key, inner]) => !(key === 'pattern' && typeof inner === 'string' && /\(\?<?[=!]/.test(inner)),
  );
  return Object.fromEntries(kept.map(([key, inner]) => [key, readableByGo(inner)]));
}

const deployment = (replicasMin: number): Schema =>
  object({
    replicas: { type: 'integer', minimum: replicasMin },
    antiAffinity: CHOICE('preferred', 'required'),
    priorityClassName: TEXT,
    nodeSelector: MAP,
    tolerations: { type: 'array', items: FREE },
    podAnnotations: MAP,
    resources: FREE,
  });

/** The whole schema. */
export function valuesSchema(): Schema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'values of the logtender chart',
    ...object({
      // Helm puts it there for parent charts.
      global: FREE,
      image: object({
        repository: { type: 'string', pattern: '^[^\\s:@]+(:\\d+/[^\\s:@]+)?$' },
        tag: { type: 'string', pattern: '^[\\w.-]*$' },
        digest: { type: 'string', pattern: '^(sha256:[0-9a-f]{64})?$' },
        pullPolicy: CHOICE('IfNotPresent', 'Always', 'Never'),
        pullSecrets: NAMES,
      }),
      config: configuration('webhook', ['namespace', 'instance']),
      certificates: object({
        mode: CHOICE('self', 'cert-manager', 'files'),
        filesSecret: NAME,
        config: configuration('certs', ['namespace', 'instance', 'mode']),
      }),
      excludedNamespaces: NAMES,
      // One replica cannot be replaced and serve.
      webhook: deployment(2),
      certs: deployment(1),
      policy: CHOICE('none', 'report', 'deny'),
      networkPolicy: object({
        enabled: { type: 'boolean' },
        apiServer: object({
          cidrs: { type: 'array', items: { type: 'string', pattern: '^[0-9a-fA-F.:]+/\\d{1,3}$' } },
          ports: { type: 'array', minItems: 1, items: { type: 'integer', minimum: 1, maximum: 65_535 } },
        }),
        metricsFrom: { type: 'array', items: FREE },
      }),
      test: object({ namespace: NAME }),
    }),
  };
}
