/**
 * Requests and limits of the sidecar.
 *
 * Pure. Invariants: a request is never above its limit; a Guaranteed pod stays Guaranteed; what the pod has for itself
 * (spec.resources, KEP-2837) our container lives within and names no share of, because the API server refuses containers that ask
 * for more than their pod. Source of the class: Kubernetes, "Pod Quality of Service Classes". May import: core, config.
 */
import type { SinkName } from '../src/config/forwarder-config.ts';
import { quantityNumber, quantityText } from '../src/config/quantity.ts';
import { CPU_LIMIT_LEAST } from './annotation-values.ts';
import type { Quantity } from './annotation-values.ts';
import type { Finding } from './finding.ts';
import { at, isObject } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import type { ContainerView, PodView } from './pod.ts';
import type { Settings } from './settings.ts';

const CPU_REQUEST: Quantity = { text: '5m', number: 0.005 };
/** A limit must let Node start within seconds: with 5m it would get 0.5 ms of each 100 ms. */
const CPU_GUARANTEED: Quantity = { text: '50m', number: 0.05 };
const MEMORY: Quantity = { text: '48Mi', number: 48 * 2 ** 20 };
/** The AWS SDK needs some 12 MiB more, and so do the objects of S3. */
const MEMORY_WITH_AWS: Quantity = { text: '64Mi', number: 64 * 2 ** 20 };

const AWS_SINKS: ReadonlySet<SinkName> = new Set(['cloudwatch', 's3']);

interface Pair {
  readonly request: Quantity;
  readonly limit: Quantity | undefined;
}

/** `resources` of the container, and what had to be bent. */
export function buildResources(
  pod: PodView,
  settings: Settings,
): { resources: JsonObject; findings: readonly Finding[] } {
  const { cpuRequest, cpuLimit, memoryRequest, memoryLimit } = settings.resources;
  const isAlike = isGuaranteed(pod);
  const memoryBuiltIn = settings.sinks.some((sink) => AWS_SINKS.has(sink)) ? MEMORY_WITH_AWS : MEMORY;
  const isRaised = isAlike && cpuLimit === undefined && isAbove(CPU_LIMIT_LEAST, cpuRequest);
  const cpu = isAlike
    ? alike(isRaised ? CPU_LIMIT_LEAST : cpuRequest, cpuLimit, CPU_GUARANTEED)
    : bounded(cpuRequest, cpuLimit, { request: CPU_REQUEST, limit: undefined });
  const memory = isAlike
    ? alike(memoryRequest, memoryLimit, memoryBuiltIn)
    : bounded(memoryRequest, memoryLimit, { request: memoryBuiltIn, limit: memoryBuiltIn });
  const shares = [
    { name: 'cpu', pair: cpu, request: cpuRequest, limit: cpuLimit },
    { name: 'memory', pair: memory, request: memoryRequest, limit: memoryLimit },
  ] as const;
  const findings: Finding[] = [];
  const requests: Record<string, string> = {};
  const limits: Record<string, string> = {};
  for (const { name, pair, request, limit } of shares) {
    if (isOfPod(pod, name)) {
      if (request !== undefined) findings.push({ code: 'resources_of_pod', key: `${name}-request` });
      if (limit !== undefined) findings.push({ code: 'resources_of_pod', key: `${name}-limit` });
      continue;
    }
    if (isAbove(request, limit)) findings.push({ code: 'request_above_limit', key: `${name}-request` });
    if (isRaised && name === 'cpu') {
      const detail = `expected at least ${CPU_LIMIT_LEAST.text}, got ${request?.text}`;
      findings.push({ code: 'request_raised', key: 'cpu-request', detail });
    }
    requests[name] = canonical(pair.request);
    if (pair.limit !== undefined) limits[name] = canonical(pair.limit);
  }
  const resources = {
    ...(Object.keys(requests).length === 0 ? {} : { requests }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
  return { resources, findings };
}

/**
 * True when the pod itself has a request or a limit for the resource. A request that stands beside ours after an earlier pass does
 * not count: the API server sums up the containers where the pod has limits for something else (v1 defaults, defaultPodRequests).
 */
function isOfPod(pod: PodView, resource: string): boolean {
  if (at(pod.spec, 'resources', 'limits', resource) !== undefined) return true;
  const isSummedUp = at(pod.ours?.raw, 'resources', 'requests', resource) !== undefined;
  return at(pod.spec, 'resources', 'requests', resource) !== undefined && !isSummedUp;
}

/** Built-in quantities, and those of settings that many pods share, are written anew once and not once for each pod. */
const CANONICAL = new WeakMap<Quantity, string>();

function canonical(quantity: Quantity): string {
  const text = CANONICAL.get(quantity) ?? quantityText(quantity.text);
  CANONICAL.set(quantity, text);
  return text;
}

/** Requests equal limits. */
function alike(request: Quantity | undefined, limit: Quantity | undefined, builtIn: Quantity): Pair {
  const both = limit ?? request ?? builtIn;
  return { request: both, limit: both };
}

/** What was asked for wins over what is built in; a limit wins over a request. */
function bounded(request: Quantity | undefined, limit: Quantity | undefined, builtIn: Pair): Pair {
  const wanted = request ?? builtIn.request;
  if (limit !== undefined) return { request: wanted.number > limit.number ? limit : wanted, limit };
  const raised = builtIn.limit !== undefined && wanted.number > builtIn.limit.number ? wanted : builtIn.limit;
  return { request: wanted, limit: raised };
}

function isAbove(request: Quantity | undefined, limit: Quantity | undefined): boolean {
  return request !== undefined && limit !== undefined && request.number > limit.number;
}

/** Every other container has limits for CPU and memory, and requests that equal them. */
function isGuaranteed(pod: PodView): boolean {
  return (
    pod.others.length > 0 && pod.others.every((container) => isFixed(container, 'cpu') && isFixed(container, 'memory'))
  );
}

function isFixed({ raw }: ContainerView, resource: string): boolean {
  const limit = numberOf(at(raw, 'resources', 'limits', resource));
  // The API server fills in a missing request from the limit.
  const request = at(raw, 'resources', 'requests', resource);
  return limit !== undefined && (request === undefined ? limit : numberOf(request)) === limit;
}

/** Quantities of any container, which may be as small as they like; in a manifest they may be plain numbers. */
function numberOf(value: Json | undefined): number | undefined {
  if (typeof value === 'number') return quantityNumber(String(value));
  return typeof value === 'string' ? quantityNumber(value) : undefined;
}

/** True when `found` has every share of `wanted`, in whatever words: the API server writes quantities in its own. */
export function coversResources(found: Json | undefined, wanted: Json): boolean {
  return (['requests', 'limits'] as const).every((kind) => {
    const shares = at(wanted, kind);
    return (
      !isObject(shares) ||
      Object.entries(shares).every(([name, share]) => numberOf(at(found, kind, name)) === numberOf(share))
    );
  });
}
