/**
 * One pod in, decision and operations out: the whole of the webhook without its server, for the handler and the CLI alike.
 *
 * Pure. Two steps, because between them the caller has to find out whether the named service account exists.
 * Invariants: a second pass over the result gives no operation; nothing but our own parts and the declared fields changes.
 * May import: core, config.
 */
import { shown } from '../src/config/fields.ts';
import type { WebhookConfig } from '../src/config/webhook-config.ts';
import { firstThatFits } from './annotation-room.ts';
import { configHash } from './config-hash.ts';
import { findConflicts } from './conflicts.ts';
import { decide, isInvalidInject, optIn } from './decision.ts';
import type { Decision } from './decision.ts';
import { isDegrading } from './finding.ts';
import type { Finding } from './finding.ts';
import { at, isObject, listAt, member } from './json.ts';
import type { JsonObject } from './json.ts';
import { planLogs } from './log-plan.ts';
import { FOREIGN_ANNOTATION, NAMESPACE_USERS, PREFIX, STATUS_ANNOTATION } from './names.ts';
import { PatchBuilder, pointer } from './patch.ts';
import type { Operation } from './patch.ts';
import { readPod } from './pod.ts';
import type { Owner, PodView } from './pod.ts';
import { foreignAnnotations, patchSpec } from './pod-patch.ts';
import type { ReasonCode } from './reasons.ts';
import { reasonOf } from './reasons.ts';
import { decideAccount, needsAccount, withoutAutomaticTokens } from './service-account.ts';
import { ownKeys, settingsOf } from './settings.ts';
import type { Settings } from './settings.ts';
import {
  decideShape,
  endsWith,
  GRACE_SECONDS_LEAST,
  graceSeconds,
  hasPlainMesh,
  shapeObstacle,
  sharesProcesses,
} from './shape.ts';
import type { Kubelets, Shape } from './shape.ts';
import { planStdio } from './stdio-plan.ts';
import type { StdioPlan } from './stdio-plan.ts';
import { buildSidecar } from './sidecar.ts';
import type { Parts } from './sidecar.ts';
import { originalAccount, shortStatusText, statusText } from './status.ts';
import type { Injected, StatusFacts } from './status.ts';

export interface NamespaceFacts {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
}

/** A pod that was read, with what it asks for. */
export interface Asked {
  readonly pod: PodView;
  readonly namespace: NamespaceFacts;
  readonly settings: Settings;
  readonly findings: readonly Finding[];
}

export type Reading =
  { readonly kind: 'asked'; readonly asked: Asked } | { readonly kind: 'decided'; readonly outcome: Outcome };

export interface Outcome {
  readonly decision: Decision;
  /** The decision's reason, or `already_injected` where nothing was left to do. */
  readonly reason: ReasonCode;
  readonly operations: readonly Operation[];
  readonly findings: readonly Finding[];
  readonly injected: Injected | undefined;
}

/** What only the cluster knows. */
export interface InjectionFacts {
  readonly config: WebhookConfig;
  readonly version: string;
  readonly kubelets: Kubelets;
  /** Whether the account of `neededAccount` exists. */
  readonly accountExists: boolean;
}

/**
 * Reads a pod; one that nobody asked for (or that cannot be read) is decided at once.
 *
 * @param template the owner of the pods to come, where `raw` is a pod template
 */
export function readAsked(
  raw: JsonObject,
  namespace: NamespaceFacts,
  config: WebhookConfig,
  template?: Owner,
): Reading {
  const pod = readPod(raw, template);
  if (!isObject(pod.spec) || listAt(pod.spec, 'containers').length === 0)
    return decided({ action: 'skip', reason: 'not_a_pod', isExplained: false });
  const early = optIn({ ...askFacts(pod, namespace, config), onInvalid: 'warn' });
  // A pod that did not ask is told apart before anything of it is resolved.
  if (typeof early === 'object' && !(early.action === 'skip' && early.isExplained)) return decided(early);
  const levels = { pod: ownKeys(pod.annotations), namespace: ownKeys(namespace.annotations) };
  const { settings, findings } = settingsOf(levels, config);
  return { kind: 'asked', asked: { pod, namespace, settings, findings } };
}

function decided(decision: Decision): Reading {
  return { kind: 'decided', outcome: outcomeOf(decision) };
}

/** An outcome that changes nothing. */
function outcomeOf(decision: Decision): Outcome {
  return { decision, reason: decision.reason, operations: [], findings: [], injected: undefined };
}

function askFacts(
  pod: PodView,
  namespace: NamespaceFacts,
  config: WebhookConfig,
): { podInject: string | undefined; isNamespaceLabelled: boolean; isMirror: boolean; isPaused: boolean } {
  return {
    podInject: pod.annotations.get(`${PREFIX}inject`),
    isNamespaceLabelled: namespace.labels.get(`${PREFIX}inject`) === 'true',
    isMirror: pod.annotations.has(FOREIGN_ANNOTATION.mirror),
    // A pod that has the sidecar already keeps it whole.
    isPaused: config.paused && pod.ours === undefined,
  };
}

/** The account whose existence has to be known before `inject`, or undefined. */
export function neededAccount(asked: Asked, config: WebhookConfig): string | undefined {
  if (config.paused) return undefined;
  const named = asked.settings.serviceAccount;
  return needsAccount(asked.pod, { named, mode: config.serviceAccountMode }) ? named : undefined;
}

/** Decides and says what to change. */
export function inject(asked: Asked, facts: InjectionFacts): Outcome {
  const { pod, namespace, settings } = asked;
  const { config } = facts;
  const shape = decideShape(settings.shape, facts.kubelets);
  const account = decideAccount(pod, {
    named: settings.serviceAccount,
    mode: config.serviceAccountMode,
    exists: facts.accountExists,
    original: originalAccount(pod),
  });
  const isAccountSwitched = account.action === 'switch';
  const ending = endsWith(pod, shape, account);
  const stdio = planStdio({ pod, settings, account, labels: namespace.labels, config });
  // What a switch takes away is no place for logs, or the next pass would find another one.
  const podLeft = isAccountSwitched ? withoutAutomaticTokens(pod) : pod;
  const plan = planLogs(podLeft, settings.files);
  const parts = buildSidecar({
    pod,
    stdio,
    namespace: namespace.name,
    settings,
    plan,
    shape: shape.shape,
    endsWith: ending,
    isAccountSwitched,
    namespaceUsers: namespace.annotations.get(NAMESPACE_USERS),
    config,
  });
  const conflicts = findConflicts(pod);
  const ask = askFacts(pod, namespace, config);
  const first: readonly Finding[] = [
    ...(isInvalidInject(ask.podInject) ? [invalidInject(ask.podInject)] : []),
    ...conflicts,
  ];
  const all: readonly Finding[] = [
    ...first,
    ...asked.findings,
    ...plan.findings,
    ...(reasonOf(account.reason).severity === 'info' ? [] : [{ code: account.reason, key: 'service-account' }]),
    ...parts.findings,
    ...stdio.findings,
    ...shippingFindings(pod, stdio, plan.globs.length),
    ...shapeFindings(pod, shape, facts, parts),
  ];
  const decision = decide({
    ...ask,
    onInvalid: settings.onInvalid,
    conflict: conflicts[0]?.code,
    obstacle: shapeObstacle(pod, shape, ending),
    isDegraded: all.some(isDegrading),
  });
  // What the sidecar would have shipped does not matter where there is none.
  const findings = decision.action === 'inject' || decision.reason === 'invalid_values' ? all : first;
  const injected: Injected | undefined = decision.action === 'inject' ? { settings, shape, account, parts } : undefined;
  const about = { pod, decision, findings, version: facts.version, configHash: configHash(config), injected };
  const annotations = wantedAnnotations(about);
  if (decision.action === 'inject' && annotations === undefined) {
    const full = { action: 'skip', reason: 'annotations_full', isExplained: true, level: decision.level } as const;
    return { ...outcomeOf(full), findings: first };
  }
  const patch = new PatchBuilder();
  if (injected !== undefined) {
    patchSpec(patch, pod, parts, isAccountSwitched ? { account: account.account } : undefined);
  }
  if (annotations !== undefined) patchAnnotations(patch, pod, annotations);
  const isDone = injected !== undefined && patch.operations.length === 0;
  return {
    decision,
    reason: isDone ? 'already_injected' : decision.reason,
    operations: patch.operations,
    findings,
    injected,
  };
}

function invalidInject(value: string | undefined): Finding {
  return {
    code: 'inject_invalid',
    key: 'inject',
    level: 'pod',
    detail: `expected "true" or "false", got ${shown(value)}`,
  };
}

function shippingFindings(pod: PodView, { stdio }: StdioPlan, globs: number): readonly Finding[] {
  const findings: Finding[] = [];
  if (globs === 0 && stdio === undefined) findings.push({ code: 'nothing_to_ship', key: 'files' });
  if (graceSeconds(pod) < GRACE_SECONDS_LEAST) findings.push({ code: 'grace_short' });
  return findings;
}

function shapeFindings(pod: PodView, shape: Shape, { kubelets }: InjectionFacts, parts: Parts): readonly Finding[] {
  const findings: Finding[] = [];
  if (sharesProcesses(pod)) findings.push({ code: 'processes_shared' });
  if (shape.shape === 'native' && shape.reason === 'shape_asked' && kubelets === 'old')
    findings.push({ code: 'native_not_everywhere', key: 'sidecar' });
  // In either shape: a plain proxy gets its SIGTERM with the app at the latest, and we have the rest to send after that.
  if (hasPlainMesh(pod)) findings.push({ code: parts.bypass === undefined ? 'mesh_not_native' : 'mesh_bypassed' });
  return findings;
}

/** The annotations that the pod should have, as much of them as fits; undefined where there are none or nothing fits. */
function wantedAnnotations(about: StatusFacts): ReadonlyMap<string, string> | undefined {
  const { pod, decision, injected } = about;
  if (injected === undefined && !(decision.action === 'skip' && decision.isExplained)) return undefined;
  const others =
    injected === undefined ? [] : foreignAnnotations(pod, injected.parts, injected.account.action === 'switch');
  const withStatus = (text: string): ReadonlyMap<string, string> => new Map([...others, [STATUS_ANNOTATION, text]]);
  return firstThatFits(pod.annotations, [
    () => withStatus(statusText(about)),
    () => withStatus(shortStatusText(about)),
  ]);
}

function patchAnnotations(patch: PatchBuilder, pod: PodView, wanted: ReadonlyMap<string, string>): void {
  const annotations = at(pod.raw, 'metadata', 'annotations');
  const changes = [...wanted].filter(([key, text]) => pod.annotations.get(key) !== text);
  if (changes.length === 0) return;
  if (!isObject(member(pod.raw, 'metadata'))) patch.add('/metadata', {});
  if (!isObject(annotations)) patch.add('/metadata/annotations', {});
  for (const [key, text] of changes) patch.set(pointer('metadata', 'annotations', key), member(annotations, key), text);
}
