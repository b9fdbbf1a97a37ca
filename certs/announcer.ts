/**
 * What the certificate manager does and meets, as Events on the Secret of the CA state: `kubectl get events -n logtender`.
 *
 * Invariants: steps are told by the replica that did them, states by the one that holds the Lease; bounds are those of src/kube/events.ts;
 * no key, no annotation's value. Reasons are a closed set: people may match on them. May import: src/core, src/kube, certs.
 */
import type { EventWriter, KubeEvent } from '../src/kube/events.ts';
import type { WritingStep } from './apply.ts';
import { isInSync } from './ca-bundle.ts';
import { targetKey, trustTarget } from './decide.ts';
import type { Observation } from './observation.ts';
import type { Round } from './rotator.ts';

export interface AnnouncerOptions {
  readonly events: EventWriter;
  readonly namespace: string;
  /** Name of the Secret of the CA state. */
  readonly secret: string;
  /** Whether this replica speaks for all about what every replica sees. */
  readonly isSpeaker: () => boolean;
}

type Word = Pick<KubeEvent, 'type' | 'reason' | 'message'>;

/** A function that is told of every round. */
export function createAnnouncer(options: AnnouncerOptions): (round: Round) => void {
  const { events, namespace, secret, isSpeaker } = options;
  const regarding = { apiVersion: 'v1', kind: 'Secret', name: secret };
  let inSyncWith: string | undefined;
  return (round) => {
    const words: Word[] = [];
    if (round.outcome === 'written' && round.step !== undefined && isWriting(round.step)) {
      words.push(stepWord(round.step, inSyncWith));
    }
    if (isSpeaker()) words.push(...stateWords(round));
    for (const word of words) events.say({ namespace, regarding, ...word });
    inSyncWith = keyInSync(round.seen) ?? inSyncWith;
  };
}

function isWriting(step: NonNullable<Round['step']>): step is WritingStep {
  return step.kind !== 'wait' && step.kind !== 'blocked';
}

/** @param inSyncWith what the caBundle was last seen to hold: to write the same again is to repair it */
function stepWord(step: WritingStep, inSyncWith: string | undefined): Word {
  const normal = (reason: string, message: string): Word => ({ type: 'Normal', reason, message });
  const warning = (reason: string, message: string): Word => ({ type: 'Warning', reason, message });
  switch (step.kind) {
    case 'bootstrap':
      return normal('CaCreated', `CA ${step.generation} was made; API servers trust it from the next step on`);
    case 'generate':
      return normal('CaGenerated', `CA ${step.state.generation + 1} was made to take over (${step.reason})`);
    case 'publish':
      return targetKey(step.target) === inSyncWith
        ? warning('CaBundleRepaired', 'the caBundle was changed by somebody else and is as it was again')
        : normal('CaBundlePublished', `the caBundle of every entry trusts ${namesOf(step)}`);
    case 'promote':
      return normal('CaPromoted', `CA ${step.state.generation} took over`);
    case 'forget':
      return normal('CaPruned', `CA ${step.state.generation} stands alone: the ones before it are trusted no more`);
    case 'abandon':
      return warning('CaAbandoned', 'the next CA expired before it could take over; another one will be made');
    case 'issue_leaf':
      return normal('LeafIssued', `a new leaf of ${step.state.current.certificate.commonName} (${step.reason})`);
    case 'restore_ca':
      return warning('SecretRestored', 'the CA state was lost or damaged and was restored from memory');
    case 'restore_leaf':
      return warning('SecretRestored', 'the serving pair was lost or damaged and was restored from memory');
    case 'take_up':
      return normal('RotationRequested', `an operator's request was taken up (${kindOf(step.state.orders?.handled)})`);
    case 'note_life':
      return normal('LeafLifeRaised', `leaves of CA ${step.state.generation} may live longer from now on`);
    case 'distrust':
      return warning('CaDistrusted', 'the compromised CA leaves the caBundle now');
  }
}

function stateWords({ outcome, step, problem, seen }: Round): readonly Word[] {
  const words: Word[] = [];
  const warn = (reason: string, message: string): number => words.push({ type: 'Warning', reason, message });
  if (outcome === 'blocked') warn('SecretForeign', `${problem}; it is not touched`);
  if (outcome === 'failed' && step !== undefined) warn('StepFailed', `step ${step.kind} failed and is tried again`);
  if (step?.kind === 'wait' && step.reason === 'flapping_bundle') {
    warn('CaBundleFlapping', 'somebody keeps changing the caBundle: it is repaired five times a minute at most');
  }
  if (step?.kind === 'wait' && step.reason === 'clock_off') warn('ClockOff', problem);
  if (seen?.request?.ok === false) warn('RotationRequestRefused', seen.request.problem);
  return words;
}

function namesOf(step: Extract<WritingStep, { kind: 'publish' }>): string {
  return step.target.required.map((ca) => ca.commonName).join(', ');
}

/** `leaf@2026-01-01T00:00:00Z` is told as `leaf`: the id is the operator's own text. */
function kindOf(request: string | undefined): string {
  return request?.split('@', 1)[0] ?? '';
}

/** What the caBundle of every entry holds, if that is what it should. */
function keyInSync(seen: Observation | undefined): string | undefined {
  if (seen?.ca.status !== 'valid' || seen.configuration.status !== 'present') return undefined;
  const target = trustTarget(seen.ca.value, seen.tls, seen.nowMs);
  const isSo = seen.configuration.entries.every((entry) => isInSync(entry.bundle, target, seen.nowMs));
  return isSo ? targetKey(target) : undefined;
}
