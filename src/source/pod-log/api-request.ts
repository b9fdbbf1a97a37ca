/**
 * One GET to the API server with the token of our pod's account. The token is read anew for each: the kubelet replaces it before it ends.
 *
 * May import: core, config, node:.
 */
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { Agent } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';

/** A peer that is gone without a word is noticed so: probes begin after this time of silence (tcp(7), TCP_KEEPIDLE). */
export const KEEP_ALIVE_MS = 15_000;

/** Resolves with the head of the answer; rejects when there is none. @param tokenDir folder with `token` and, if need be, `ca.crt` */
export async function apiGet(
  target: URL,
  { tokenDir, agent, signal }: { readonly tokenDir: string; readonly agent: Agent; readonly signal: AbortSignal },
): Promise<IncomingMessage> {
  const [token, ca] = await Promise.all([
    readFile(join(tokenDir, 'token'), 'utf8'),
    readFile(join(tokenDir, 'ca.crt'), 'utf8').catch(() => undefined),
  ]);
  const headers = { authorization: `Bearer ${token.trim()}`, 'user-agent': 'logtender', accept: '*/*' };
  return new Promise((resolve, reject) => {
    const outgoing = request(target, { agent, headers, signal, ...(ca === undefined ? {} : { ca }) });
    outgoing.once('socket', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
    outgoing.once('response', resolve);
    outgoing.once('error', reject);
    outgoing.end();
  });
}
