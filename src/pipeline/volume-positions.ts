/**
 * Which volumes' positions this pod keeps, and when: takes each folder of positions when no other pod has it, and gives its files to the
 * forwarder then.
 *
 * Each folder by itself: while one is waited for, everything else is shipped. Invariants: files of a volume are shipped by one pod at a time;
 * what this pod's containers wrote is never passed over, even where the volume cannot be written. May import: core, config, node:, pipeline.
 */
import { stat } from 'node:fs/promises';

import type { FileGlob, PodIdentity } from '../config/forwarder-config.ts';
import { aborted } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Forwarder } from './forwarder.ts';
import { LOOK_MS, PositionClaim, SETTLE_MS } from './position-claim.ts';
import type { StateFiles } from './state-files.ts';

/**
 * After the end was asked for a claim that nobody is known to have is waited for no longer than this: what taking one over takes, and three
 * looks more at a disk that fails. The grace period bounds it too.
 */
export const END_WAIT_MS = SETTLE_MS + 3 * LOOK_MS;

export interface VolumePositionsOptions {
  readonly files: readonly FileGlob[];
  readonly pod: Pick<PodIdentity, 'pod' | 'uid'>;
  /** Of the pod, made before its first container starts. */
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** How it stands with one folder. */
type State =
  | {
      readonly kind: 'waiting';
      readonly reason: string;
      /** Another pod has the claim. */
      readonly isOther: boolean;
    }
  | { readonly kind: 'held' }
  /** It cannot be written; the system's words. */
  | { readonly kind: 'refused'; readonly text: string };

export class VolumePositions {
  readonly #options: VolumePositionsOptions;
  readonly #states: Map<string, State>;
  readonly #stop = new AbortController();
  #isEnding = false;
  /** The end has waited long enough. */
  #isLate = false;
  #bytesPassedOver: () => number = () => 0;

  constructor(options: VolumePositionsOptions) {
    this.#options = options;
    const folders = options.files.flatMap(({ positions }) => (positions === undefined ? [] : [positions]));
    this.#states = new Map(folders.map((folder) => [folder, WAITING]));
  }

  /** No file of the pod lies on a volume that keeps positions. */
  get isEmpty(): boolean {
    return this.#states.size === 0;
  }

  /** Nothing is waited for: every volume's files are taken up, or will not be. At the end those that another pod has are left to it. */
  get isDecided(): boolean {
    const isLeft = ({ isOther }: State & { kind: 'waiting' }): boolean => this.#isEnding && (isOther || this.#isLate);
    return (
      this.#stop.signal.aborted ||
      [...this.#states.values()].every((state) => state.kind !== 'waiting' || isLeft(state))
    );
  }

  /** Gives the forwarder the files of each volume as soon as they are its own, and takes them from it when another pod took over. */
  start(forwarder: Pick<Forwarder, 'join' | 'joinOlder' | 'leave' | 'bytesPassedOver'>): void {
    this.#bytesPassedOver = () => forwarder.bytesPassedOver;
    for (const folder of this.#states.keys()) void this.#keep(folder, forwarder);
  }

  /**
   * The process is to end, and ships until then what it can: a claim that can be had now is taken still, and no other is waited for. May be
   * called again.
   */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    void this.#options.clock.sleep(END_WAIT_MS, this.#stop.signal).then(() => (this.#isLate = true));
  }

  /** Nothing more is taken. What is held is given back with the forwarder's end. */
  stop(): void {
    this.#stop.abort();
  }

  /** What is not as it should be, for /readyz; undefined: all well. */
  problem(): string | undefined {
    const texts = [...this.#states].flatMap(([folder, state]) => {
      if (state.kind === 'waiting') return [`${folder}: ${state.reason}`];
      if (state.kind === 'held') return [];
      return [`${folder}: ${refusal(state.text)}; ${this.#bytesPassedOver()} bytes were passed over`];
    });
    return texts.length === 0 ? undefined : texts.join('; ');
  }

  /** Which files were left to other pods, for the end. */
  lastWords(): readonly string[] {
    return [...this.#states].flatMap(([folder, state]) =>
      state.kind === 'waiting' ? [`${folder}: nothing was forwarded from here: ${state.reason}`] : [],
    );
  }

  async #keep(folder: string, forwarder: Pick<Forwarder, 'join' | 'joinOlder' | 'leave'>): Promise<void> {
    const { pod, clock, log } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const claim = new PositionClaim({
        folder,
        pod: pod.pod,
        uid: pod.uid,
        clock,
        log: log.with({ positions: folder }),
      });
      const lost = Promise.withResolvers<void>();
      const onLost = (): void => {
        forwarder.leave(folder);
        lost.resolve();
      };
      const taken = await claim.take(signal, (reason, isOther) => this.#wait(folder, reason, isOther), onLost);
      if (taken.kind === 'ended') return;
      if (taken.kind === 'refused') {
        await this.#takeUpOlder(folder, taken.text, forwarder);
        return;
      }
      // No other pod is waited for any more: the end leaves it time, and its last words name nobody who is gone.
      this.#wait(folder, 'positions are being read', false);
      const files = claim.files();
      if (await this.#takeUp(folder, { files, claim, forwarder })) {
        this.#states.set(folder, { kind: 'held' });
        await Promise.race([lost.promise, aborted(signal)]);
        if (!claim.isLost) return;
      }
      if (claim.isLost) {
        // Lost while it was taken up: the forwarder may have it all the same.
        forwarder.leave(folder);
        this.#wait(folder, 'another pod took the positions over', true);
      }
      await close(files, log);
    }
  }

  /** True when the forwarder has the files. What cannot be read is not written over: it is asked again. */
  async #takeUp(
    folder: string,
    { files, claim, forwarder }: { files: StateFiles; claim: PositionClaim; forwarder: Pick<Forwarder, 'join'> },
  ): Promise<boolean> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted && !claim.isLost) {
      const problem = await forwarder.join(folder, files);
      if (problem === undefined) return true;
      this.#wait(folder, `positions cannot be read: ${problem}`, false);
      await clock.sleep(LOOK_MS, signal);
    }
    return false;
  }

  async #takeUpOlder(folder: string, text: string, forwarder: Pick<Forwarder, 'joinOlder'>): Promise<void> {
    const olderThanMs = await madeMs(this.#options.stateDir);
    this.#states.set(folder, { kind: 'refused', text });
    this.#options.log.error(refusal(), {
      positions: folder,
      error: text,
      older_than: new Date(olderThanMs).toISOString(),
    });
    forwarder.joinOlder(folder, olderThanMs);
  }

  /** Said once for each reason. */
  #wait(folder: string, reason: string, isOther: boolean): void {
    const before = this.#states.get(folder);
    this.#states.set(folder, { kind: 'waiting', reason, isOther });
    if (before?.kind === 'waiting' && before.reason === reason) return;
    this.#options.log.warn('waits for the positions of a volume, its files are not shipped', {
      positions: folder,
      reason,
    });
  }
}

const WAITING: State = { kind: 'waiting', reason: 'not looked at yet', isOther: false };

function refusal(text?: string): string {
  const why = text === undefined ? '' : ` (${text})`;
  return `positions cannot be kept on the volume${why}, files older than the pod begin at their end`;
}

/** Where its time of birth is not known nothing counts as older. */
async function madeMs(stateDir: string): Promise<number> {
  try {
    const { birthtimeMs } = await stat(stateDir);
    return Math.max(0, birthtimeMs);
  } catch {
    return 0;
  }
}

/** Gives the claim back where it is still ours. */
async function close(files: StateFiles, log: Log): Promise<void> {
  try {
    await files.close();
  } catch (error) {
    log.debug('files of positions cannot be closed', { error: String(error) });
  }
}
