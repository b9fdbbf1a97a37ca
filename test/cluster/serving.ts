/**
 * What a webhook replica serves, as a client sees it that connects anew.
 *
 * May import: src/core.
 */
import { once } from 'node:events';
import { connect } from 'node:tls';
import type { Clock } from '../../src/core/clock.ts';

const HOST = 'logtender-webhook.logtender.svc';
const DIAL_PAUSE_MS = 20;

/** SHA-256 of the leaf that is served at that port of this machine, lower-case hexadecimal. */
export async function servedFingerprint(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', servername: HOST, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerX509Certificate()?.fingerprint256.replaceAll(':', '').toLowerCase() ?? '';
  } finally {
    socket.destroy();
  }
}

/** Dials again and again until it is stopped; `stop` gives every leaf that was seen, in no order. */
export function watchServed(port: number, clock: Clock): { stop(): Promise<ReadonlySet<string>> } {
  const seen = new Set<string>();
  const ended = new AbortController();
  const run = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      seen.add(await servedFingerprint(port));
      await clock.sleep(DIAL_PAUSE_MS, ended.signal);
    }
  };
  const done = run();
  return {
    stop: async () => {
      ended.abort();
      await done;
      return seen;
    },
  };
}
