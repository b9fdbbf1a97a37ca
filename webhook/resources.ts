/**
 * Requests and limits of the sidecar.
 *
 * Pure. Invariants: a request is never above its limit; a Guaranteed pod stays Guaranteed. Source of the class: Kubernetes,
 * "Pod Quality of Service Classes". May import: core, config.
 */
import { PARSE } from './annotations.ts';
import type { Quantity } from './annotation-values.ts';
import type { Finding } from './finding.ts';
import { textAt } from './json.ts';
import type { JsonObject } from './json.ts';
import type { ContainerView, PodView } from './pod.ts';
import type { Settings } from './settings.ts';

const CPU_REQUEST: Quantity = { text: '5m', number: 0.005 };
/** A limit must let Node start within seconds: with 5m it would get 0.5 ms of each 100 ms. */
const CPU_GUARANTEED: Quantity = { text: '50m', number: 0.05 };
const MEMORY: Quantity = { text: '48Mi', number: 48 * 2 ** 20 };
/** The AWS SDK needs some 12 MiB more. */
const MEMORY_WITH_AWS: Quantity = { text: '64Mi', number: 64 * 2 ** 20 };

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
  const findings: Finding[] = [];
  const cpu = isAlike
    ? alike(cpuRequest, cpuLimit, CPU_GUARANTEED)
    : bounded(cpuRequest, cpuLimit, { request: CPU_REQUEST, limit: undefined });
  const memory = isAlike
    ? alike(memoryRequest, memoryLimit, memoryBuiltIn)
    : bounded(memoryRequest, memoryLimit, { request: memoryBuiltIn, limit: memoryBuiltIn });
  if (isAbove(cpuRequest, cpuLimit)) findings.push({ code: 'request_above_limit', key: 'cpu-request' });
  if (isAbove(memoryRequest, memoryLimit)) findings.push({ code: 'request_above_limit', key: 'memory-request' });
  const resources = {
    requests: { cpu: cpu.request.text, memory: memory.request.text },
    limits: {
      ...(cpu.limit === undefined ? {} : { cpu: cpu.limit.text }),
      ...(memory.limit === undefined ? {} : { memory: memory.limit.text }),
    },
  };
  return { resources, findings };
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
  const [a, b] = [PARSE.memory(limit), PARSE.memory(request)];
  return a.ok && b.ok && a.value.number === b.value.number;
}
