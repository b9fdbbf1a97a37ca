/**
 * What the API servers themselves count of failed webhook calls, over restarts of theirs.
 *
 * Source: Kubernetes documentation, "Kubernetes Metrics Reference": apiserver_admission_webhook_fail_open_count and
 * apiserver_admission_webhook_rejection_count. May import: test/servers.
 */
import type { ApiServer } from '../servers/kubernetes/api-server.ts';

export interface AdmissionFailures {
  /** Calls that failed and were passed over, because the entry says Ignore. */
  readonly failOpen: number;
  /** Objects that were refused because the webhook could not be called. */
  readonly callErrors: number;
}

export interface AdmissionMeter {
  /** Growth since the meter was made, over all servers that answer. */
  growth(): Promise<AdmissionFailures>;
  /** Takes the last reading of a server that is about to be halted: its counters begin at 0 again. */
  beforeHalt(server: number): Promise<void>;
}

const FAIL_OPEN = 'apiserver_admission_webhook_fail_open_count';
const REJECTIONS = 'apiserver_admission_webhook_rejection_count';

export async function createMeter(servers: readonly ApiServer[]): Promise<AdmissionMeter> {
  const baselines = await Promise.all(servers.map(reading));
  let carried: AdmissionFailures = { failOpen: 0, callErrors: 0 };
  const since = async (server: number): Promise<AdmissionFailures> => {
    const target = servers[server];
    if (target === undefined) throw new Error(`read metrics: expected an API server ${server}, got none`);
    return difference(await reading(target), baselines[server] ?? carried);
  };
  return {
    growth: async () => (await Promise.all(servers.map((_, server) => since(server)))).reduce(sum, carried),
    beforeHalt: async (server) => {
      carried = sum(carried, await since(server));
      baselines[server] = { failOpen: 0, callErrors: 0 };
    },
  };
}

async function reading(server: ApiServer): Promise<AdmissionFailures> {
  const answer = await server.request('GET', '/metrics');
  if (answer.status !== 200) throw new Error(`GET ${server.url}/metrics: expected 200, got ${answer.status}`);
  const lines = String(answer.body).split('\n');
  return {
    failOpen: seriesSum(lines, FAIL_OPEN, ''),
    callErrors: seriesSum(lines, REJECTIONS, 'error_type="calling_webhook_error"'),
  };
}

/** Sum of all series of a counter whose labels contain the text. A counter that never counted has no series. */
export function seriesSum(lines: readonly string[], name: string, labels: string): number {
  return lines
    .filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
    .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

function sum(a: AdmissionFailures, b: AdmissionFailures): AdmissionFailures {
  return { failOpen: a.failOpen + b.failOpen, callErrors: a.callErrors + b.callErrors };
}

function difference(a: AdmissionFailures, b: AdmissionFailures): AdmissionFailures {
  return { failOpen: a.failOpen - b.failOpen, callErrors: a.callErrors - b.callErrors };
}
