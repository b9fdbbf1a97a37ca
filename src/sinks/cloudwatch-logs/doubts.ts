/**
 * Which records of a batch the service may hold already: those of a request without an answer, and those that an earlier process may
 * have sent. CloudWatch Logs stores a resend once more, so each of them is counted before it goes out again. Pure.
 *
 * May import: core, sinks.
 */
import type { Batch } from '../../core/record.ts';
import { selectedCount, selectedIndex } from '../selection.ts';

/** Not in doubt; in doubt, and to be found under the time that stands in the batch; in doubt otherwise. */
const NONE = 0;
const OURS = 1;
const OTHERWISE = 2;

export class Doubts {
  readonly #of = new WeakMap<Batch, Uint8Array>();

  /** Takes in, with the first delivery of a batch, what the checkpoint knows of it. */
  open(batch: Batch, wentOut: (index: number) => boolean): void {
    if (this.#of.has(batch)) return;
    const marks = new Uint8Array(batch.records);
    for (let i = 0; i < marks.length; i += 1) if (wentOut(i)) marks[i] = OTHERWISE;
    this.#of.set(batch, marks);
  }

  /**
   * A request with these records had no answer that says whether they are stored.
   *
   * @param hasOwnTimes true when they went out with the times that stand in the batch
   */
  add(batch: Batch, selection: readonly number[] | undefined, hasOwnTimes: boolean): void {
    const marks = this.#of.get(batch);
    if (marks === undefined) return;
    const count = selectedCount(batch, selection);
    for (let i = 0; i < count; i += 1) marks[selectedIndex(selection, i)] = hasOwnTimes ? OURS : OTHERWISE;
  }

  /** Records of the selection whose request was ours: what can be read back. Ascending. */
  ours(batch: Batch, selection: readonly number[] | undefined): readonly number[] {
    const marks = this.#of.get(batch);
    const count = selectedCount(batch, selection);
    const found: number[] = [];
    for (let i = 0; i < count; i += 1) {
      const index = selectedIndex(selection, i);
      if (marks?.[index] === OURS) found.push(index);
    }
    return found;
  }

  /** How many records of the selection are in doubt; after this none of them is: they go out and were counted. */
  take(batch: Batch, selection: readonly number[] | undefined): number {
    const marks = this.#of.get(batch);
    if (marks === undefined) return 0;
    const count = selectedCount(batch, selection);
    let taken = 0;
    for (let i = 0; i < count; i += 1) {
      const index = selectedIndex(selection, i);
      if (marks[index] !== NONE) taken += 1;
      marks[index] = NONE;
    }
    return taken;
  }
}
