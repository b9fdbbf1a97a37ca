/**
 * What the bench has to know of another forwarder: its version, its configuration for a case, its command line. All of it is pure.
 */
import type { PeerName } from '../../servers/peer-packages.ts';
import type { Workload } from '../numbered-lines.ts';

export interface PeerCase {
  /** Stack traces are joined by rules of each program's own: nothing to compare. */
  readonly workload: Exclude<Workload, 'java'>;
  readonly metadata: 'full' | 'none';
}

export interface PeerPlaces {
  /** An empty folder for its state. */
  readonly state: string;
  /** The file that it reads. */
  readonly log: string;
  /** Of the sink, on loopback. */
  readonly port: number;
}

export interface Peer {
  readonly name: PeerName;
  /** Makes it say its version. */
  readonly versionArgs: readonly string[];
  /** `8.2302.0` from what it said; undefined when it is not there. */
  versionOf(said: string): string | undefined;
  /** The text of its configuration file. */
  configure(which: PeerCase, places: PeerPlaces): string;
  /** Its arguments, in the foreground. @param modules folder of its plug-ins */
  args(configuration: string, places: PeerPlaces, modules: string): readonly string[];
}

/**
 * What our forwarder adds with full metadata, but for `log.offset`, which syslog-ng does not know. For the peers these are constants of their
 * configuration: cheaper than any way in which they would find them out.
 */
export const METADATA: ReadonlyArray<readonly [path: string, value: string]> = [
  ['orchestrator.cluster.name', 'bench'],
  ['kubernetes.namespace', 'bench'],
  ['kubernetes.pod.name', 'bench-5d4f8c7b9-x2x4z'],
  ['kubernetes.pod.uid', '11111111-2222-3333-4444-555555555555'],
  ['kubernetes.container.name', 'app'],
  ['kubernetes.node.name', 'node-1'],
  ['log.file.path', '/var/log/app/app.log'],
];
