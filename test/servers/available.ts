/**
 * Which servers this machine can run, and what to install for the others.
 *
 * May import: test/servers.
 */
import type { Availability } from './server-kind.ts';
import { SERVERS, SERVER_NAMES, type ServerName } from './servers.ts';

/** Prepared, preparable, or not to be had, for each server. Runs `go env` and `python3 -c`, downloads nothing. */
export async function availableServers(cache: string): Promise<ReadonlyArray<readonly [ServerName, Availability]>> {
  return Promise.all(SERVER_NAMES.map(async (name) => [name, await SERVERS[name].availability(cache)] as const));
}

/** `elasticsearch: a JDK was not found; to run it: apt-get install …` */
export function skipText(subject: string, availability: { readonly reason: string; readonly remedy: string }): string {
  return `${subject}: ${availability.reason}; to run it: ${availability.remedy}`;
}
