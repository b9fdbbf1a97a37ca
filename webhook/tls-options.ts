/**
 * Everything that a TLS context of the server is made of, in one place.
 *
 * Invariant: every context, the first one and each that replaces it, comes from this one function: an option that is left out at a
 * change falls back to Node's default, TLS 1.2 with all its ciphers among them. Sources: Node.js documentation of
 * tls.createSecureContext and server.setSecureContext; RFC 8446; RFC 9325 section 4.2 (AEAD suites for TLS 1.2). May import: core, config, certs.
 */
import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';

import type { ServingCertificate } from '../certs/certificate-source.ts';
import type { WebhookServerConfig } from '../src/config/webhook-config.ts';
import { OperationalError } from '../src/core/errors.ts';

export interface TlsIngredients {
  /** Undefined before the first: handshakes fail until there is one. */
  readonly certificate: ServingCertificate | undefined;
  readonly minVersion: WebhookServerConfig['tlsMinVersion'];
  /** PEM of the CAs whose clients are let in; undefined when clients need no certificate. */
  readonly clientCaPem: string | undefined;
}

/** The suites of TLS 1.3, then the ones of TLS 1.2 that are AEAD and forward secret. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/**
 * The complete set of options.
 *
 * @throws OperationalError CERTIFICATE_INVALID for a pair without one of its halves, which Node takes without a word
 */
export function secureContext({ certificate, minVersion, clientCaPem }: TlsIngredients): SecureContextOptions {
  if (certificate !== undefined && (certificate.certPem === '' || certificate.keyPem === '')) {
    const got = certificate.certPem === '' ? 'no certificate' : 'no key';
    throw new OperationalError('CERTIFICATE_INVALID', `serve certificate: expected certificate and key, got ${got}`);
  }
  const pair = certificate === undefined ? {} : { cert: certificate.certPem, key: certificate.keyPem };
  // A resumed session would bring the certificate of its first connection: who has to prove himself does it each time.
  const client = clientCaPem === undefined ? {} : { ca: clientCaPem };
  const noTickets = clientCaPem === undefined ? 0 : constants.SSL_OP_NO_TICKET;
  return {
    ...pair,
    ...client,
    minVersion,
    ciphers: CIPHERS,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | noTickets,
  };
}
