/**
 * Handshakes that failed, by reason; and what to do when a client says that it does not trust us.
 *
 * Invariants: reasons are a closed set; a client that distrusts us starts a check at most once in a while, however many there are.
 * Sources: RFC 8446 section 6.2 (alerts); Node's `tlsClientError` carries OpenSSL's name of the alert in `code`. Go's TLS, and so an API
 * server, sends bad_certificate for an unknown CA, a wrong name and an expired certificate alike. May import: core.
 */
import type { Clock } from '../src/core/clock.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';

/** What the client did not like about our certificate. */
const DISTRUST = ['unknown_ca', 'bad_certificate', 'certificate_unknown', 'certificate_expired'] as const;
type Distrust = (typeof DISTRUST)[number];
/** Why else a handshake did not come to its end. */
const FAILURES = ['client_certificate', 'client_name', 'protocol', 'timeout', 'reset', 'other'] as const;
export type HandshakeFailure = (typeof FAILURES)[number];

/** OpenSSL puts the family before some alerts and not before others: `TLSV1_ALERT_UNKNOWN_CA`, `SSL/TLS_ALERT_BAD_CERTIFICATE`. */
const ALERT = /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED)$/;
/** Checks ask the API server for one Secret and one configuration; a distrusting API server calls again and again. */
const CHECK_EVERY_MS = 10_000;

export interface TlsFailures {
  /** Takes note of an error of a handshake. */
  note(error: NodeJS.ErrnoException): void;
  /** Takes note of a failure that we know by name. */
  count(failure: HandshakeFailure): void;
}

/** Counts, logs, and calls `onDistrust` at most once in ten seconds. */
export function createTlsFailures(options: {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly onDistrust: () => void;
}): TlsFailures {
  const { clock, log, metrics, onDistrust } = options;
  const alerts = metrics.counter(
    'logtender_tls_client_alerts_total',
    'Handshakes that a client ended because it does not trust the serving certificate, by alert.',
  );
  const failures = metrics.counter(
    'logtender_tls_handshake_failures_total',
    'Handshakes that failed for another reason than distrust.',
  );
  // A series that is there from the beginning: an alert on its growth sees the first one too.
  for (const reason of DISTRUST) alerts.add(0, { reason });
  for (const reason of FAILURES) failures.add(0, { reason });
  let checkedMs = Number.NEGATIVE_INFINITY;
  return {
    note: (error) => {
      const distrust = distrustOf(error.code ?? '');
      if (distrust === undefined) return failures.add(1, { reason: failureOf(error.code ?? '') });
      alerts.add(1, { reason: distrust });
      const nowMs = clock.monotonic();
      if (nowMs - checkedMs < CHECK_EVERY_MS) return;
      checkedMs = nowMs;
      log.warn('a client does not trust the serving certificate', { alert: distrust });
      onDistrust();
    },
    count: (reason) => failures.add(1, { reason }),
  };
}

function distrustOf(code: string): Distrust | undefined {
  const alert = ALERT.exec(code)?.[1]?.toLowerCase();
  return DISTRUST.find((known) => known === alert);
}

function failureOf(code: string): HandshakeFailure {
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'timeout';
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'reset';
  if (/PEER_DID_NOT_RETURN_A_CERTIFICATE|CERTIFICATE_VERIFY_FAILED|SELF_SIGNED|UNABLE_TO|CERT_/.test(code))
    return 'client_certificate';
  if (/PROTOCOL|VERSION|HTTP_REQUEST|NO_SHARED|WRONG_|PACKET|RECORD|DECOD/.test(code)) return 'protocol';
  return 'other';
}
