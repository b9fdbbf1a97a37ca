/**
 * One budget for the encoded bytes of all lanes: what is filling and what is in flight, whatever the sinks do.
 *
 * The rule: every lane may have one batch, so no lane can stop another; a second one, beside the request in flight, fills only while there
 * is budget beyond those. A lane whose sink is not open holds nothing and keeps nothing from the others. Invariant: at most the budget and one
 * read are held, or one batch for each sink where those are more; and a batch more for each sink that opened after the others had taken their
 * second one, until that is sent. The rest stays in the files, unread. May import: core.
 */

/** Who holds bytes. */
export interface Holder {
  /** Encoded bytes that are filling or in flight. */
  readonly heldBytes: number;
  /** The largest batch that it may have. */
  readonly batchBytesMax: number;
}

export class ByteBudget {
  readonly #bytesMax: number;
  readonly #holders: Holder[] = [];

  /** @param bytesMax for all holders together */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  join(holder: Holder): void {
    this.#holders.push(holder);
  }

  get heldBytes(): number {
    return this.#holders.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
  }

  /** Nobody may hold more than one batch now. */
  get isSpent(): boolean {
    const claimed = this.#holders.reduce((sum, holder) => sum + Math.max(holder.heldBytes, holder.batchBytesMax), 0);
    return claimed >= this.#bytesMax;
  }
}
