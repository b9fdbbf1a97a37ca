/**
 * Does one step: at most one write to the API server.
 *
 * Invariant: whatever is slow or may fail (keys, signatures, proofs) happens before the write, so that a crash anywhere leaves either
 * the old or the new state. May import: src/core, src/kube, certs.
 */
import type { KubeClient, KubeResult } from '../src/kube/client.ts';
import { webhookConfigurationPath } from '../src/kube/paths.ts';
import { trustPatch } from './ca-bundle.ts';
import { writeCaState } from './ca-state.ts';
import type { CaState } from './ca-state.ts';
import type { Step } from './decide.ts';
import type { Fault } from './fault.ts';
import { crossCertificate, newGeneration, newServingPair } from './issuer.ts';
import type { IssuerOptions } from './issuer.ts';
import type { Observation } from './observation.ts';
import { writeSecret } from './secret-store.ts';
import type { SecretStoreOptions } from './secret-store.ts';
import { writeServingPair } from './serving-state.ts';

export interface ApplyOptions {
  readonly client: KubeClient;
  readonly ca: SecretStoreOptions;
  readonly tls: SecretStoreOptions;
  readonly configurationName: string;
  readonly issuer: IssuerOptions;
  /** For tests on real processes alone. */
  readonly fault?: Fault;
}

/** A step that writes. */
export type WritingStep = Exclude<Step, { kind: 'wait' | 'blocked' }>;

/** Does the step against what was seen; the result is the API server's. */
export async function applyStep(step: WritingStep, seen: Observation, options: ApplyOptions): Promise<KubeResult> {
  options.fault?.(step.kind, 'before');
  const result = await write(step, seen, options);
  if (result.ok) options.fault?.(step.kind, 'after');
  return result;
}

async function write(step: WritingStep, seen: Observation, options: ApplyOptions): Promise<KubeResult> {
  const { ca, tls, issuer } = options;
  switch (step.kind) {
    case 'bootstrap': {
      const current = await newGeneration(issuer, step.generation, seen.nowMs);
      const { generation, leafLifeMs } = step;
      const fresh: CaState = { generation, current, next: undefined, cross: undefined, previous: [], leafLifeMs };
      const state = step.orders === undefined ? fresh : { ...fresh, orders: step.orders };
      return writeSecret(ca, writeCaState(state), step.replaces);
    }
    case 'restore_ca':
      return writeSecret(ca, writeCaState(step.state), step.replaces);
    case 'generate': {
      const next = await newGeneration(issuer, step.state.generation + 1, seen.nowMs);
      const cross = crossCertificate(issuer, step.state.current, next, seen.nowMs);
      return writeSecret(ca, writeCaState({ ...step.state, next, cross }), step.resourceVersion);
    }
    case 'issue_leaf': {
      const pair = await newServingPair(issuer, step.state, seen.nowMs);
      const { endsOldConnections } = step;
      return writeSecret(tls, writeServingPair({ ...pair, endsOldConnections }), step.replaces);
    }
    case 'restore_leaf':
      return writeSecret(tls, writeServingPair(step.pair), step.replaces);
    case 'publish':
      return publish(step, seen, options);
    default:
      // take_up, promote, distrust, forget, abandon, note_life: the decision holds the whole new state.
      return writeSecret(ca, writeCaState(step.state), step.resourceVersion);
  }
}

async function publish(
  step: Extract<Step, { kind: 'publish' }>,
  seen: Observation,
  options: ApplyOptions,
): Promise<KubeResult> {
  const entries = seen.configuration.status === 'present' ? seen.configuration.entries : [];
  const operations = trustPatch(entries, step.resourceVersion, step.target, seen.nowMs);
  const path = webhookConfigurationPath(options.configurationName);
  return options.client.patch(path, operations, 'application/json-patch+json');
}
