/**
 * Waits until the other containers of our pod have ended for good: a plain sidecar that stayed would keep a Job running for ever.
 *
 * It asks the API server for its own pod (right: get on pods), at first each second, later as seldom as a tenth of the pod's life allows.
 * Without the right, or without a server that answers, it gives up after a while and says so: a Job that never completes is worse than
 * lines that nobody ships. May import: core, config, source.
 */
import { Agent } from 'node:https';

import { backoffMs } from '../../core/backoff.ts';
import type { Clock, Random } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import { MiB, RETRY_MAX_MS } from '../../core/limits.ts';
import type { Log } from '../../core/log.ts';
import { apiGet, KEEP_ALIVE_MS } from './api-request.ts';
import { apiServerUrl } from './log-request.ts';

/** Between two looks: a tenth of the time since the first, within these bounds. A thousand Jobs then cost about 70 requests a second. */
const LOOK_MS = { min: 1_000, max: 15_000 } as const;
/** A binding that was made together with the pod is known everywhere by then. */
const FORBIDDEN_MS_MAX = 60_000;
/**
 * So long it goes on without an answer: where one look was good the way is there, and a control plane that is renewed or restored is back
 * within minutes; where none was, a network policy or a proxy most likely forbids the way for ever.
 */
const UNSEEN_MS_MAX = { neverRead: 2 * 60_000, onceRead: 10 * 60_000 } as const;
/** etcd keeps no larger object (its default request limit is 1.5 MiB). */
const POD_BYTES_MAX = 2 * MiB;
const ANSWER_MS_MAX = 10_000;

/** What one look at our pod gave. */
export type PodLook =
  | { readonly status: 'read'; readonly pod: unknown }
  | { readonly status: 'forbidden'; readonly text: string }
  | { readonly status: 'unreachable'; readonly text: string };

export type LookAtPod = (signal: AbortSignal) => Promise<PodLook>;

/** The wait was given up: we may not ask, or nobody answers. */
export type EarlyEnd = 'forbidden' | 'unreachable';
/** Why the wait is over: they ended, it was given up, or the signal came. */
export type PodEnd = 'ended' | EarlyEnd | 'aborted';

export interface PodEndOptions {
  /** Names of the containers that are waited for. */
  readonly containers: readonly string[];
  readonly look: LookAtPod;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Resolves when the wait is over; never rejects. */
export async function untilOthersEnded(options: PodEndOptions): Promise<PodEnd> {
  const { containers, look, clock, random, log, signal } = options;
  const beganMs = clock.monotonic();
  let unseenSinceMs: number | undefined;
  let forbiddenSinceMs: number | undefined;
  let isOnceRead = false;
  let failures = 0;
  while (!signal.aborted) {
    const seen = await look(signal);
    const nowMs = clock.monotonic();
    let waitMs: number = Math.min(LOOK_MS.max, Math.max(LOOK_MS.min, (nowMs - beganMs) / 10));
    if (seen.status === 'read') {
      if (haveEnded(seen.pod, containers)) return 'ended';
      isOnceRead = true;
      unseenSinceMs = undefined;
      forbiddenSinceMs = undefined;
      failures = 0;
    } else if (!signal.aborted) {
      failures += 1;
      if (failures === 1) log.warn('own pod cannot be read, its end is not seen', { error: seen.text });
      unseenSinceMs ??= nowMs;
      const unseenMsMax = isOnceRead ? UNSEEN_MS_MAX.onceRead : UNSEEN_MS_MAX.neverRead;
      if (nowMs - unseenSinceMs >= unseenMsMax) return seen.status;
      // A server that is away has not said no, and who could read once may get the right back.
      if (seen.status === 'forbidden' && !isOnceRead) {
        forbiddenSinceMs ??= nowMs;
        if (nowMs - forbiddenSinceMs >= FORBIDDEN_MS_MAX) return 'forbidden';
      }
      waitMs = backoffMs({ baseMs: LOOK_MS.min, maxMs: RETRY_MAX_MS }, failures, random, LOOK_MS.min);
    }
    await clock.sleep(waitMs, signal);
  }
  return 'aborted';
}

/** Last words, and a line for the log, of a sidecar that ends although the others may go on. */
export function earlyEndWords(end: EarlyEnd): string {
  const why =
    end === 'forbidden'
      ? 'the right to read the own pod is missing (get on pods; logtender namespace NAME prints the account that has it)'
      : 'the API server could not be asked whether they have ended (is a network policy or a proxy in the way?)';
  return `ended although the other containers may be at work: ${why}`;
}

/** The same of our pod as the API server knows it; at once unreachable where env names none. */
export async function openPodEnd(
  options: Omit<PodEndOptions, 'look'> & {
    /** Of the process: the kubelet names the API server in it. */
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly tokenDir: string;
    readonly namespace: string;
    readonly pod: string;
  },
): Promise<PodEnd> {
  const url = apiServerUrl(options.env);
  if (url === undefined) return 'unreachable';
  const { look, close } = createLookAtPod({ ...options, url });
  const end = await untilOthersEnded({ ...options, look });
  close();
  return end;
}

/**
 * Have all of them ended for good? Under `OnFailure` the kubelet starts one again that failed, under `Always` any (Kubernetes, "Pod
 * Lifecycle", container restart policy; API reference, ContainerStatus).
 */
export function haveEnded(pod: unknown, containers: readonly string[]): boolean {
  const policy = member(member(pod, 'spec'), 'restartPolicy') ?? 'Always';
  const list = member(member(pod, 'status'), 'containerStatuses');
  const statuses: readonly unknown[] = Array.isArray(list) ? list : [];
  return containers.every((name) => {
    const own = statuses.find((status) => member(status, 'name') === name);
    const terminated = member(member(own, 'state'), 'terminated');
    if (terminated === undefined) return false;
    return policy === 'Never' || (policy === 'OnFailure' && member(terminated, 'exitCode') === 0);
  });
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (Object.entries(value).find(([key]) => key === name)?.[1] as unknown)
    : undefined;
}

/** Looks at our pod through the API server. `close` ends the idle connection. */
function createLookAtPod(server: {
  readonly url: URL;
  readonly tokenDir: string;
  readonly namespace: string;
  readonly pod: string;
}): { readonly look: LookAtPod; readonly close: () => void } {
  const { url, tokenDir, namespace, pod } = server;
  const agent = new Agent({ keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS });
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}`;
  const look: LookAtPod = async (ended) => {
    const signal = AbortSignal.any([ended, AbortSignal.timeout(ANSWER_MS_MAX)]);
    try {
      const answer = await apiGet(new URL(path, url), { tokenDir, agent, signal });
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > POD_BYTES_MAX) throw new Error(`expected a pod, got more than ${POD_BYTES_MAX} bytes`);
      }
      const { statusCode: code = 0 } = answer;
      if (code === 401 || code === 403) return { status: 'forbidden', text: `${code} from ${path}` };
      if (code !== 200) return { status: 'unreachable', text: `${code} from ${path}` };
      return { status: 'read', pod: JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown };
    } catch (error) {
      return { status: 'unreachable', text: errorText(error) };
    }
  };
  return { look, close: () => agent.destroy() };
}
