/**
 * Which lines of a container's log were seen, as far as the API can bring them again.
 *
 * The API resumes by whole seconds alone (kubernetes/kubernetes, pkg/registry/core/pod/strategy.go, LogLocation), so every resume repeats
 * lines. Times are no order: the runtime stamps stdout and stderr apart before either is written. So a line is known by its time in
 * nanoseconds and its bytes, counted, because two may be equal; and a live line is never judged by its time. One second before the newest
 * is kept as well, for lines that were overtaken at its border. Pure. May import: source.
 */
import type { TimedLine } from './timed-line.ts';

/** Seconds before the newest one that a resume goes back. */
const MARGIN_SECONDS = 1;
/** Lines that are remembered: two seconds of 50,000 lines, some 6 MiB. Beyond it a resume may repeat lines. */
const LINES_MAX = 100_000;
/** CRC bits beside 30 bits of nanoseconds in one exact number. */
const CRC_BITS = 22;

export class SeenLines {
  readonly #seconds = new Map<number, Map<number, number>>();
  #lines = 0;
  #newest = Number.NEGATIVE_INFINITY;

  /** The second from which on to ask again, since the epoch; undefined before the first line. */
  get resumeSecond(): number | undefined {
    return Number.isFinite(this.#newest) ? this.#newest - MARGIN_SECONDS : undefined;
  }

  note(line: TimedLine): void {
    if (line.second > this.#newest) this.#advance(line.second);
    if (line.second < this.#newest - MARGIN_SECONDS || this.#lines >= LINES_MAX) return;
    const lines = this.#seconds.get(line.second) ?? new Map<number, number>();
    this.#seconds.set(line.second, lines);
    const key = keyOf(line);
    lines.set(key, (lines.get(key) ?? 0) + 1);
    this.#lines += 1;
  }

  /** A line that was noted was cut off: a resume is to give it whole. */
  forget(line: TimedLine): void {
    const lines = this.#seconds.get(line.second);
    const key = keyOf(line);
    const count = lines?.get(key) ?? 0;
    if (lines === undefined || count === 0) return;
    if (count > 1) lines.set(key, count - 1);
    else lines.delete(key);
    this.#lines -= 1;
  }

  /** What a resume from now on will repeat. */
  replay(): Replay {
    return new Replay(new Map([...this.#seconds].map(([second, lines]) => [second, new Map(lines)])));
  }

  #advance(second: number): void {
    this.#newest = second;
    for (const [known, lines] of this.#seconds) {
      if (known >= second - MARGIN_SECONDS) continue;
      for (const count of lines.values()) this.#lines -= count;
      this.#seconds.delete(known);
    }
  }
}

/** The lines that a resumed log may repeat, each as often as it was seen. */
export class Replay {
  readonly #seconds: Map<number, Map<number, number>>;

  constructor(seconds: Map<number, Map<number, number>>) {
    this.#seconds = seconds;
  }

  /** Was this line seen before? Each sighting answers for one. */
  takes(line: TimedLine): boolean {
    const lines = this.#seconds.get(line.second);
    const key = keyOf(line);
    const count = lines?.get(key) ?? 0;
    if (lines === undefined || count === 0) return false;
    if (count > 1) lines.set(key, count - 1);
    else lines.delete(key);
    if (lines.size === 0) this.#seconds.delete(line.second);
    return true;
  }
}

function keyOf({ nanosecond, crc }: TimedLine): number {
  return nanosecond * 2 ** CRC_BITS + (crc & (2 ** CRC_BITS - 1));
}
