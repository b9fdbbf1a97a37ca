/**
 * What a live pod is to us: injected, injected differently than today, explained, bare, or none of our business.
 *
 * The webhook's own engine decides, on the pod as it came to admission: with what it has (whether anything is left to change), and
 * without our parts (what it would get today). Invariant: nothing is believed of the status that the containers do not show, but its
 * words about itself. May import: everything but test.
 */
import { inject, neededAccount, readAsked } from '../../webhook/injection.ts';
import type { NamespaceFacts, Outcome } from '../../webhook/injection.ts';
import { isObject, member, textAt } from '../../webhook/json.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import { readPod } from '../../webhook/pod.ts';
import type { Owner } from '../../webhook/pod.ts';
import type { Kubelets } from '../../webhook/shape.ts';
import { statusOf } from '../../webhook/status.ts';
import { uninject } from '../../webhook/uninjection.ts';
import type { WebhookConfig } from '../config/webhook-config.ts';

/** What the engine has to know of the cluster. */
export interface EngineFacts {
  readonly config: WebhookConfig;
  readonly version: string;
  readonly kubelets: Kubelets;
  readonly accountExists: (namespace: string, name: string) => Promise<boolean>;
}

export const POD_STATES = ['injected', 'outdated', 'skipped', 'bare', 'not_asked'] as const;
export type PodStateName = (typeof POD_STATES)[number];

export interface PodState {
  /**
   * injected: as it should be. outdated: it has the sidecar, and a pod created now would get another. skipped: it asked, has none, and
   * its status says why. bare: it asked, has none, and nothing says why. not_asked: nobody asked.
   */
  readonly state: PodStateName;
  /** Reason code of the status where there is one, else of what the engine says today. */
  readonly reason: string;
  /** Our container stands in it. */
  readonly hasSidecar: boolean;
  readonly status: StatusWords | undefined;
  /** What the engine would do with the pod without our parts, were it created now; a pause is left out of account. */
  readonly today: Outcome;
}

/** What the status annotation says of itself. */
export interface StatusWords {
  readonly decision: string;
  readonly reason: string;
  readonly version: string;
  readonly config: string;
  readonly shape: string;
}

/**
 * Judges one pod.
 *
 * @param template the owner of the pods to come, where `raw` is a pod template
 */
export async function judgePod(
  raw: JsonObject,
  namespace: NamespaceFacts,
  facts: EngineFacts,
  template?: Owner,
): Promise<PodState> {
  const admitted = asAdmitted(raw);
  const pod = readPod(admitted, template);
  const status = wordsOf(statusOf(pod));
  const hasSidecar = pod.ours !== undefined;
  const today = await decide(applyPatch(admitted, uninject(admitted).operations), namespace, facts, template);
  const about = { hasSidecar, status, today };
  if (hasSidecar) {
    const again = await decide(admitted, namespace, facts, template);
    const isDifferent = again.operations.length > 0 || again.decision.action !== 'inject';
    return { ...about, state: isDifferent ? 'outdated' : 'injected', reason: status?.reason ?? today.reason };
  }
  if (today.decision.action === 'skip' && !today.decision.isExplained)
    return { ...about, state: 'not_asked', reason: today.reason };
  if (status?.decision === 'skipped') return { ...about, state: 'skipped', reason: status.reason };
  return { ...about, state: 'bare', reason: today.reason };
}

async function decide(
  raw: JsonObject,
  namespace: NamespaceFacts,
  facts: EngineFacts,
  template: Owner | undefined,
): Promise<Outcome> {
  const config = facts.config.paused ? { ...facts.config, paused: false } : facts.config;
  const reading = readAsked(raw, namespace, config, template);
  if (reading.kind === 'decided') return reading.outcome;
  const account = neededAccount(reading.asked, config);
  const accountExists = account !== undefined && (await facts.accountExists(namespace.name, account));
  const { version, kubelets } = facts;
  return inject(reading.asked, { config, version, kubelets, accountExists });
}

/** The pod as the API server sent it: a generated name is made after admission, and names of pods go into templates. */
function asAdmitted(raw: JsonObject): JsonObject {
  const metadata = raw['metadata'];
  if (!isObject(metadata) || (textAt(metadata, 'generateName') ?? '') === '') return raw;
  const { name: _name, ...rest } = metadata;
  return { ...raw, metadata: rest };
}

function wordsOf(status: JsonObject | undefined): StatusWords | undefined {
  if (status === undefined) return undefined;
  const word = (key: string): string => textOf(member(status, key));
  return {
    decision: word('decision'),
    reason: word('reason'),
    version: word('version'),
    config: word('config'),
    shape: word('shape'),
  };
}

/** Users can write the status: anything but a short word is none. */
function textOf(value: Json | undefined): string {
  return typeof value === 'string' && /^[\w.+-]{1,64}$/.test(value) ? value : '';
}
