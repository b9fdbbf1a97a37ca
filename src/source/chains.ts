/**
 * Sources of one container that were first seen under one path are one log: a chain, older first.
 *
 * Invariant: a place is given once. Names and times change, the order in which things were written does not.
 * May import: source.
 */
import type { SourceFile } from './source-file.ts';

export class Chains {
  readonly #chains = new Map<string, SourceFile[]>();
  /** Made when it is asked for: thousands of files may come or go at once. */
  #list: readonly (readonly SourceFile[])[] | undefined;
  /** Newer than everything that is known. */
  #newest: number;

  /** @param newest the youngest place that was given before */
  constructor(newest: number) {
    this.#newest = newest;
  }

  /** The next place is younger than `newest`, too. */
  beginAfter(newest: number): void {
    this.#newest = Math.max(this.#newest, newest);
  }

  /** All chains, each older first. The same arrays until a source comes or goes. */
  get list(): readonly (readonly SourceFile[])[] {
    if (this.#list !== undefined) return this.#list;
    for (const chain of this.#chains.values()) if (chain.length > 1) chain.sort(compareSources);
    this.#list = [...this.#chains.values()].map((chain) => [...chain]);
    return this.#list;
  }

  /** One chain, older first; empty when there is none. */
  of(container: string, path: string): readonly SourceFile[] {
    return (this.#chains.get(key(container, path)) ?? []).toSorted(compareSources);
  }

  /** Its place may still be given before the chains are asked for again. */
  add(source: SourceFile): void {
    this.#list = undefined;
    const at = key(source.info.container, source.info.path);
    const chain = this.#chains.get(at);
    if (chain === undefined) this.#chains.set(at, [source]);
    else chain.push(source);
  }

  remove(source: SourceFile): void {
    const at = key(source.info.container, source.info.path);
    const rest = (this.#chains.get(at) ?? []).filter((other) => other !== source);
    this.#list = undefined;
    if (rest.length === 0) this.#chains.delete(at);
    else this.#chains.set(at, rest);
  }

  clear(): void {
    this.#chains.clear();
    this.#list = undefined;
  }

  /**
   * The place of a newly found file: before what its rotation rank says is younger, else at the end. Times would mislead: a copy is born
   * after its original, and holds what is older.
   */
  placeByRank(source: SourceFile, rank: number): number {
    const chain = this.of(source.info.container, source.info.path).filter((other) => other !== source);
    const younger = chain.find((other) => other.fd !== undefined && other.name !== undefined && other.rank < rank);
    if (younger === undefined) return (this.#newest += 1);
    const older = chain.filter((other) => other.order < younger.order).map((other) => other.order);
    return (Math.max(younger.order - 1, ...older) + younger.order) / 2;
  }

  /** Would the source stand there before one that has an older name? */
  isBeforeOlderName(source: SourceFile, order: number): boolean {
    const chain = this.of(source.info.container, source.info.path).filter((other) => other !== source);
    return chain.some((other) => other.fd !== undefined && other.rank > source.rank && other.order > order);
  }

  /** The place right behind a source. */
  placeAfter(source: SourceFile): number {
    const younger = this.of(source.info.container, source.info.path).find((other) => other.order > source.order);
    return younger === undefined ? (this.#newest += 1) : (source.order + younger.order) / 2;
  }
}

/** Older first. */
export function compareSources(a: SourceFile, b: SourceFile): number {
  return a.order - b.order;
}

function key(container: string, path: string): string {
  return `${container}\0${path}`;
}
