/**
 * A TLS connection of the server to itself, verified as an API server verifies it: by the live caBundle and the name of the Service.
 *
 * It is the proof that everything between Secret and socket fits; what the pieces say apart can be true while they do not fit together.
 * Invariants: one dial of each bundle at a time, not more often than each `EVERY_MS`, bounded in time; nothing but a handshake is done. API server
 * client, service mode: ServerName is `<service>.<namespace>.svc`. May import: core, admin.
 */
import { connect } from 'node:tls';

import { CHECK_OK } from '../src/admin/server.ts';
import type { CheckResult } from '../src/admin/server.ts';
import type { Clock } from '../src/core/clock.ts';

export interface SelfDial {
  /** What the last dial found; dials anew when that is too old or when it was against other trust. Never rejects. */
  check(): Promise<CheckResult>;
  /** True for the far port of a dial of ours. */
  isOwnPort(port: number): boolean;
}

export interface SelfDialOptions {
  /** The address or name that the server listens on, as in its configuration; `::` and `0.0.0.0` are all of this machine. */
  readonly host: string;
  readonly port: () => number;
  /** `<service>.<namespace>.svc`. */
  readonly serverName: string;
  /** The caBundle of each entry of the webhook configuration as PEM, as the watch last saw it. */
  readonly bundles: () => readonly string[];
  /** Names what is served, so that a change is dialled at once. */
  readonly fingerprint: () => string;
  readonly clock: Clock;
}

/** A probe comes every two seconds; what changed is known by the fingerprint and the bundles, so this is for the rest. */
const EVERY_MS = 5_000;
/** Below the two seconds of the probe. A handshake with oneself takes a few milliseconds. */
const DIAL_MS_MAX = 1_500;
/** Loopback is there in every pod, and a server on `::` takes it as well. */
const LOOPBACK = '127.0.0.1';
const EVERYWHERE: ReadonlySet<string> = new Set(['::', '0.0.0.0']);

/** Dials only when it is asked. */
export function createSelfDial(options: SelfDialOptions): SelfDial {
  const { bundles, fingerprint, clock } = options;
  const ownPorts = new Set<number>();
  let found: { readonly key: string; readonly atMs: number; readonly result: Promise<CheckResult> } | undefined;
  return {
    check: () => {
      const trusted = [...new Set(bundles())];
      const key = [fingerprint(), ...trusted].join('\n');
      const nowMs = clock.monotonic();
      if (found === undefined || found.key !== key || nowMs - found.atMs >= EVERY_MS)
        found = { key, atMs: nowMs, result: dialAll(trusted, options, ownPorts) };
      return found.result;
    },
    isOwnPort: (port) => ownPorts.has(port),
  };
}

async function dialAll(
  bundles: readonly string[],
  options: SelfDialOptions,
  ownPorts: Set<number>,
): Promise<CheckResult> {
  if (bundles.length === 0) return { ok: false, reason: 'there is no caBundle to verify with' };
  // An empty bundle means the system's roots to an API server; none of them has signed what we serve.
  if (bundles.includes('')) return { ok: false, reason: 'an entry has an empty caBundle' };
  // All at once: one after the other, two slow ones would take longer than the probe waits. There are as many as entries, at most.
  const problems = await Promise.all(bundles.map((bundle) => dial(bundle, options, ownPorts)));
  const problem = problems.find((found) => found !== undefined);
  return problem === undefined ? CHECK_OK : { ok: false, reason: `a handshake with ourselves failed: ${problem}` };
}

/** What went wrong, if anything did. */
function dial(
  ca: string,
  { host, port, serverName }: SelfDialOptions,
  ownPorts: Set<number>,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    let ownPort = 0;
    const end = (problem: string | undefined): void => {
      clearTimeout(timer);
      // The server may still see the end of the connection.
      socket.once('close', () => setImmediate(() => ownPorts.delete(ownPort)));
      socket.destroy();
      resolve(problem);
    };
    // TLS 1.3, which every server of ours speaks: there we are through before the server asks for a client certificate that we have not.
    const socket = connect({
      host: EVERYWHERE.has(host) ? LOOPBACK : host,
      port: port(),
      servername: serverName,
      ca,
      // Go's crypto/x509 takes any certificate of the bundle as an anchor, OpenSSL only when it is told to.
      allowPartialTrustChain: true,
      minVersion: 'TLSv1.3',
    });
    const timer = setTimeout(() => end(`no answer within ${DIAL_MS_MAX} ms`), DIAL_MS_MAX);
    socket.once('connect', () => {
      ownPort = socket.localPort ?? 0;
      ownPorts.add(ownPort);
    });
    socket.once('secureConnect', () => end(undefined));
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.name));
  });
}
