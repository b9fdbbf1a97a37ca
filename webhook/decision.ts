/**
 * Inject, leave alone, or refuse, and the reason code of it.
 *
 * Pure: facts in, decision out. The order of the rules is the order of this table:
 *
 *   pod "false"                          skip  disabled_by_pod
 *   mirror pod                           skip  mirror_pod
 *   pod silent, namespace not labelled   skip  not_asked
 *   somebody asked, injection is paused  skip  paused
 *   pod neither "true" nor "false":      namespace labelled -> as if the namespace asked, degraded
 *                                        else on-invalid deny -> deny, warn -> skip  inject_invalid
 *   our names taken                      on-invalid deny -> deny, warn -> skip  conflict_container, conflict_volume
 *   impossible shape                     skip  windows_pod, ends_without_native, ends_as_container
 *   something asked for does not hold    on-invalid deny -> deny  invalid_values
 *                                        warn -> inject  injected_degraded
 *   otherwise                            inject  injected
 *
 * An injection whose annotations do not fit becomes skip annotations_full (injection.ts), because only the patch knows its size.
 *
 * May import: nothing else.
 */
import type { ReasonCode } from './reasons.ts';

export interface DecisionFacts {
  /** The text of the pod's annotation. */
  readonly podInject: string | undefined;
  /** The namespace's label is "true". */
  readonly isNamespaceLabelled: boolean;
  readonly isMirror: boolean;
  /** The operator's switch. It comes before every refusal: a pause is there to let pods through. */
  readonly isPaused: boolean;
  readonly onInvalid: 'warn' | 'deny';
  readonly conflict: ReasonCode | undefined;
  readonly obstacle: ReasonCode | undefined;
  /** Some finding takes away from what was asked. */
  readonly isDegraded: boolean;
}

export type Decision =
  | { readonly action: 'inject'; readonly reason: ReasonCode; readonly level: 'pod' | 'namespace' }
  | { readonly action: 'deny'; readonly reason: ReasonCode }
  /** `isExplained`: somebody asked (`level` says who) and gets none, so the status says why. */
  | { readonly action: 'skip'; readonly reason: ReasonCode; readonly isExplained: false }
  | {
      readonly action: 'skip';
      readonly reason: ReasonCode;
      readonly isExplained: true;
      readonly level: 'pod' | 'namespace';
    };

/** Decides by the table above. */
export function decide(facts: DecisionFacts): Decision {
  const asked = optIn(facts);
  if (asked !== 'pod' && asked !== 'namespace') return asked;
  const refuse = (reason: ReasonCode): Decision =>
    facts.onInvalid === 'deny'
      ? { action: 'deny', reason }
      : { action: 'skip', reason, isExplained: true, level: asked };
  if (facts.conflict !== undefined) return refuse(facts.conflict);
  if (facts.obstacle !== undefined) return { action: 'skip', reason: facts.obstacle, isExplained: true, level: asked };
  const isDegraded = facts.isDegraded || isInvalidInject(facts.podInject);
  if (!isDegraded) return { action: 'inject', reason: 'injected', level: asked };
  if (facts.onInvalid === 'deny') return { action: 'deny', reason: 'invalid_values' };
  return { action: 'inject', reason: 'injected_degraded', level: asked };
}

/** Which level asked for the sidecar, or the decision that nobody did. */
export function optIn(
  facts: Pick<DecisionFacts, 'podInject' | 'isNamespaceLabelled' | 'isMirror' | 'isPaused' | 'onInvalid'>,
): Decision | 'pod' | 'namespace' {
  if (facts.podInject === 'false') return { action: 'skip', reason: 'disabled_by_pod', isExplained: false };
  if (facts.isMirror) return { action: 'skip', reason: 'mirror_pod', isExplained: false };
  const isSilent = facts.podInject === undefined && !facts.isNamespaceLabelled;
  if (facts.isPaused && !isSilent) {
    const level = facts.podInject !== 'true' && facts.isNamespaceLabelled ? 'namespace' : 'pod';
    return { action: 'skip', reason: 'paused', isExplained: true, level };
  }
  if (facts.podInject === 'true') return 'pod';
  if (facts.isNamespaceLabelled) return 'namespace';
  if (!isInvalidInject(facts.podInject)) return { action: 'skip', reason: 'not_asked', isExplained: false };
  if (facts.onInvalid === 'deny') return { action: 'deny', reason: 'inject_invalid' };
  return { action: 'skip', reason: 'inject_invalid', isExplained: true, level: 'pod' };
}

/** True for an annotation that is there and says neither word. */
export function isInvalidInject(podInject: string | undefined): boolean {
  return podInject !== undefined && podInject !== 'true' && podInject !== 'false';
}
