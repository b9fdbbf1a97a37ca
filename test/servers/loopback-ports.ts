/**
 * Free TCP ports on loopback.
 *
 * Invariants: outside the range from which the kernel gives ports to clients and to listeners that name none, so that no connection of a
 * test takes one between the choice and the start of its server; in one process none is given twice.
 *
 * May import: node:.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** Below it servers of the machine have their usual ports. */
const FIRST_PORT = 10_000;
/** First port of the kernel's own range where the system does not say (ip(7), ip_local_port_range). */
const EPHEMERAL_FIRST = 32_768;
/** Fewer would meet each other by chance; the kernel's own range has to do then. */
const PORTS_MIN = 1_000;
/** Taken ports in a row. With half of all of them in use that many have a chance of 10^-30. */
const TRIES_MAX = 100;

const given = new Set<number>();

/**
 * `count` different ports that were free a moment ago. Another process may still take one before its server does: two of them choose among
 * some 20,000.
 *
 * @throws when there is none
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

async function freePort(): Promise<number> {
  const end = rangeEnd();
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const port = FIRST_PORT + Math.floor(Math.random() * (end - FIRST_PORT));
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port on 127.0.0.1 from ${FIRST_PORT} to ${end - 1}: ${TRIES_MAX} of them are taken`);
}

/** Excluded. */
function rangeEnd(): number {
  const first = ephemeralFirst();
  return first - FIRST_PORT < PORTS_MIN ? 65_536 : first;
}

function ephemeralFirst(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1'), 10);
  } catch {
    return EPHEMERAL_FIRST;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
