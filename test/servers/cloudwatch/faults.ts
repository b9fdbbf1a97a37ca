/**
 * Faults that a test orders from the proxy, consumed call by call.
 *
 * May import: nothing.
 */

/**
 * `throttle`: HTTP 400 ThrottlingException. `unavailable`: HTTP 503. `drop-before`: the connection ends before moto saw the call.
 * `drop-after`: moto did the call, its answer is lost. (API reference, Common Errors, for the first two.)
 */
export type Fault = 'throttle' | 'unavailable' | 'drop-before' | 'drop-after';

export interface FaultOrder {
  readonly fault: Fault;
  /** How many calls get it. */
  readonly count: number;
  /** Only calls of this action; without it every call. */
  readonly action?: string;
}

export class FaultPlan {
  #orders: { order: FaultOrder; left: number }[] = [];

  /** Orders queue up: the first that fits a call and has some left is taken. */
  add(order: FaultOrder): void {
    this.#orders.push({ order, left: order.count });
  }

  clear(): void {
    this.#orders = [];
  }

  /** The fault for this call, taken from the plan. */
  take(action: string): Fault | undefined {
    const found = this.#orders.find(({ order, left }) => left > 0 && (order.action ?? action) === action);
    if (found === undefined) return undefined;
    found.left -= 1;
    this.#orders = this.#orders.filter(({ left }) => left > 0);
    return found.order.fault;
  }
}
