/**
 * The work that was let in and the one thread that does it, bounded by the time that the last one in would wait.
 *
 * Under overload an event loop that takes whatever comes makes everybody wait for everybody: with 64 clients and 100 KiB each the last one
 * waits longer than all deciding together. So a request that would wait too long is refused when its headers have come, in words that API
 * servers repeat (503 and Retry-After), and the ones that are let in are answered in time. A body counts as work that comes for as long as
 * an honest one takes to arrive; a slow client cannot fill the queue, and the bytes that it holds are bounded elsewhere.
 *
 * Invariants: first come, first served; the estimate of what is in never passes `WAIT_MS_MAX` by letting in more of a kind; an idle
 * server takes anything; when there is more than a turn's work, the event loop turns between two pieces of it, so that handshakes, probes and refusals
 * are not kept waiting. May import: core.
 */
import type { Clock } from '../src/core/clock.ts';

export interface WorkQueue {
  /**
   * Asks to be let in.
   *
   * @param bytes size of the body as its header says it, by which its cost is estimated; 0 where it does not say
   * @returns undefined when it would wait too long: refuse the request
   */
  enter(bytes: number): Place | undefined;
}

export interface Place {
  /** Runs the work now or in its turn; at most once. */
  run<T>(bytes: number, work: () => Promise<T>): Promise<T>;
  /** Gives the place back; after `run`, or when called again, it does nothing. */
  leave(): void;
}

/**
 * What may be in before the next one of its kind is refused, by kind.
 *
 * Large bodies are to be answered within 100 ms or refused. The estimate is of deciding alone; what TLS, HTTP and the way back add is as
 * much again, and collections of garbage and the bodies of those that are refused come in between: under overload an accepted one has
 * the processor to wait three times what is in before it (docs/performance.md). Middle ones are rolled out ten and more at a time.
 *
 * Ordinary pods come in bursts, when thousands are rolled out: an API server lets 200 requests go on at a time
 * (`--max-mutating-requests-inflight`), one that is sent away comes again after a second, finds the places taken by those that came later, and
 * fails at the fifth time. So they may wait, for a tenth of the webhook's time-out of 5 s at most.
 */
const WAIT_MS_MAX = { ordinary: 400, middle: 20, large: 10 } as const;
type Kind = keyof typeof WAIT_MS_MAX;
/** A pod of ten containers with forty variables each has some 30 KiB; most have less than a tenth of that. */
const ORDINARY_BYTES_MAX = 16 * 1024;
const MIDDLE_BYTES_MAX = 64 * 1024;
/** What a body that comes in chunks is taken for. */
const UNKNOWN_BYTES = 256 * 1024;
/** Work that may run in one turn of the loop before the rest has to queue: a healthy burst of small pods never queues. */
const TURN_MS_MAX = 5;
/** A body of 10 MiB needs less on a cluster's network; one that takes longer is not about to be work. */
const ARRIVAL_MS_MAX = 250;
/** Classes of sizes by powers of four from 4 KiB: what is learned of small bodies says nothing about large ones. */
const CLASSES = 8;
const FIRST_CLASS_BYTES = 4 * 1024;
/** First guess before anything was measured: a small review on one slow core, and the parsing of its bytes. */
const GUESS_MS = 0.3;
const GUESS_MS_PER_BYTE = 0.02 / 1024;
/**
 * Each measurement moves the estimate by this factor, up or down: it follows the median. A stall, a collection of garbage, a slice of time
 * that another process took in between count like any other measurement; a cost that is ten times as high is learned in fifty requests.
 */
const STEP = 1.05;
/** No estimate is below this, so that the length of the queue is bounded too: 430 ms / COST_MS_MIN = 8,600 requests. */
const COST_MS_MIN = 0.05;

/** An empty queue. */
export function createWorkQueue(options: { readonly clock: Pick<Clock, 'monotonic'> }): WorkQueue {
  return new TimedQueue(options.clock);
}

class TimedQueue implements WorkQueue {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #costsMs: number[];
  /** Who was let in and has not begun: estimated cost, oldest first. */
  readonly #arriving = new Map<Place, { readonly kind: Kind; readonly costMs: number; readonly untilMs: number }>();
  readonly #waiting: (() => void)[] = [];
  /** Estimated work of all that were let in and have not begun, by kind. */
  readonly #insideMs: Record<Kind, number> = { ordinary: 0, middle: 0, large: 0 };
  /** Estimated work of this turn of the event loop. */
  #turnMs = 0;
  #turn = 0;
  #isTurning = false;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
    this.#costsMs = Array.from(
      { length: CLASSES },
      (_, i) => GUESS_MS + FIRST_CLASS_BYTES * 4 ** i * GUESS_MS_PER_BYTE,
    );
  }

  enter(bytes: number): Place | undefined {
    const nowMs = this.#clock.monotonic();
    for (const [place, { untilMs }] of this.#arriving) {
      if (untilMs > nowMs) break;
      this.#forget(place);
    }
    const size = bytes > 0 ? bytes : UNKNOWN_BYTES;
    const costMs = this.#costOf(classOf(size));
    const kind = kindOf(size);
    const insideMs = this.#insideMs[kind];
    if (insideMs > 0 && insideMs + costMs > WAIT_MS_MAX[kind]) return undefined;
    const place: Place = {
      run: (size, work) => {
        this.#forget(place);
        return this.#run(size, kind, work);
      },
      leave: () => this.#forget(place),
    };
    this.#arriving.set(place, { kind, costMs, untilMs: nowMs + ARRIVAL_MS_MAX });
    this.#insideMs[kind] += costMs;
    return place;
  }

  #forget(place: Place): void {
    const known = this.#arriving.get(place);
    if (known === undefined) return;
    this.#arriving.delete(place);
    this.#take(known.kind, known.costMs);
  }

  #take(kind: Kind, costMs: number): void {
    // Sums of fractions drift: nobody there is nothing there.
    const isEmpty = this.#arriving.size === 0 && this.#waiting.length === 0;
    this.#insideMs[kind] = isEmpty ? 0 : Math.max(0, this.#insideMs[kind] - costMs);
  }

  #run<T>(bytes: number, kind: Kind, work: () => Promise<T>): Promise<T> {
    const size = classOf(bytes);
    const costMs = this.#costOf(size);
    if (this.#waiting.length === 0 && this.#turnMs < TURN_MS_MAX) return this.#start(size, costMs, work);
    this.#insideMs[kind] += costMs;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push(() => {
        this.#take(kind, costMs);
        this.#start(size, costMs, work).then(resolve, reject);
      });
    });
  }

  async #start<T>(size: number, costMs: number, work: () => Promise<T>): Promise<T> {
    this.#turnMs += costMs;
    if (!this.#isTurning) {
      this.#isTurning = true;
      setImmediate(() => this.#onTurn());
    }
    const turn = this.#turn;
    const startMs = this.#clock.monotonic();
    const result = await work();
    // Work that had to wait for the API server in between says nothing about what it costs us.
    if (turn === this.#turn) this.#learn(size, this.#clock.monotonic() - startMs);
    return result;
  }

  #costOf(size: number): number {
    return this.#costsMs[size] ?? GUESS_MS;
  }

  #learn(size: number, ms: number): void {
    const known = this.#costOf(size);
    this.#costsMs[size] = Math.max(COST_MS_MIN, ms > known ? known * STEP : known / STEP);
  }

  #onTurn(): void {
    this.#turn += 1;
    this.#turnMs = 0;
    this.#isTurning = false;
    this.#waiting.shift()?.();
  }
}

function kindOf(bytes: number): Kind {
  if (bytes <= ORDINARY_BYTES_MAX) return 'ordinary';
  return bytes <= MIDDLE_BYTES_MAX ? 'middle' : 'large';
}

function classOf(bytes: number): number {
  let size = 0;
  for (let bound = FIRST_CLASS_BYTES; bytes > bound && size < CLASSES - 1; bound *= 4) size += 1;
  return size;
}
