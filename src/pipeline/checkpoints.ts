/**
 * The checkpoints of one process: the pod's own, and one in each folder of positions on a volume that outlives the pod.
 *
 * A source is kept by one of them for its life, and each is whole by itself: what one says needs no other, so a crash between two writes
 * is a crash of each alone. May import: core, node:, pipeline.
 */
import assert from 'node:assert/strict';

import type { Checkpointer } from './checkpointer.ts';

export class Checkpoints {
  readonly own: Checkpointer;
  readonly #volumes = new Map<string, Checkpointer>();

  /** @param own of the pod: keeps stdio, what ends with the pod, and what no volume keeps */
  constructor(own: Checkpointer) {
    this.own = own;
  }

  /** The one that keeps a source, by its folder of positions. */
  of(positions: string | undefined): Checkpointer {
    if (positions === undefined) return this.own;
    const checkpointer = this.#volumes.get(positions);
    assert(checkpointer !== undefined, 'what a volume keeps is let go of with it');
    return checkpointer;
  }

  join(positions: string, checkpointer: Checkpointer): void {
    this.#volumes.set(positions, checkpointer);
  }

  has(positions: string): boolean {
    return this.#volumes.has(positions);
  }

  /** Another pod writes there now: nothing is saved in it any more. */
  leave(positions: string): void {
    this.#volumes.get(positions)?.abandon();
    this.#volumes.delete(positions);
  }

  /** Why positions are not being saved, or undefined. For /readyz. */
  get problem(): string | undefined {
    const volumes = [...this.#volumes].flatMap(([folder, { problem }]) =>
      problem === undefined ? [] : [`${folder}: ${problem}`],
    );
    const all = [...(this.own.problem === undefined ? [] : [this.own.problem]), ...volumes];
    return all.length === 0 ? undefined : all.join('; ');
  }

  /** Is there anything that `tick` is yet to write? */
  get isPending(): boolean {
    if (this.own.isPending) return true;
    for (const checkpointer of this.#volumes.values()) if (checkpointer.isPending) return true;
    return false;
  }

  /** Begins the writes that are due. Does not wait for them. */
  tick(): void {
    this.own.tick();
    for (const checkpointer of this.#volumes.values()) checkpointer.tick();
  }

  /** Writes what is left. True when all of it is on the disk. Never rejects. */
  async close(): Promise<boolean> {
    const saved = await Promise.all([this.own, ...this.#volumes.values()].map((one) => one.close()));
    return saved.every(Boolean);
  }
}
