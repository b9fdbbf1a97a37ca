/**
 * From what was seen of one pod to the one thing to do. Pure: facts in, verdict out; the first rule that holds is the verdict.
 *
 *   has the sidecar        degraded · outdated · injected
 *   its status says why    the reason code of the status (paused, conflict_container, windows_pod, ...)
 *   the pod said no        disabled_by_pod
 *   nobody asked           wrong_object · label_on_pod · label_missing · not_asked
 *   asked, in vain         excluded_namespace · mirror_pod
 *   asked, nobody answers  webhook_absent · entry_missing · ca_bundle_empty · webhook_down · ca_bundle_mismatch
 *   operator's switch      paused
 *   asked too late         template_newer · pod_older_than_label · pod_older_than_webhook
 *   all is well now        bare_outage · bare_other
 *   there is no pod yet    will_inject · will_inject_degraded · will_refuse · will_skip
 *
 * May import: everything but test.
 */
import { isDegrading } from '../../webhook/finding.ts';
import type { Finding } from '../../webhook/finding.ts';
import { reasonOf, REASONS } from '../../webhook/reasons.ts';
import type { ReasonCode } from '../../webhook/reasons.ts';

/** A fact that may not have been readable. */
export type Maybe<T> = T | 'unknown';

export interface ExplainFacts {
  /** `pod/web-1`, `deployment/web`. */
  readonly subject: string;
  readonly namespace: {
    readonly name: string;
    readonly isLabelled: boolean;
    /** `logging.io/inject` stands as an annotation on it. */
    readonly isAnnotated: boolean;
    readonly isExcluded: boolean;
    readonly failurePolicy: 'ignore' | 'fail';
    /** When the label was last written, by the namespace's managedFields. */
    readonly labelledMs: number | undefined;
  };
  /** The workload, where that is the subject. */
  readonly workload: {
    /** `logging.io/inject` stands on its own metadata and not on its template. */
    readonly isAnnotatedItself: boolean;
    readonly templateInject: string | undefined;
  };
  /** The pod that was asked for, or the newest of the workload; undefined when it has none. */
  readonly pod:
    | {
        readonly name: string;
        readonly inject: string | undefined;
        /** A label of that name, which nobody reads. */
        readonly hasInjectLabel: boolean;
        readonly isMirror: boolean;
        readonly createdMs: number;
        readonly state: 'injected' | 'outdated' | 'skipped' | 'bare' | 'not_asked';
        /** Reason code of the status; the empty text without one. */
        readonly statusReason: string;
      }
    | undefined;
  /** What the engine would do today with the pod, or with the template where there is no pod. */
  readonly today: {
    readonly action: 'inject' | 'skip' | 'deny';
    readonly reason: ReasonCode;
    readonly findings: readonly Finding[];
  };
  readonly webhook: {
    readonly configuration: Maybe<'present' | 'absent'>;
    readonly createdMs: number | undefined;
    /** Names of the entries whose selectors take pods of the namespace, and how their caBundle looks. */
    readonly entries: Maybe<
      readonly { readonly name: string; readonly isBundleEmpty: boolean; readonly trustsServed: Maybe<boolean> }[]
    >;
    /** Ready pods of the webhook. */
    readonly ready: Maybe<number>;
  };
  readonly isPaused: Maybe<boolean>;
}

export interface Verdict {
  readonly code: string;
  readonly sentence: string;
  /** The one thing to do; the empty text where nothing is to be done. */
  readonly remedy: string;
}

/** The verdict. */
export function diagnose(facts: ExplainFacts): Verdict {
  return ofPod(facts) ?? ofAsking(facts) ?? ofWebhook(facts) ?? ofTime(facts) ?? ofFuture(facts);
}

function ofPod(facts: ExplainFacts): Verdict | undefined {
  const { pod, today } = facts;
  if (pod === undefined) return undefined;
  if (pod.state === 'outdated')
    return verdict('outdated', 'the pod has the sidecar, and a pod created now would get another one', recreate(facts));
  if (pod.state === 'injected') {
    const bad = today.findings.find(isDegrading);
    if (bad === undefined) return verdict('injected', 'the pod has the sidecar as it should be', '');
    return verdict(
      'degraded',
      `the pod has the sidecar, but ${said(bad)}`,
      `${reasonOf(bad.code).remedy}, then ${recreate(facts)}`,
    );
  }
  if (pod.inject === 'false')
    return ofReason('disabled_by_pod', `remove logging.io/inject: "false" from ${place(facts)}`);
  if (pod.isMirror) return ofReason('mirror_pod', 'ship the logs of static pods from the node');
  if (pod.state !== 'skipped') return undefined;
  if (pod.statusReason === 'paused' && facts.isPaused === false)
    return verdict(
      'paused',
      'the pod was admitted while injection was paused, and it is not any more',
      recreate(facts),
    );
  return isReason(pod.statusReason) ? ofReason(pod.statusReason) : undefined;
}

/** Nobody asked, as far as the API server is concerned. */
function ofAsking(facts: ExplainFacts): Verdict | undefined {
  const { namespace, pod, workload } = facts;
  const inject = pod === undefined ? workload.templateInject : pod.inject;
  if (inject === 'false') return ofReason('disabled_by_pod', `remove logging.io/inject: "false" from ${place(facts)}`);
  if (inject !== undefined || namespace.isLabelled) {
    if (!namespace.isExcluded) return undefined;
    const sentence = 'pods of this namespace are never sent to the webhook, so that the cluster can heal itself';
    return verdict('excluded_namespace', sentence, 'run the app in a namespace of its own');
  }
  if (pod !== undefined && workload.templateInject === 'true')
    return verdict('template_newer', 'the template asks, and the pod was created from an older one', recreate(facts));
  if (workload.isAnnotatedItself) {
    const sentence = `logging.io/inject stands on ${facts.subject} itself, where nobody reads it`;
    return verdict('wrong_object', sentence, 'move it to spec.template.metadata.annotations');
  }
  if (pod?.hasInjectLabel === true) {
    const sentence = 'logging.io/inject is a label of the pod, where nobody reads it';
    return verdict('label_on_pod', sentence, `make it an annotation of ${place(facts)}`);
  }
  if (namespace.isAnnotated) {
    const sentence = 'logging.io/inject is an annotation of the namespace, where it has to be a label';
    return verdict('label_missing', sentence, `kubectl label namespace ${namespace.name} logging.io/inject=true`);
  }
  const remedy = `annotate ${place(facts)} with logging.io/inject: "true", or kubectl label namespace ${namespace.name} logging.io/inject=true`;
  return verdict('not_asked', reasonOf('not_asked').sentence, remedy);
}

/** Somebody asked: would the API server reach us now? */
function ofWebhook({ webhook, isPaused }: ExplainFacts): Verdict | undefined {
  const { configuration, entries, ready } = webhook;
  if (configuration === 'absent')
    return verdict(
      'webhook_absent',
      'logtender is not installed in this cluster, or under another name',
      'kubectl apply -k deploy, or helm install logtender deploy/chart -n logtender',
    );
  if (entries !== 'unknown' && entries.length === 0)
    return verdict(
      'entry_missing',
      'no entry of the webhook configuration takes pods of this namespace',
      'kubectl apply -k deploy, or helm upgrade, which puts the entries right',
    );
  const empty = entries === 'unknown' ? undefined : entries.find(({ isBundleEmpty }) => isBundleEmpty);
  if (empty !== undefined)
    return verdict(
      'ca_bundle_empty',
      `the caBundle of ${empty.name} is empty, so that every call of the webhook fails`,
      'logtender certs status says why; certs writes it',
    );
  if (ready === 0)
    return verdict(
      'webhook_down',
      'no pod of the webhook is ready',
      'kubectl describe the pods of deployment logtender-webhook',
    );
  const distrusting = entries === 'unknown' ? undefined : entries.find(({ trustsServed }) => trustsServed === false);
  if (distrusting !== undefined)
    return verdict(
      'ca_bundle_mismatch',
      `${distrusting.name} does not trust the certificate that the webhook serves`,
      'logtender certs status says why; certs mends it',
    );
  return isPaused === true ? ofReason('paused') : undefined;
}

/** All is well now: the pod is from before. */
function ofTime(facts: ExplainFacts): Verdict | undefined {
  const { pod, namespace, webhook } = facts;
  // A new pod would get none either: that is what has to be put right.
  if (pod === undefined || facts.today.action !== 'inject') return undefined;
  const isByLabel = pod.inject === undefined;
  if (isByLabel && namespace.labelledMs !== undefined && pod.createdMs < namespace.labelledMs)
    return verdict('pod_older_than_label', 'the pod is older than the label of its namespace', recreate(facts));
  if (webhook.createdMs !== undefined && pod.createdMs < webhook.createdMs)
    return verdict('pod_older_than_webhook', 'the pod is older than the installation of logtender', recreate(facts));
  if (namespace.failurePolicy === 'ignore')
    return verdict(
      'bare_outage',
      'the pod asked and was admitted without a word: the webhook could not be reached when it was created, and failure-policy ignore lets such pods through',
      recreate(facts),
    );
  const sentence =
    'the pod asked and has no sidecar, although failure-policy is fail: the label or the webhook were changed after it, or another webhook took the sidecar away';
  return verdict('bare_other', sentence, recreate(facts));
}

/** There is no pod to look at: what would become of one. */
function ofFuture({ today }: ExplainFacts): Verdict {
  const bad = today.findings.find(isDegrading);
  if (today.action === 'inject' && bad === undefined)
    return verdict('will_inject', 'the next pod gets the sidecar', '');
  if (today.action === 'inject' && bad !== undefined)
    return verdict(
      'will_inject_degraded',
      `the next pod gets the sidecar, but ${said(bad)}`,
      reasonOf(bad.code).remedy,
    );
  const { sentence, remedy } = reasonOf(today.reason);
  if (today.action === 'deny') return verdict('will_refuse', `the next pod is refused: ${sentence}`, remedy);
  return verdict('will_skip', `the next pod gets no sidecar: ${sentence}`, remedy);
}

function verdict(code: string, sentence: string, remedy: string): Verdict {
  return { code, sentence, remedy };
}

function ofReason(code: ReasonCode, remedy?: string): Verdict {
  const reason = reasonOf(code);
  return verdict(code, reason.sentence, remedy ?? reason.remedy);
}

function isReason(text: string): text is ReasonCode {
  return Object.hasOwn(REASONS, text);
}

function said(finding: Finding): string {
  const about = finding.key === undefined ? '' : `logging.io/${finding.key}: `;
  const detail = finding.detail === undefined ? '' : `${finding.detail}; `;
  return `${about}${detail}${reasonOf(finding.code).sentence}`;
}

/** Where annotations of the pod are written. */
function place({ subject }: ExplainFacts): string {
  return subject.startsWith('pod/')
    ? 'the pod (its template, where a controller makes it)'
    : `spec.template of ${subject}`;
}

function recreate({ subject, namespace, pod }: ExplainFacts): string {
  if (/^(deployment|statefulset|daemonset)\//.test(subject))
    return `kubectl rollout restart ${subject} -n ${namespace.name}`;
  if (subject.startsWith('pod/'))
    return `create the pod again: kubectl delete pod ${pod?.name ?? ''} -n ${namespace.name} where a controller makes it`;
  return `create the pods of ${subject} again`;
}
