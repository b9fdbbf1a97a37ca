/**
 * One kube-apiserver of a control plane. Several of them share one etcd and differ in their caches, as in a cluster with several
 * control-plane nodes.
 *
 * May import: test/servers.
 */
import { join } from 'node:path';
import { ManagedProcess } from '../managed-process.ts';
import { apiServerArguments } from './arguments.ts';
import { requester, type Request } from './clients.ts';
import type { Credentials } from './credentials.ts';

const READY_MS_MAX = 120_000;

export interface ApiServer {
  /** Where it answers, without a slash at the end. */
  readonly url: string;
  /** One request to this server as admin. `path` begins with `/`. */
  readonly request: Request;
  /** At once by default: on SIGTERM it would wait for the watches of its clients, longer than a test can. etcd holds the data. */
  halt(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** On the same port, with the same data; waits until it is ready again. */
  resume(): Promise<void>;
}

export interface ApiServerSpec {
  /** What messages and the log file call it. */
  readonly name: string;
  readonly program: string;
  readonly work: string;
  readonly credentials: Credentials;
  readonly etcdUrl: string;
  readonly port: number;
  readonly flags: readonly string[];
}

/** An API server that was not started yet; `resume` starts it. */
export function apiServer(spec: ApiServerSpec): ApiServer & { readonly process: ManagedProcess } {
  const url = `https://127.0.0.1:${spec.port}`;
  const request = requester(url, spec.credentials);
  const process = new ManagedProcess({
    name: spec.name,
    program: spec.program,
    args: [...apiServerArguments(spec.credentials, spec.etcdUrl, spec.port), ...spec.flags],
    cwd: spec.work,
    logFile: join(spec.work, `${spec.name}.log`),
    ready: async () => (await request('GET', '/readyz')).status === 200,
    readyMsMax: READY_MS_MAX,
  });
  return {
    url,
    request,
    process,
    halt: (signal = 'SIGKILL') => process.halt(signal),
    resume: () => process.start(),
  };
}
