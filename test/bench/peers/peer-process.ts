/**
 * A peer as a process under measurement: its configuration written for the case, its libraries from the cache, in the foreground.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorText } from '../../../src/core/errors.ts';
import type { Preparation } from '../../servers/cache.ts';
import { peerAvailability, preparePeer, type PeerName, type PeerProgram } from '../../servers/peer-packages.ts';
import { run } from '../../servers/programs.ts';
import { underTest, type ProcessUnderTest } from '../process-under-test.ts';
import type { Peer, PeerCase } from './peer.ts';
import { rsyslog } from './rsyslog.ts';
import { syslogNg } from './syslog-ng.ts';

export const PEERS: Readonly<Record<PeerName, Peer>> = { rsyslog, 'syslog-ng': syslogNg };

/** It only loads itself and says a line. */
const VERSION_MS_MAX = 10_000;

export interface PreparedPeer {
  readonly peer: Peer;
  readonly program: PeerProgram;
  /** As it says itself: `8.2302.0`. */
  readonly version: string;
}

/** Fetches the peer where needed and asks for its version; a text when it cannot be had. */
export async function havePeer(peer: Peer, preparation: Preparation): Promise<PreparedPeer | string> {
  const availability = peerAvailability(peer.name, preparation.cache);
  if (!availability.available) return `${availability.reason}; ${availability.remedy}`;
  try {
    const program = await preparePeer(peer.name, preparation);
    const env = { LD_LIBRARY_PATH: program.libraries };
    const said = await run(program.program, peer.versionArgs, { env, timeoutMs: VERSION_MS_MAX });
    const version = peer.versionOf(said.stdout);
    if (version !== undefined) return { peer, program, version };
    return `expected its version, got "${`${said.stdout}${said.stderr}`.trim().split('\n')[0] ?? ''}"`;
  } catch (error) {
    // What apt-get says has lines; this is one.
    return errorText(error).replaceAll(/\s+/g, ' ');
  }
}

/** Starts it on one file. @param root an empty folder for its configuration and state */
export function startPeer(
  { peer, program }: PreparedPeer,
  which: PeerCase,
  { root, log, port }: { readonly root: string; readonly log: string; readonly port: number },
): ProcessUnderTest {
  const places = { state: join(root, 'state'), log, port };
  mkdirSync(places.state, { recursive: true });
  const configuration = join(root, `${peer.name}.conf`);
  writeFileSync(configuration, peer.configure(which, places));
  const env = { LD_LIBRARY_PATH: program.libraries, PATH: process.env['PATH'] };
  const child = spawn(program.program, peer.args(configuration, places, program.modules), {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return underTest(child, peer.name);
}
