/**
 * When the files are looked at: at once where a watch tells after some quiet, then no more often than lines are gathered, and with each batch
 * that is due, so that it takes all that is there. What a timer would have done soon is done along with it: a process that wakes up seldom is
 * what costs little. Pure.
 *
 * Invariants: whatever a watch told is looked at within GATHER_MS, or by the batch that is due before that; a scan is never more than
 * SCAN_INTERVAL_MS away; files that grow or are about to be done with are asked every POLL_INTERVAL_MS, whoever watches them.
 * May import: nothing.
 */

/** Discovery: each folder at least this often (issue: within one second). */
export const SCAN_INTERVAL_MS = 1_000;
/** A watch may ask for scans, but not more often than this: a burst of new names is one scan. */
export const SCAN_INTERVAL_MS_MIN = 50;
/** Growth of active files where no watch tells. */
export const POLL_INTERVAL_MS = 250;
/**
 * After a look the next one gathers what is written for so long: an app that writes a thousand times a second costs ten looks. It is also how
 * long a line may stand in its file unread where nothing holds the sink back: what is cut off or overwritten by then was never seen. A look
 * costs about a seventh of a millisecond, so ten a second are a tenth of what a core may be used for (issue: 1.5 % at 1,000 lines a second).
 */
export const GATHER_MS = 100;
/** A timer that would end so soon need not wake the process once more. Half of what is gathered: a look is not taken twice for it. */
export const ALONG_MS = GATHER_MS / 2;

/** What there is to look for. */
export interface LookNeed {
  /** A watch has told of something. */
  readonly isHinted: boolean;
  /** A watch stands aside because its files are busy: a timer looks in its place. */
  readonly isBusy: boolean;
  /** A batch goes out in this turn. */
  readonly isSendDue: boolean;
  /** A scan is wanted at once. */
  readonly scanWanted: boolean;
  /** No file grew lately or is about to be done with, nothing is on its way or to be saved: only a scan or a watch has anything to tell. */
  readonly isAtRest: boolean;
}

/** What is to be done in this turn. */
export interface Looks {
  /** Ask the watch, and the files that it told of or stands aside for. */
  readonly hints: boolean;
  /** When that was done before, on the monotonic clock. */
  readonly lastHintsAt: number;
  readonly scan: boolean;
  /** Ask the files that grew lately. */
  readonly poll: boolean;
}

export class LookSchedule {
  #hintsAt = Number.NEGATIVE_INFINITY;
  #scannedAt = Number.NEGATIVE_INFINITY;
  #polledAt = Number.NEGATIVE_INFINITY;
  #isScanHinted = false;

  /** What this turn looks at. What it says is taken as done, but for the scan: see `scanned`. */
  turn(now: number, need: LookNeed): Looks {
    const lastHintsAt = this.#hintsAt;
    const isTold = need.isHinted || need.isBusy;
    const hints = isTold && (need.isSendDue || now >= lastHintsAt + GATHER_MS);
    const pollAt = this.#pollAt(need);
    const soon = now + (hints || pollAt <= now ? ALONG_MS : 0);
    const poll = pollAt <= soon;
    if (hints) this.#hintsAt = now;
    if (poll) this.#polledAt = now;
    return { hints, lastHintsAt, poll, scan: this.isScanDue(soon, need) };
  }

  /** A watch told of a name that came or went. */
  hintScan(): void {
    this.#isScanHinted = true;
  }

  isScanDue(now: number, { scanWanted }: Pick<LookNeed, 'scanWanted'>): boolean {
    return scanWanted || now >= this.#scanAt;
  }

  scanned(now: number): void {
    this.#scannedAt = now;
    this.#isScanHinted = false;
  }

  polled(now: number): void {
    this.#polledAt = now;
  }

  /** Milliseconds from now on until the files want to be looked at again. */
  nextMs(now: number, need: LookNeed): number {
    if (need.scanWanted) return 0;
    const hintsAt = need.isHinted || need.isBusy ? this.#hintsAt + GATHER_MS : Number.POSITIVE_INFINITY;
    return Math.min(this.#scanAt, this.#pollAt(need), hintsAt) - now;
  }

  get #scanAt(): number {
    return this.#scannedAt + (this.#isScanHinted ? SCAN_INTERVAL_MS_MIN : SCAN_INTERVAL_MS);
  }

  #pollAt({ isAtRest }: LookNeed): number {
    return isAtRest ? Number.POSITIVE_INFINITY : this.#polledAt + POLL_INTERVAL_MS;
  }
}
