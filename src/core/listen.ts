/**
 * Listening, on machines without IPv6 as well.
 *
 * `::` takes IPv4 and IPv6; a kernel without IPv6 refuses it, and `0.0.0.0` is then all that there is. May import: node: only.
 */
import type { Server } from 'node:net';

/** Resolves when the server listens; rejects when it cannot. */
export async function listen(server: Server, port: number, host: string): Promise<void> {
  try {
    await attempt(server, port, host);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (host !== '::' || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error;
    await attempt(server, port, '0.0.0.0');
  }
}

function attempt(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
