/**
 * How tests talk to a control plane: requests as admin, kubectl, a Node without kubelet.
 *
 * May import: src/core, test/servers.
 */
import { join } from 'node:path';
import { systemClock } from '../../../src/core/clock.ts';
import { ask, type Answer } from '../http-json.ts';
import { run, type Outcome } from '../programs.ts';
import type { Credentials } from './credentials.ts';
import { fakeNode, nodeStatus } from './fake-node.ts';

/** Seen: under a second. */
const NODE_READY_MS_MAX = 30_000;
const KUBECTL_MS_MAX = 60_000;

export interface KubectlOptions {
  /** Goes to stdin, for `-f -`. Anything but a text goes as JSON. */
  readonly input?: unknown;
  readonly timeoutMs?: number;
}

/** One request; `path` begins with `/api`. */
export type Request = (method: string, path: string, body?: unknown, contentType?: string) => Promise<Answer>;
/** kubectl to its end; the exit code is a value. */
export type Kubectl = (args: readonly string[], options?: KubectlOptions) => Promise<Outcome>;

/** Requests to the API server as admin. */
export function requester(url: string, credentials: Credentials): Request {
  return (method, path, body, contentType = 'application/json') =>
    ask(`${url}${path}`, {
      method,
      ca: credentials.ca,
      headers: {
        authorization: `Bearer ${credentials.adminToken}`,
        ...(body === undefined ? {} : { 'content-type': contentType }),
      },
      ...(body === undefined ? {} : { body }),
    });
}

/** kubectl with that kubeconfig; its cache goes into the work folder. */
export function kubectlRunner(program: string, kubeconfig: string, work: string): Kubectl {
  // No answer of a user's own cluster may come from a cache in the home folder.
  const always = [`--kubeconfig=${kubeconfig}`, `--cache-dir=${join(work, 'kubectl-cache')}`];
  return (args, { input, timeoutMs = KUBECTL_MS_MAX } = {}) =>
    run(program, [...args, ...always], {
      timeoutMs,
      ...(input === undefined ? {} : { input: typeof input === 'string' ? input : JSON.stringify(input) }),
    });
}

/** Adds a Node, or takes the one of that name, says that it is Ready, and waits until the scheduler may use it. */
export async function registerNode(request: Request, name: string, kubeletVersion: string): Promise<void> {
  const path = `/api/v1/nodes/${name}`;
  const created = await request('POST', '/api/v1/nodes', fakeNode(name));
  if (created.status !== 201 && created.status !== 409) {
    throw new Error(`create node ${name}: expected 201, got ${created.status} ${JSON.stringify(created.body)}`);
  }
  const status = nodeStatus(name, kubeletVersion, systemClock.now());
  const patched = await request('PATCH', `${path}/status`, { status }, 'application/merge-patch+json');
  if (patched.status !== 200) {
    throw new Error(`patch node ${name}: expected 200, got ${patched.status} ${JSON.stringify(patched.body)}`);
  }
  const deadline = systemClock.monotonic() + NODE_READY_MS_MAX;
  while (hasTaints((await request('GET', path)).body)) {
    if (systemClock.monotonic() > deadline)
      throw new Error(`wait for node ${name}: expected no taint, got one for 30 s`);
    await systemClock.sleep(25);
  }
}

/** A new Node is tainted not-ready by admission until the controller-manager has seen its Ready condition. */
function hasTaints(node: unknown): boolean {
  const { spec } = node as { readonly spec?: { readonly taints?: readonly unknown[] } };
  return (spec?.taints ?? []).length > 0;
}
