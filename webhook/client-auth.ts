/**
 * Which clients may connect when the operator wants the API server to prove itself (mutual TLS).
 *
 * Invariants: the handshake proves that a certificate hangs from the given CA, this file only which names of it are let in; a CA file
 * that cannot be used keeps the old one. Source: Kubernetes, "Dynamic Admission Control", "Authenticate API servers".
 * May import: core, config, certs.
 */
import type { X509Certificate } from 'node:crypto';

import { parseTrustBundle, toPem } from '../certs/bundle.ts';
import { followFile } from '../src/config/followed-file.ts';
import type { ClientCaConfig } from '../src/config/webhook-config.ts';
import type { Clock } from '../src/core/clock.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';

export interface ClientAuth {
  /** PEM of the CAs whose clients are let in. */
  caPem(): string;
  /** Whether this certificate, which was verified, bears an allowed name. */
  accepts(certificate: X509Certificate | undefined): boolean;
  /** Calls back when the CAs changed, and returns the function that ends that. */
  onChange(listener: () => void): () => void;
  close(): Promise<void>;
}

/** The kubelet brings a changed Secret within a minute or two; ten seconds more do not matter. */
const LOOK_EVERY_MS = 10_000;

/**
 * Reads the CA file and follows it.
 *
 * @throws OperationalError CONFIG_INVALID when it cannot be read or holds no certificate
 */
export async function createClientAuth(options: {
  readonly config: ClientCaConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly lookEveryMs?: number;
}): Promise<ClientAuth> {
  const { config, clock, log, metrics } = options;
  const reloads = metrics.counter('logtender_client_ca_reloads_total', 'Changes of the CA file of clients, by result.');
  const listeners = new Set<() => void>();
  const file = await followFile({
    path: config.file,
    clock,
    everyMs: options.lookEveryMs ?? LOOK_EVERY_MS,
    parse: (text) => {
      const { certificates } = parseTrustBundle(text);
      if (certificates.length > 0) return { ok: true, value: toPem(certificates) };
      return { ok: false, problem: 'expected certificates in PEM, got none' };
    },
    onChange: () => {
      reloads.add(1, { result: 'taken' });
      log.info('client CA changed', { file: config.file });
      for (const listener of listeners) listener();
    },
    onProblem: (problem) => {
      reloads.add(1, { result: 'refused' });
      log.error('client CA refused, the old one stays', { error: problem });
    },
  });
  return {
    caPem: file.current,
    accepts: (certificate) => certificate !== undefined && isNamed(certificate, config.names),
    onChange: (listener) => {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    close: file.close,
  };
}

/** True when the common name or a DNS name of the certificate is one of `names`, or when there are none to be. */
function isNamed(certificate: X509Certificate, names: readonly string[]): boolean {
  if (names.length === 0) return true;
  const own = new Set<string>();
  for (const line of certificate.subject.split('\n')) if (line.startsWith('CN=')) own.add(line.slice('CN='.length));
  for (const part of (certificate.subjectAltName ?? '').split(', ')) {
    if (part.startsWith('DNS:')) own.add(part.slice('DNS:'.length));
  }
  return names.some((name) => own.has(name));
}
