/**
 * Free TCP ports on loopback.
 *
 * May import: node:.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';

/** `count` different ports that were free a moment ago. Somebody else may take one before its server does; that start then fails. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  try {
    const ports: number[] = [];
    for (const server of servers) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      if (address !== null && typeof address === 'object') ports.push(address.port);
    }
    return ports;
  } finally {
    for (const server of servers) server.close();
  }
}
