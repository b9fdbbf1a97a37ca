/**
 * The webhook's server in this process, with a certificate that a test changes at will.
 */
import { randomBytes } from 'node:crypto';

import { toPem } from '../../certs/bundle.ts';
import type { CaState } from '../../certs/ca-state.ts';
import type { ServingCertificate } from '../../certs/certificate-source.ts';
import { newGeneration, newServingPair } from '../../certs/issuer.ts';
import type { IssuerOptions } from '../../certs/issuer.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { TextMetrics } from '../../src/core/metrics.ts';
import { startWebhookServer } from '../../webhook/server.ts';
import type { WebhookServer, WebhookServerOptions } from '../../webhook/server.ts';
import { testWebhook, webhookConfig } from './webhook.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** One CA, and leaves under it. */
export interface TestAuthority {
  readonly caPem: string;
  leaf(options?: { readonly endsOldConnections?: boolean }): Promise<ServingCertificate>;
}

/** A CA whose leaves cover these hosts, as the certificate manager makes them. */
export async function createAuthority(hosts: readonly string[]): Promise<TestAuthority> {
  const rules = { lifeMs: 30 * DAY_MS, backdateMs: HOUR_MS };
  const issuer: IssuerOptions = { ca: rules, leaf: rules, hosts, randomBytes };
  const nowMs = systemClock.now();
  const current = await newGeneration(issuer, 1, nowMs);
  const state: CaState = { generation: 1, current, next: undefined, cross: undefined, previous: [] };
  return {
    caPem: current.certificate.pem,
    leaf: async ({ endsOldConnections = false } = {}) => {
      const pair = await newServingPair(issuer, state, nowMs);
      return {
        certPem: toPem(pair.chain),
        keyPem: pair.keyPem,
        issuerFingerprint: pair.issuer.fingerprint,
        fingerprint: pair.leaf.fingerprint,
        notAfterMs: pair.leaf.notAfterMs,
        chain: pair.chain,
        endsOldConnections,
      };
    },
  };
}

export interface TestServer {
  readonly server: WebhookServer;
  readonly metrics: TextMetrics;
  /** Puts another certificate into the running server. */
  serve(certificate: ServingCertificate): void;
}

/** Starts it on a free port of loopback. */
export async function startTestServer(
  first: ServingCertificate,
  options: Partial<WebhookServerOptions> & { readonly raw?: Readonly<Record<string, unknown>> } = {},
): Promise<TestServer> {
  const { raw = {}, ...rest } = options;
  const metrics = createMetrics();
  let current = first;
  const listeners = new Set<(certificate: ServingCertificate) => void>();
  const config = webhookConfig({ server: { host: '127.0.0.1', port: 0, adminPort: 0, drain: '0ms', ...raw } });
  const server = await startWebhookServer({
    config: config.server,
    handler: testWebhook().handler,
    certificates: {
      current: () => current,
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    record: () => {},
    clock: systemClock,
    log: silentLog,
    metrics,
    ...rest,
  });
  return {
    server,
    metrics,
    serve: (certificate) => {
      current = certificate;
      for (const listener of listeners) listener(certificate);
    },
  };
}
