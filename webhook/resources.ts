/**
 * Requests and limits of the sidecar.
 *
 * Pure. Invariants: a request is never above its limit; a Guaranteed pod stays Guaranteed; what the pod has for itself
 * (spec.resources, KEP-2837) our container lives within and names no share of, because the API server refuses containers that ask
 * for more than their pod. Source of the class: Kubernetes, "Pod Quality of Service Classes". May import: core, config.
 */
import { CPU_LIMIT_LEAST, quantity } from './annotation-values.ts';
import type { Quantity } from './annotation-values.ts';
import type { Finding } from './finding.ts';
import { at, textAt } from './json.ts';
import type { JsonObject } from './json.ts';
import type { ContainerView, PodView } from './pod.ts';
import type { Settings } from './settings.ts';

const CPU_REQUEST: Quantity = { text: '5m', number: 0.005 };
/** A limit must let Node start within seconds: with 5m it would get 0.5 ms of each 100 ms. */
const CPU_GUARANTEED: Quantity = { text: '50m', number: 0.05 };
const MEMORY: Quantity = { text: '48Mi', number: 48 * 2 ** 20 };
/** The AWS SDK needs some 12 MiB more. */
const MEMORY_WITH_AWS: Quantity = { text: '64Mi', number: 64 * 2 ** 20 };

/** Quantities of other containers, which may be as small as they like. */
const ANY = quantity('1');

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
  const memoryBuiltIn = settings.sinks.includes('cloudwatch') ? MEMORY_WITH_AWS : MEMORY;
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
    requests[name] = pair.request.text;
    if (pair.limit !== undefined) limits[name] = pair.limit.text;
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

function isFixed(container: ContainerView, resource: string): boolean {
  const limit = textAt(container.raw, 'resources', 'limits', resource);
  // The API server fills in a missing request from the limit.
  const request = textAt(container.raw, 'resources', 'requests', resource) ?? limit;
  if (limit === undefined || request === undefined) return false;
  const [a, b] = [ANY(limit), ANY(request)];
  return a.ok && b.ok && a.value.number === b.value.number;
}
