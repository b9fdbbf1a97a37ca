/**
 * Which of several pods ships the files of a shared volume and keeps their positions: one at a time, by a file beside the positions.
 *
 * The holder touches the file; who finds one that is touched waits, because what it would ship the holder ships. The files are the queue, so
 * waiting loses nothing. Taken at once: no claim, one of this pod or of a pod with this one's name (a StatefulSet's pod has one body at a
 * time: Kubernetes, "StatefulSets: Pod Identity"). Invariants: no two clocks are compared but over minutes; a holder that could not
 * touch its claim for half the time after which others take it writes nothing before it has looked again.
 * Should two hold it all the same (a process that stood still between two calls), lines may come twice and none gets lost: entries are
 * absolute, and each was true when it was written. May import: core, node:, pipeline.
 */
import { lstat, mkdir, open, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { Clock } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import { KiB } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import { nodeStateFiles } from './state-files.ts';
import type { StateFiles } from './state-files.ts';

/** One small write a second for a dozen pods, and six missed ones before anybody takes over. */
export const BEAT_MS = 5_000;
/** A claim that was not touched for so long, on the clock of who looks, has no holder: the usual eviction and restart take less. */
export const STALE_MS = 6 * BEAT_MS;
/**
 * By the times of two machines it has none after this: far more than clocks of one cluster differ. Without it pods that live shorter than
 * STALE_MS (a CronJob each minute) would all wait in vain for one that was killed.
 */
export const OLD_MS = 4 * STALE_MS;
/** After a stale claim was replaced: whoever replaced it at the same moment is seen within this. */
export const SETTLE_MS = 2_000;
/** Who waits looks this often. */
export const LOOK_MS = 1_000;
/** Ours are 100 bytes; the folder is the app's, and it may hold anything. */
const CLAIM_BYTES_MAX = 4 * KiB;

const CLAIM = 'claim';

/** What says that the folder is not for us, now and later; anything else (disk full, server away) is waited for. */
const REFUSALS = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'ELOOP', 'ENOTSUP', 'ENAMETOOLONG']);

export type Taken =
  | { readonly kind: 'held' }
  /** The folder cannot be written; the system's words. */
  | { readonly kind: 'refused'; readonly text: string }
  /** The end came first. */
  | { readonly kind: 'ended' };

type OnWait = (reason: string, isOther: boolean) => void;

interface Found {
  readonly pod: string;
  readonly uid: string;
  readonly touchedMs: number;
}

export interface ClaimOptions {
  readonly folder: string;
  readonly pod: string;
  readonly uid: string;
  readonly clock: Clock;
  readonly log: Log;
}

export class PositionClaim {
  readonly #options: ClaimOptions;
  readonly #path: string;
  readonly #end = new AbortController();
  #beatAt = 0;
  #isLost = false;
  #onLost: () => void = () => {};
  #beating: Promise<void> = Promise.resolve();

  constructor(options: ClaimOptions) {
    this.#options = options;
    this.#path = join(options.folder, CLAIM);
  }

  /** Another pod took over: nothing is written any more, and nothing should be sent. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /**
   * Takes the claim as soon as nobody has it. Never rejects.
   *
   * @param signal ends the wait
   * @param onWait told, each second, what it waits for, and whether that is another pod which has the claim
   * @param onLost called once, as soon as it is known that another pod took over
   */
  async take(signal: AbortSignal, onWait: OnWait, onLost: () => void): Promise<Taken> {
    const { clock } = this.#options;
    this.#onLost = onLost;
    let seen: { key: string; since: number } | undefined;
    while (!signal.aborted) {
      try {
        await this.#makeFolder();
        const found = await this.#look();
        const key = found === undefined ? '' : `${found.uid} ${found.touchedMs}`;
        const now = clock.monotonic();
        if (seen?.key !== key) seen = { key, since: now };
        if (await this.#mayTake(found, now - seen.since, { signal, onWait })) {
          this.#beating = this.#beat();
          return { kind: 'held' };
        }
        if (found !== undefined)
          onWait(`pod ${found.pod} ships the files of this volume and keeps their positions`, true);
      } catch (error) {
        const text = errorText(error);
        if (REFUSALS.has(codeOf(error))) return { kind: 'refused', text };
        onWait(`positions cannot be kept on the volume: ${text}`, false);
      }
      await clock.sleep(LOOK_MS, signal);
    }
    return { kind: 'ended' };
  }

  /** The folder for whoever holds the claim: what would be written without it is refused. Closing it gives the claim back. */
  files(): StateFiles {
    const files = nodeStateFiles(this.#options.folder);
    return {
      read: (name) => files.read(name),
      scan: (name, onChunk) => files.scan(name, onChunk),
      replace: async (name, content) => (await this.#check(), files.replace(name, content)),
      append: async (name, content) => (await this.#check(), files.append(name, content)),
      sync: async (name) => (await this.#check(), files.sync(name)),
      rename: async (from, to) => (await this.#check(), files.rename(from, to)),
      close: async () => {
        await files.close();
        await this.#release();
      },
    };
  }

  /** A link would lead us to what an app must not be able to name. */
  async #makeFolder(): Promise<void> {
    const { folder } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const path of [dirname(folder), folder])
      if (!(await lstat(path)).isDirectory())
        throw Object.assign(new Error(`${path}: expected a directory, got a link`), { code: 'ELOOP' });
  }

  async #mayTake(
    found: Found | undefined,
    unchangedMs: number,
    { signal, onWait }: { signal: AbortSignal; onWait: OnWait },
  ): Promise<boolean> {
    const { pod, uid, clock, log } = this.#options;
    if (found === undefined) return this.#create();
    if (found.uid === uid) {
      // Without a byte written: a full disk does not keep a container that starts again from shipping.
      await this.#touch();
      return true;
    }
    if (found.pod === pod) {
      await this.#replace();
      return true;
    }
    if (unchangedMs < STALE_MS && clock.now() - found.touchedMs < OLD_MS) return false;
    onWait(`positions of pod ${found.pod}, which is gone, are being taken over`, false);
    await this.#replace();
    await clock.sleep(SETTLE_MS, signal);
    if ((await this.#look())?.uid !== uid) return false;
    log.info('positions of a pod that is gone are taken over', { pod: found.pod });
    this.#beatAt = clock.monotonic();
    return true;
  }

  /** False when somebody was faster. */
  async #create(): Promise<boolean> {
    try {
      this.#beatAt = this.#options.clock.monotonic();
      await writeFile(this.#path, this.#text(), { flag: 'wx', mode: 0o600 });
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      // A full disk has room for a name: a claim without words would be waited for.
      if (codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT') await rm(this.#path, { force: true });
      throw error;
    }
  }

  async #replace(): Promise<void> {
    const { uid, clock } = this.#options;
    const temporary = `${this.#path}.${uid}`;
    this.#beatAt = clock.monotonic();
    try {
      await writeFile(temporary, this.#text(), { mode: 0o600 });
      await rename(temporary, this.#path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
  }

  #text(): string {
    const { pod, uid } = this.#options;
    return `${JSON.stringify({ pod, uid })}\n`;
  }

  /** Opened anew each time: that makes a network file system ask its server (nfs(5), "close-to-open cache consistency"). */
  async #look(): Promise<Found | undefined> {
    let handle;
    try {
      handle = await open(this.#path, 'r');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
    try {
      const { mtimeMs } = await handle.stat();
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(CLAIM_BYTES_MAX), 0, CLAIM_BYTES_MAX, 0);
      return { ...holderOf(buffer.toString('utf8', 0, bytesRead)), touchedMs: mtimeMs };
    } finally {
      await handle.close();
    }
  }

  async #beat(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#end;
    while (!signal.aborted && !this.#isLost) {
      await clock.sleep(BEAT_MS, signal);
      if (signal.aborted || this.#isLost) return;
      try {
        await this.#touch();
      } catch (error) {
        log.warn('claim of the positions cannot be touched', { error: errorText(error) });
      }
    }
  }

  /** Is it still ours? Then it stays so. */
  async #touch(): Promise<void> {
    const { uid, clock, log } = this.#options;
    const at = clock.monotonic();
    const found = await this.#look();
    if (found?.uid === uid) {
      const seconds = clock.now() / 1000;
      await utimes(this.#path, seconds, seconds);
      this.#beatAt = at;
    } else if (found === undefined) {
      // Somebody tidied up. Whoever is faster has it.
      if (await this.#create()) return;
    } else if (!this.#isLost) {
      this.#isLost = true;
      log.error('another pod took the positions over, the files of the volume are not sent from here any more', {
        pod: found.pod,
      });
      this.#onLost();
    }
  }

  async #check(): Promise<void> {
    if (!this.#isLost && this.#options.clock.monotonic() - this.#beatAt >= STALE_MS / 2) await this.#touch();
    if (this.#isLost) throw new Error('another pod took the positions over');
  }

  async #release(): Promise<void> {
    this.#end.abort();
    await this.#beating;
    if (!this.#isLost && (await this.#look())?.uid === this.#options.uid) await rm(this.#path, { force: true });
  }
}

/** Of a claim that is torn nobody is known; it grows old all the same. */
function holderOf(text: string): { pod: string; uid: string } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'pod' in value && 'uid' in value) {
      const { pod, uid } = value;
      if (typeof pod === 'string' && typeof uid === 'string') return { pod, uid };
    }
  } catch {
    // As good as nobody.
  }
  return { pod: '', uid: '' };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
