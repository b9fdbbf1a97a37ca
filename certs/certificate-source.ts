/**
 * Where a server gets its serving pair from, and is told when it changes.
 *
 * Invariants: a pair that is handed out was proven (key, signature, hosts, time, TLS takes it); a bad one changes nothing: the last good
 * pair stays, and the problem is told, counted and logged. Secrets are watched by the API, never mounted: a mount lags 30 to 100 s.
 * May import: src/core, src/kube, certs.
 */
import type { Clock, Random } from '../src/core/clock.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';
import type { KubeClient, KubeObject } from '../src/kube/client.ts';
import { createInformer } from '../src/kube/informer.ts';
import { byName, corePath } from '../src/kube/paths.ts';
import { toPem, verifyServing } from './bundle.ts';
import type { ServingPair } from './bundle.ts';
import { entriesOfSecret } from './secret-store.ts';
import { parseServingPair } from './serving-state.ts';

/** What a TLS server needs, and what readiness and metrics want to know of it. */
export interface ServingCertificate {
  /** Leaf and, while a rotation is young, the cross certificate: the `cert` of a TLS context. */
  readonly certPem: string;
  readonly keyPem: string;
  /** The CA that the leaf hangs from: it has to be in the live caBundle. */
  readonly issuerPem: string;
  readonly issuerFingerprint: string;
  /** SHA-256 of the leaf, lower-case hexadecimal. */
  readonly fingerprint: string;
  readonly notAfterMs: number;
}

export interface CertificateSource {
  /** The last good pair; undefined before the first. It may have expired since: compare `notAfterMs`. */
  current(): ServingCertificate | undefined;
  /** Why the newest pair was not taken, if it was not. Never holds a key. */
  problem(): string | undefined;
  /** Calls back after each change of `current`, and returns the function that ends that. */
  onChange(listener: (certificate: ServingCertificate) => void): () => void;
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
  /** DNS names and IP addresses that the leaf has to cover. */
  readonly hosts: readonly string[];
}

/**
 * A refused pair is looked at again after this time: a clock that was wrong is put right (a resumed machine, a late NTP), and the Secret
 * does not change for it. The longest tick of the rotation, so that nothing waits longer for us than for the certificate manager.
 */
const RECHECK_MS = 30_000;

/** Follows one Secret. Starts at once; `current` is defined once the first good pair was seen. */
export function createSecretSource(options: SecretSourceOptions): CertificateSource {
  const { client, clock, random, log, metrics, namespace, name } = options;
  const reloads = metrics.counter('logtender_certificate_reloads_total', 'Serving pairs seen, by result.');
  const notAfter = metrics.gauge(
    'logtender_serving_certificate_not_after_seconds',
    'End of the leaf that is served, Unix time.',
  );
  const listeners = new Set<(certificate: ServingCertificate) => void>();
  let current: ServingCertificate | undefined;
  let problem: string | undefined = `Secret ${namespace}/${name} was not seen yet`;

  const closing = new AbortController();
  let refused: KubeObject | undefined;
  let isRechecking = false;
  const recheck = async (): Promise<void> => {
    if (isRechecking) return;
    isRechecking = true;
    await clock.sleep(RECHECK_MS, closing.signal);
    isRechecking = false;
    if (refused !== undefined && !closing.signal.aborted) take(refused);
  };
  const refuse = (text: string, secret: KubeObject): void => {
    refused = secret;
    void recheck();
    problem = text;
    reloads.add(1, { result: 'refused' });
    log.error('serving pair refused', { secret: `${namespace}/${name}`, error: text, keptOld: current !== undefined });
  };
  const take = (secret: KubeObject): void => {
    const parsed = parseServingPair(entriesOfSecret(secret));
    if (!parsed.ok) return refuse(parsed.problem, secret);
    const verified = verifyServing(parsed.value, options.hosts, clock.now());
    if (!verified.ok) return refuse(verified.problem, secret);
    problem = undefined;
    refused = undefined;
    if (parsed.value.leaf.fingerprint === current?.fingerprint) return;
    current = toServing(parsed.value);
    reloads.add(1, { result: 'taken' });
    notAfter.set(current.notAfterMs / 1000);
    log.info('serving pair taken', {
      fingerprint: current.fingerprint,
      notAfter: new Date(current.notAfterMs).toISOString(),
    });
    for (const listener of listeners) listener(current);
  };

  const informer = createInformer({
    client,
    clock,
    random,
    log,
    path: corePath(namespace, 'secrets'),
    query: byName(name),
  });
  informer.onChange((change) => {
    // A deleted Secret takes nothing from us: the pair in memory is as good as before, and certs will write it again.
    if (change.type === 'deleted') log.warn('serving secret deleted', { secret: `${namespace}/${name}` });
    else take(change.object);
  });
  return {
    current: () => current,
    problem: () => problem,
    onChange: (listener) => {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    close: async () => {
      closing.abort();
      await informer.close();
    },
  };
}

function toServing(pair: ServingPair): ServingCertificate {
  return {
    certPem: toPem(pair.chain),
    keyPem: pair.keyPem,
    issuerPem: pair.issuer.pem,
    issuerFingerprint: pair.issuer.fingerprint,
    fingerprint: pair.leaf.fingerprint,
    notAfterMs: pair.leaf.notAfterMs,
  };
}
