/**
 * Free ports: none that the kernel may give away before its server starts, none twice, none that is taken.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { freePorts } from '../servers/loopback-ports.ts';

describe('freePorts', () => {
  it('gives ports outside the range from which the kernel takes those of clients, and none twice', async () => {
    const [first = 0, last = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1')
      .trim()
      .split(/\s+/)
      .map(Number);
    const ports = [...(await freePorts(200)), ...(await freePorts(200))];
    assert.equal(new Set(ports).size, 400);
    // A host may leave no room below its range; there every port is in it.
    const hasRoom = first >= 11_000;
    assert.deepEqual(
      ports.filter((port) => hasRoom && port >= first && port <= last),
      [],
    );
  });

  it('gives ports on which a server can listen and be reached', async () => {
    for (const port of await freePorts(5)) {
      const server = createServer();
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      const client = connect(port, '127.0.0.1');
      await once(client, 'connect');
      client.destroy();
      server.close();
    }
  });
});
