/**
 * The steps that every destination has: name, connection, certificate, clock.
 *
 * May import: core.
 */
import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { DetailedPeerCertificate, PeerCertificate, TLSSocket } from 'node:tls';
import type { Clock } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { CheckStep } from './check.ts';

const STEP_TIMEOUT_MS = 5_000;

/** AWS refuses a signature that is more than 5 minutes off; a log whose times are a minute off misleads its readers. */
const SKEW_MS = { warning: 60_000, failed: 5 * 60_000 } as const;

/** A certificate that ends sooner is worth a word. */
const ENDS_SOON_MS = 7 * 24 * 60 * 60_000;

export interface NetworkTarget {
  readonly url: URL;
  readonly ca: string | undefined;
  readonly client: { readonly cert: string; readonly key: string } | undefined;
  /** Where the CA goes, for the remedy: `the key elasticsearch-ca.crt of the sink Secret`. */
  readonly caPlace: string;
}

/** Name, connection and certificate; the last step is `failed` where the rest is pointless. */
export async function* checkNetwork(target: NetworkTarget, clock: Clock): AsyncGenerator<CheckStep> {
  const host = target.url.hostname.replace(/^\[(.*)\]$/, '$1');
  const isTls = target.url.protocol === 'https:';
  const port = target.url.port === '' ? (isTls ? 443 : 80) : Number(target.url.port);
  const dns = await resolve(host);
  yield dns;
  if (dns.outcome === 'failed') return;
  const socket = await open(host, port);
  if (!('destroy' in socket)) {
    yield socket;
    return;
  }
  socket.destroy();
  yield { name: 'tcp', outcome: 'ok', text: `${host}:${port} takes connections` };
  if (!isTls) {
    const remedy = 'use https:// where the path to the server is not your own';
    yield { name: 'tls', outcome: 'warning', text: 'http: nothing is encrypted', remedy };
    return;
  }
  yield await handshake(target, host, port, clock);
}

async function resolve(name: string): Promise<CheckStep> {
  try {
    const addresses = await lookup(name, { all: true });
    return { name: 'dns', outcome: 'ok', text: `${name} is ${addresses.map(({ address }) => address).join(', ')}` };
  } catch (error) {
    const remedy =
      'correct the host; in the pod look at /etc/resolv.conf, its dnsPolicy and the network policies to the DNS server';
    return { name: 'dns', outcome: 'failed', text: `${name} does not resolve: ${errorText(error)}`, remedy };
  }
}

function open(host: string, port: number): Promise<Socket | CheckStep> {
  const remedy =
    'correct the port; look at network policies, security groups and the mesh between the pod and the server';
  return new Promise((done) => {
    const socket = connect({ host, port, timeout: STEP_TIMEOUT_MS });
    const fail = (text: string): void => {
      socket.destroy();
      done({ name: 'tcp', outcome: 'failed', text: `${host}:${port}: ${text}`, remedy });
    };
    socket.once('connect', () => done(socket));
    socket.once('timeout', () => fail(`no connection within ${STEP_TIMEOUT_MS} ms`));
    socket.once('error', (error) => fail(errorText(error)));
  });
}

/** Shakes hands without demanding trust, so that the certificate can be shown, then says whether it would be trusted. */
async function handshake(target: NetworkTarget, host: string, port: number, clock: Clock): Promise<CheckStep> {
  const tls = await import('node:tls');
  const { ca, client } = target;
  return new Promise((done) => {
    const options = {
      host,
      port,
      timeout: STEP_TIMEOUT_MS,
      rejectUnauthorized: false,
      ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
      ...(ca === undefined ? {} : { ca }),
      ...(client === undefined ? {} : client),
    };
    const fail = (text: string): void => {
      const remedy = 'does the server speak TLS at this port (http for https)? Does it ask for a client certificate?';
      done({ name: 'tls', outcome: 'failed', text: `${host}:${port}: ${text}`, remedy });
    };
    try {
      const socket: TLSSocket = tls.connect(options, () => {
        const certificate = socket.getPeerCertificate(true);
        const identity = tls.checkServerIdentity(host, certificate);
        // Node gives the code of OpenSSL's verification here, whatever its types say.
        const distrust = socket.authorized ? identity : socket.authorizationError;
        done(certificateStep(certificate, distrust === undefined ? undefined : errorText(distrust), target, clock));
        socket.destroy();
      });
      socket.once('timeout', () => (socket.destroy(), fail(`no handshake within ${STEP_TIMEOUT_MS} ms`)));
      socket.once('error', (error) => fail(errorText(error)));
    } catch (error) {
      fail(`${errorText(error)}: is ${target.caPlace} a PEM?`);
    }
  });
}

function certificateStep(
  certificate: DetailedPeerCertificate,
  distrust: string | undefined,
  { ca, caPlace }: NetworkTarget,
  clock: Clock,
): CheckStep {
  const { subjectaltname, valid_to: validTo } = certificate;
  const names = subjectaltname ?? 'no names';
  const text = `certificate of ${nameOf(certificate.subject)} (${names}) by ${nameOf(certificate.issuer)}, valid to ${validTo}`;
  if (distrust !== undefined) {
    const trusted = ca === undefined ? "the system's CAs" : caPlace;
    const remedy = `put the CA that signed it into ${caPlace}, or use a name of the certificate in the URL`;
    return { name: 'tls', outcome: 'failed', text: `${text}; not trusted by ${trusted}: ${distrust}`, remedy };
  }
  const leftMs = Date.parse(validTo) - clock.now();
  if (leftMs < ENDS_SOON_MS)
    return { name: 'tls', outcome: 'warning', text, remedy: 'renew the certificate of the server' };
  return { name: 'tls', outcome: 'ok', text };
}

function nameOf(name: PeerCertificate['subject'] | undefined): string {
  const words = [name?.CN, name?.O].flat().filter((word) => word !== undefined && word !== '');
  return words[0] ?? 'no name';
}

/** Our clock beside the server's, by the Date header of an answer (RFC 9110, 6.6.1; whole seconds). */
export function checkClock(date: string | undefined, clock: Clock): CheckStep {
  const theirs = date === undefined ? Number.NaN : Date.parse(date);
  if (Number.isNaN(theirs)) return { name: 'clock', outcome: 'skipped', text: 'the server does not say its time' };
  const skewMs = Math.round(clock.now() - theirs);
  const text = `our clock is ${Math.abs(skewMs / 1000).toFixed(0)} s ${skewMs < 0 ? 'behind' : 'ahead of'} the server's`;
  if (Math.abs(skewMs) < SKEW_MS.warning) return { name: 'clock', outcome: 'ok', text };
  const outcome = Math.abs(skewMs) < SKEW_MS.failed ? 'warning' : 'failed';
  return { name: 'clock', outcome, text, remedy: 'set the clock of the node (NTP), or of the server' };
}
