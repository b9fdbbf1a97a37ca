/**
 * How long until unread bytes are rotated away: from how often the files of a path rotated lately, and how many of them the app keeps.
 *
 * A file that has no name any more is held by us alone: nothing is left. What was not seen yet (a second rotation, a deletion) is not
 * guessed. Pure. May import: source.
 */
import type { SourceFile } from './source-file.ts';

/** A step of the mean interval: the last few rotations count, so that a changed rate shows after two or three. */
const WEIGHT = 0.5;

export class RotationForecast {
  #rotatedAt: number | undefined;
  #intervalMs: number | undefined;
  #kept: number | undefined;

  /** The app's path leads to another file, or to the same one cut off. */
  rotated(nowMs: number): void {
    if (this.#rotatedAt !== undefined) {
      const last = nowMs - this.#rotatedAt;
      this.#intervalMs = this.#intervalMs === undefined ? last : this.#intervalMs * (1 - WEIGHT) + last * WEIGHT;
    }
    this.#rotatedAt = nowMs;
  }

  /**
   * A file lost its last name.
   *
   * @param younger files of the path that still have one: so many are kept
   */
  dropped(younger: number): void {
    this.#kept = younger;
  }

  /**
   * Milliseconds until the file has no name any more; infinite when that is not known.
   *
   * @param younger files of the path that are younger than it and have a name
   */
  leftMs(younger: number, nowMs: number): number {
    if (this.#kept === undefined || this.#intervalMs === undefined || this.#rotatedAt === undefined)
      return Number.POSITIVE_INFINITY;
    const rotations = Math.max(0, this.#kept - younger);
    return Math.max(0, rotations * this.#intervalMs - (nowMs - this.#rotatedAt));
  }
}

/** Paths that are remembered: a few for each container; names that are used once are as many as an app likes. */
const PATHS_MAX = 1_000;

/** The forecasts of all paths. */
export class RotationForecasts {
  readonly #byPath = new Map<string, RotationForecast>();
  /** Lost their last name since `settle`. */
  #dropped: SourceFile[] = [];

  rotated(source: SourceFile, nowMs: number): void {
    this.#of(source).rotated(nowMs);
  }

  /** It lost its last name; what is kept is counted when the scan has seen which files there are. */
  dropped(source: SourceFile, nowMs: number): void {
    // Deleted instead of renamed: the next file of the path is the rotation.
    if (source.rank === 0) this.rotated(source, nowMs);
    this.#dropped.push(source);
  }

  /** A scan is done. */
  settle(sources: Iterable<SourceFile>): void {
    if (this.#dropped.length === 0) return;
    const named = namedOrders(sources);
    for (const source of this.#dropped) this.#of(source).dropped(youngerThan(source, named));
    this.#dropped = [];
  }

  /** Milliseconds until the first file with unread bytes has no name any more; infinite when there is none, or nothing is known. */
  leftMs(sources: Iterable<SourceFile>, hasUnread: (source: SourceFile) => boolean, nowMs: number): number {
    const all = [...sources];
    const named = namedOrders(all);
    let left = Number.POSITIVE_INFINITY;
    for (const source of all) {
      if (source.state !== 'open' || !hasUnread(source)) continue;
      if (source.name === undefined) return 0;
      const forecast = this.#byPath.get(keyOfPath(source));
      if (forecast !== undefined) left = Math.min(left, forecast.leftMs(youngerThan(source, named), nowMs));
    }
    return left;
  }

  #of(source: SourceFile): RotationForecast {
    const key = keyOfPath(source);
    const known = this.#byPath.get(key);
    if (known !== undefined) return known;
    const [oldest] = this.#byPath.size < PATHS_MAX ? [] : this.#byPath.keys();
    if (oldest !== undefined) this.#byPath.delete(oldest);
    const forecast = new RotationForecast();
    this.#byPath.set(key, forecast);
    return forecast;
  }
}

function keyOfPath({ info }: SourceFile): string {
  return `${info.container}\0${info.path}`;
}

/** Places of the files that have a name, by path. */
function namedOrders(sources: Iterable<SourceFile>): ReadonlyMap<string, readonly number[]> {
  const orders = new Map<string, number[]>();
  for (const source of sources) {
    if (source.name === undefined || source.state === 'orphan') continue;
    const key = keyOfPath(source);
    const own = orders.get(key);
    if (own === undefined) orders.set(key, [source.order]);
    else own.push(source.order);
  }
  return orders;
}

function youngerThan(source: SourceFile, named: ReadonlyMap<string, readonly number[]>): number {
  return (named.get(keyOfPath(source)) ?? []).filter((order) => order > source.order).length;
}
