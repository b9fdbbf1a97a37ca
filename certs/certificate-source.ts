/**
 * Where a server gets its serving pair from, and is told when it changes; here from a Secret.
 *
 * Invariants: what pair-keeper.ts says of pairs. The Secret is watched by the API, never mounted: a mount lags 30 to 100 s. A Secret that
 * is deleted takes nothing away. May import: src/core, src/kube, certs.
 */
import type { Clock, Random } from '../src/core/clock.ts';
import { TRUST_AGE_MS_MAX } from '../src/core/limits.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';
import type { KubeClient, KubeObject } from '../src/kube/client.ts';
import { createInformer } from '../src/kube/informer.ts';
import { byName, corePath } from '../src/kube/paths.ts';
import type { LiveTrust } from './live-trust.ts';
import { createPairKeeper } from './pair-keeper.ts';
import type { Offered, ServingCertificate } from './pair-keeper.ts';
import { entriesOfSecret, foreignProblem } from './secret-store.ts';

export type { ServingCertificate } from './pair-keeper.ts';

export interface CertificateSource {
  /** The last good pair; undefined before the first. It may have expired since: compare `notAfterMs`. */
  current(): ServingCertificate | undefined;
  /** Why the newest pair was not taken, if it was not. Never holds a key. */
  problem(): string | undefined;
  /** Why the newest pair is not served yet although nothing is wrong with it: the live caBundle does not trust it. */
  held(): string | undefined;
  /** Calls back after each change of `current`, and returns the function that ends that. */
  onChange(listener: (certificate: ServingCertificate) => void): () => void;
  /** Looks again at once: somebody does not trust what is served. */
  refresh(): void;
  close(): Promise<void>;
}

export interface SecretSourceOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly namespace: string;
  /** Name of the Secret. */
  readonly name: string;
  /** Whose Secret it has to be, by its label; undefined takes anybody's, which is right where cert-manager writes it. */
  readonly owner?: string | undefined;
  /** DNS names and IP addresses that the leaf has to cover. */
  readonly hosts: readonly string[];
  /** What API servers trust; without it no pair is held back. */
  readonly trust?: LiveTrust | undefined;
}

/**
 * A pair that was not taken is looked at again after this time: a clock that was wrong is put right (a resumed machine, a late NTP), the
 * pair before it nears its end, and the Secret does not change for it. The longest tick of the rotation, so that nothing waits longer for us than for the certificate manager.
 */
const RECHECK_MS = 30_000;

/** Follows one Secret. Starts at once; `current` is defined once the first good pair was seen. */
export function createSecretSource(options: SecretSourceOptions): CertificateSource {
  const { client, clock, random, log, metrics, namespace, name, owner, hosts, trust } = options;
  const mode = owner === undefined ? 'cert-manager' : 'self';
  const keeper = createPairKeeper({ clock, log, metrics, origin: `Secret ${namespace}/${name}`, hosts, mode, trust });
  const closing = new AbortController();
  let waiting: KubeObject | undefined;
  let isRechecking = false;
  const retake = (): void => {
    if (waiting !== undefined && !closing.signal.aborted) take(waiting);
  };
  const recheck = async (): Promise<void> => {
    if (isRechecking) return;
    isRechecking = true;
    await clock.sleep(RECHECK_MS, closing.signal);
    isRechecking = false;
    retake();
  };
  const judge = (secret: KubeObject): Offered => {
    const foreign = owner === undefined ? undefined : foreignProblem(secret, { namespace, name, owner });
    return foreign === undefined ? keeper.offer(entriesOfSecret(secret)) : { outcome: 'refused', problem: foreign };
  };
  const take = (secret: KubeObject): void => {
    const offered = judge(secret);
    waiting = offered.outcome === 'taken' ? undefined : secret;
    if (waiting === undefined) return;
    if (offered.outcome === 'refused') keeper.refuse(offered.problem);
    void recheck();
  };
  const stopTrust = trust?.onChange(() => {
    if (keeper.held() !== undefined) retake();
  });
  const informer = createInformer({
    client,
    clock,
    random,
    log,
    path: corePath(namespace, 'secrets'),
    query: byName(name),
    idleMsMax: TRUST_AGE_MS_MAX,
  });
  informer.onChange((change) => {
    // A deleted Secret takes nothing from us: the pair in memory is as good as before, and certs will write it again.
    if (change.type === 'deleted') log.warn('serving secret deleted', { secret: `${namespace}/${name}` });
    else take(change.object);
  });
  return {
    current: () => keeper.current(),
    problem: () => keeper.problem(),
    held: () => keeper.held(),
    onChange: (listener) => keeper.onChange(listener),
    refresh: () => informer.refresh(),
    close: async () => {
      closing.abort();
      stopTrust?.();
      await informer.close();
    },
  };
}
