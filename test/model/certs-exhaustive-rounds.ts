/**
 * A round of a replica in the exhaustive model: what it may read, what it decides, and the write that certs/apply.ts would make of it.
 *
 * Left out: what a replica remembers of its own publications. It bounds a fight with somebody who undoes each of them, and nobody here
 * spoils the bundle as often as that takes.
 */
import { isInSync, mergeTrust } from '../../certs/ca-bundle.ts';
import type { CaState } from '../../certs/ca-state.ts';
import type { Step } from '../../certs/decide.ts';
import { remember } from '../../certs/observation.ts';
import type { Observation, SecretView } from '../../certs/observation.ts';
import { withReplica } from './certs-exhaustive-writes.ts';
import { BEAT_MS, caFacts, caNumber, newPair } from './certs-exhaustive-certificates.ts';
import type { Design, Objects, Replica, Version, World, Write } from './certs-exhaustive-world.ts';

/** Live versions first, then every mixture with what was overtaken a moment ago. */
export function viewsOf(world: World, design: Design): readonly Objects[] {
  let views: readonly Objects[] = [{ ca: world.ca, tls: world.tls, bundle: world.bundle }];
  for (const { object, was } of world.past) {
    if (design.staleReads.has(object)) views = [...views, ...views.map((view) => ({ ...view, [object]: was }))];
  }
  return views;
}

/** What a replica makes of what it reads: its memory and, with it, its write. */
export function afterRound(
  world: World,
  design: Design,
  i: number,
  view: Objects,
): { readonly world: World; readonly decided: string } {
  const replica = world.replicas[i];
  if (replica === undefined) return { world, decided: 'nothing' };
  const seen = observationOf(world, view);
  const memory = lasting(remember(replica.memory, seen), world, design);
  const step = design.decide(seen, memory, design.settings);
  const write = writeOf(step, seen, view, world, design);
  // What replaces a version that is gone is refused, whenever it arrives.
  const isDoomed = write !== undefined && design.usesCompareAndSwap && world[write.object].version !== write.replaces;
  const after = withReplica(world, i, { name: replica.name, memory, write: isDoomed ? undefined : write });
  return { world: after, decided: step.kind === 'wait' ? step.reason : step.kind };
}

function observationOf(world: World, view: Objects): Observation {
  const nowMs = world.beat * BEAT_MS;
  const state = view.ca.value;
  const ca = viewOf(view.ca, state === undefined ? undefined : dated(state, world.dueCa));
  const certificates = view.bundle.value?.certificates ?? [];
  const configuration: Observation['configuration'] = {
    status: 'present',
    resourceVersion: String(view.bundle.version),
    // One entry stands for all: a patch writes them together.
    entries: [{ name: 'a', bundle: { certificates, isClean: true } }],
  };
  const { request } = world;
  return { nowMs, monotonicMs: nowMs, ca, tls: viewOf(view.tls, view.tls.value), configuration, request };
}

function viewOf<T>(version: Version<T>, value: T | undefined): SecretView<T> {
  if (version.version === undefined) return { status: 'missing' };
  const resourceVersion = String(version.version);
  if (value === undefined || version.isCorrupt) return { status: 'corrupt', resourceVersion, problem: 'on order' };
  return { status: 'valid', resourceVersion, value };
}

/** The state with a current CA that is due or not. */
function dated(state: CaState, dueCa: number): CaState {
  const number = caNumber(state.current.certificate);
  const certificate = caFacts(number, number === dueCa);
  return certificate === state.current.certificate ? state : { ...state, current: { ...state.current, certificate } };
}

/** Memory without what can no longer be asked for: Secrets are only restored where they get lost. */
function lasting(memory: Replica['memory'], world: World, design: Design): Replica['memory'] {
  const isLosing = world.losses < design.losses || world.ca.value === undefined || world.tls.value === undefined;
  return isLosing && design.losses > 0 ? memory : { ...memory, ca: undefined, pair: undefined };
}

/** The write of a step, as certs/apply.ts would make it. */
function writeOf(step: Step, seen: Observation, view: Objects, world: World, design: Design): Write | undefined {
  const { beat } = world;
  const sent = { kind: step.kind, seenAt: beat, around: undefined };
  switch (step.kind) {
    case 'wait':
    case 'blocked':
      return undefined;
    case 'bootstrap': {
      const current = { certificate: caFacts(0, false), keyPem: '' };
      const { generation, leafLifeMs } = step;
      const around: CaState = { generation, current, next: undefined, cross: undefined, previous: [], leafLifeMs };
      return { ...sent, object: 'ca', replaces: versionOf(step.replaces), around, value: undefined };
    }
    case 'generate':
      return { ...sent, object: 'ca', replaces: versionOf(step.resourceVersion), around: step.state, value: undefined };
    case 'restore_ca':
      return { ...sent, object: 'ca', replaces: versionOf(step.replaces), value: step.state };
    case 'take_up':
    case 'promote':
    case 'distrust':
    case 'forget':
    case 'abandon':
    case 'note_life':
      return { ...sent, object: 'ca', replaces: versionOf(step.resourceVersion), value: step.state };
    case 'issue_leaf': {
      const value = newPair({
        ...step,
        serial: world.nextVersion,
        beat,
        leafLifeMs: design.settings.leaf.lifeMs,
        usesCross: design.usesCross,
      });
      return { ...sent, object: 'tls', replaces: versionOf(step.replaces), value };
    }
    case 'restore_leaf':
      return { ...sent, object: 'tls', replaces: versionOf(step.replaces), value: step.pair };
    case 'publish': {
      const live = { certificates: view.bundle.value?.certificates ?? [], isClean: true };
      // As certs/ca-bundle.ts: nothing to do is no write.
      if (isInSync(live, step.target, seen.nowMs)) return undefined;
      const value = { certificates: mergeTrust(live, step.target, seen.nowMs), isForeign: false };
      return { ...sent, object: 'bundle', replaces: versionOf(step.resourceVersion), value };
    }
    default:
      // A step that is not known here would be one that is never done.
      return step satisfies never;
  }
}

function versionOf(resourceVersion: string | undefined): number | undefined {
  return resourceVersion === undefined ? undefined : Number(resourceVersion);
}
