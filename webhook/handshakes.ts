/**
 * The TLS of a server that runs: who gets through the handshake, and each new certificate, and each new CA of clients, put in without
 * closing a connection.
 *
 * Invariants: a bad certificate never replaces a good one; a client with a wrong name is told nothing. Source: Node.js documentation of
 * tls.Server, `setSecureContext` and the event `tlsClientError`. May import: core, config, certs.
 */
import type https from 'node:https';
import type { TLSSocket } from 'node:tls';

import type { CertificateSource, ServingCertificate } from '../certs/certificate-source.ts';
import type { Clock } from '../src/core/clock.ts';
import { errorText } from '../src/core/errors.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';
import type { ClientAuth } from './client-auth.ts';
import type { Connections } from './connections.ts';
import { createTlsFailures } from './tls-failures.ts';
import type { secureContext } from './tls-options.ts';

export interface HandshakeOptions {
  readonly certificates: Pick<CertificateSource, 'current' | 'onChange'>;
  /** Whose client certificate is asked for; undefined lets everybody connect. */
  readonly clientAuth?: ClientAuth | undefined;
  /** Called at most once in ten seconds when clients refuse the serving certificate. */
  readonly onDistrust?: () => void;
  /** True for the far port of a connection that this process made to itself: its handshake says nothing about clients. */
  readonly isOwnPort?: (port: number) => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Counts the handshakes that fail, and lets in nobody whose certificate names somebody else. */
export function watchHandshakes(server: https.Server, options: HandshakeOptions, connections: Connections): void {
  const { clientAuth, isOwnPort = () => false, onDistrust = () => {}, clock, log, metrics } = options;
  const failures = createTlsFailures({ clock, log, metrics, onDistrust });
  server.on('connection', connections.opened);
  server.on('secureConnection', (socket: TLSSocket) => {
    connections.secured(socket);
    if (clientAuth === undefined || clientAuth.accepts(socket.getPeerX509Certificate())) return;
    failures.count('client_name');
    // Before a byte of a request is parsed: it is told nothing, as in a handshake that failed.
    socket.destroy();
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    const isOwn = socket.remotePort !== undefined && isOwnPort(socket.remotePort);
    // A certificate that does not verify ends the connection without an error of its own; the socket knows.
    const isRefused = clientAuth !== undefined && Boolean(socket.authorizationError);
    if (isRefused) failures.count('client_certificate');
    else if (!isOwn) failures.note(error);
    socket.destroy();
  });
}

/** Puts each new certificate, and each new CA of clients, into the running server. Gives the function that ends that. */
export function followCertificates(
  server: https.Server,
  options: HandshakeOptions,
  {
    context,
    connections,
  }: {
    readonly context: (certificate: ServingCertificate | undefined) => ReturnType<typeof secureContext>;
    readonly connections: Connections;
  },
): () => void {
  const { certificates, clientAuth, log, metrics } = options;
  const reloads = metrics.counter(
    'logtender_tls_reloads_total',
    'Changes of the TLS context of the server, by result.',
  );
  // Series that are there from the beginning: an alert on their growth sees the first one too.
  for (const result of ['served', 'refused']) reloads.add(0, { result });
  const info = metrics.gauge(
    'logtender_serving_certificate_info',
    'Always 1; the label names the leaf that is served, by the first 16 digits of its SHA-256.',
  );
  let served = certificates.current();
  const tell = (): void => {
    if (served !== undefined) info.only(1, { fingerprint: served.fingerprint.slice(0, 16) });
  };
  tell();
  const serve = (certificate: ServingCertificate | undefined): void => {
    try {
      server.setSecureContext(context(certificate));
      reloads.add(1, { result: 'served' });
      if (certificate?.endsOldConnections === true && certificate.fingerprint !== served?.fingerprint)
        connections.endOld();
      served = certificate;
      tell();
    } catch (error) {
      reloads.add(1, { result: 'refused' });
      log.error('serving certificate refused, the old one stays', { error: errorText(error) });
    }
  };
  const stops = [certificates.onChange(serve), clientAuth?.onChange(() => serve(served))];
  return () => {
    for (const stop of stops) stop?.();
  };
}
