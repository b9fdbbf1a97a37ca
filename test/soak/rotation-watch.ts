/**
 * Counts CA rotations from outside, by what the Secret of the CA state shows.
 *
 * A rotation is whole when a new generation took over with the old one kept as previous, and that one was then forgotten. A generation
 * that comes without its predecessor was no rotation but a new beginning, and is counted apart. May import: src, certs.
 */
import { parseCaState } from '../../certs/ca-state.ts';
import type { CaState } from '../../certs/ca-state.ts';
import { entriesOfSecret } from '../../certs/secret-store.ts';
import { systemClock, systemRandom } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { createInformer } from '../../src/kube/informer.ts';
import { byName, corePath } from '../../src/kube/paths.ts';

export interface RotationCounts {
  /** Whole rotations. */
  readonly rotations: number;
  /** CAs that came without an orderly rotation. */
  readonly beginnings: number;
  readonly generation: number;
  /** What the last state shows: nothing under way, or between which steps. */
  readonly phase: 'none' | 'idle' | 'generated' | 'promoted';
}

export interface RotationWatch {
  counts(): RotationCounts;
  close(): Promise<void>;
}

export interface RotationWatchOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** Name of the Secret with the CA state. */
  readonly name: string;
  readonly onChange?: (counts: RotationCounts) => void;
}

/** Starts at once. */
export function watchRotations(options: RotationWatchOptions): RotationWatch {
  const { client, namespace, name } = options;
  let last: CaState | undefined;
  let counts: RotationCounts = { rotations: 0, beginnings: 0, generation: 0, phase: 'none' };
  const informer = createInformer({
    client,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    path: corePath(namespace, 'secrets'),
    query: byName(name),
  });
  informer.onChange(({ type, object }) => {
    const parsed = type === 'deleted' ? undefined : parseCaState(entriesOfSecret(object));
    // A deleted or corrupt state is not what is counted here: what comes after it tells.
    if (parsed?.ok !== true) return;
    counts = countsAfter(counts, last, parsed.value);
    last = parsed.value;
    options.onChange?.(counts);
  });
  return { counts: () => counts, close: () => informer.close() };
}

/** Pure: the counts after the next state that was seen. */
export function countsAfter(counts: RotationCounts, last: CaState | undefined, state: CaState): RotationCounts {
  const phase = state.next !== undefined ? 'generated' : state.previous.length > 0 ? 'promoted' : 'idle';
  const isNew = last !== undefined && last.current.certificate.fingerprint !== state.current.certificate.fingerprint;
  const ours = state.current.certificate.fingerprint;
  const isOrderly =
    isNew &&
    (last.next?.certificate.fingerprint === ours ||
      state.previous.some((ca) => ca.certificate.fingerprint === last.current.certificate.fingerprint));
  // Whoever missed the state between sees the end of the rotation at once.
  const isForgotten = state.previous.length === 0 && (isNew ? isOrderly : (last?.previous.length ?? 0) > 0);
  return {
    rotations: counts.rotations + (isForgotten ? 1 : 0),
    beginnings: counts.beginnings + (isNew && !isOrderly ? 1 : 0),
    generation: state.generation,
    phase,
  };
}
