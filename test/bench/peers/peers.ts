/**
 * The peers beside our own cases, in the same run: same file, same sink, same figures.
 *
 * They are in the cases of Elasticsearch without gzip: in the versions that Debian ships neither compresses its requests, and neither has a
 * destination for CloudWatch Logs or S3.
 */
import { errorText } from '../../../src/core/errors.ts';
import { defaultPreparation } from '../../servers/cache.ts';
import type { PeerName } from '../../servers/peer-packages.ts';
import { LINES, runForwarderCase, type ForwarderCase, type Subject } from '../forwarder.ts';
import { runSteady, STEADY_SINK, type SteadyCase } from '../steady.ts';
import type { Peer, PeerCase } from './peer.ts';
import { havePeer, PEERS, startPeer, type PreparedPeer } from './peer-process.ts';

/** A peer gets the first quarter of our file: it is slower by more than that, and its start costs next to nothing. */
const SLOWER = 4;

export class Peers {
  readonly #note: (text: string) => void;
  readonly #had = new Map<PeerName, Promise<PreparedPeer | undefined>>();

  /** @param note gets what is not a figure */
  constructor(note: (text: string) => void) {
    this.#note = note;
  }

  /** Who can do a case of ours. */
  beside({ sink, env = {} }: ForwarderCase): readonly Peer[] {
    const isOurs = ['ELASTICSEARCH_GZIP', 'MULTILINE', 'REDACT'].some((name) => env[name] !== undefined);
    return sink === 'elasticsearch' && !isOurs ? Object.values(PEERS) : [];
  }

  /** One measurement; undefined when the peer cannot be had here, which is said once. */
  async run(peer: Peer, which: ForwarderCase): Promise<object | undefined> {
    const { workload, sink, variant, metadata } = which;
    if (workload === 'java') return undefined;
    return this.#measure(peer, { workload, metadata }, { workload, sink, variant }, (subject) =>
      runForwarderCase(which, subject, this.#note, LINES[workload] / SLOWER),
    );
  }

  /** Those that follow one file in the steady state. */
  besideSteady({ files }: SteadyCase): readonly Peer[] {
    return files === 1 ? Object.values(PEERS) : [];
  }

  /** The same of the steady state. */
  async runSteady(peer: Peer, which: SteadyCase): Promise<object | undefined> {
    const what = { workload: which.name, sink: STEADY_SINK };
    return this.#measure(peer, { workload: 'plain', metadata: 'full' }, what, (subject) => runSteady(which, subject));
  }

  async #measure(
    peer: Peer,
    which: PeerCase,
    what: object,
    measure: (subject: Subject) => Promise<object>,
  ): Promise<object | undefined> {
    const prepared = await this.#prepare(peer);
    if (prepared === undefined) return undefined;
    const who = `${peer.name} ${prepared.version}`;
    try {
      return await measure({ who, start: (places) => startPeer(prepared, which, places) });
    } catch (error) {
      // Its end is a result, and no reason to leave out the others.
      return { bench: 'forwarder', who, ...what, failed: errorText(error) };
    }
  }

  #prepare(peer: Peer): Promise<PreparedPeer | undefined> {
    const found = this.#had.get(peer.name) ?? this.#fetch(peer);
    this.#had.set(peer.name, found);
    return found;
  }

  async #fetch(peer: Peer): Promise<PreparedPeer | undefined> {
    const had = await havePeer(peer, defaultPreparation());
    if (typeof had !== 'string') return had;
    this.#note(`${peer.name} is left out: ${had}\n`);
    return undefined;
  }
}
