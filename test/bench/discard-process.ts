/**
 * The discard sink (discard-sink.ts) as a process of its own, so that its cost is not the forwarder's.
 */
import { fork } from 'node:child_process';
import type { EventEmitter } from 'node:events';
import { join } from 'node:path';
import type { DiscardOrders, DiscardReport } from './discard-sink.ts';

/** A run that takes longer is broken, not slow. */
export const RUN_MS_MAX = 900_000;
/** For everything but the end of a run: what the sink says at once, behind a body of lines that it may be counting. */
const ANSWER_MS_MAX = 30_000;

type Report<R extends DiscardReport['report']> = Extract<DiscardReport, { report: R }>;

export interface DiscardProcess {
  readonly port: number;
  /** Resolves when every line has come. */
  readonly complete: Promise<Report<'complete'>>;
  /** The counts as they stand. */
  count(): Promise<Report<'counted'>>;
  /** Goes away for so long; resolves when it is gone. */
  leave(absentMs: number): Promise<void>;
  stop(): void;
}

export async function startDiscardSink(orders: DiscardOrders): Promise<DiscardProcess> {
  const child = fork(join(import.meta.dirname, 'discard-sink.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const reports = new Reports(child);
  const listening = reports.next('listening', orders.absentMs + ANSWER_MS_MAX);
  const complete = reports.next('complete', RUN_MS_MAX);
  // Whoever waits for it hears of it; a run that fails earlier must not fail twice.
  complete.catch(() => {});
  child.send(orders);
  return {
    port: (await listening).port,
    complete,
    count: async () => {
      const counted = reports.next('counted', ANSWER_MS_MAX);
      child.send('count');
      return counted;
    },
    leave: async (absentMs) => {
      const left = reports.next('left', ANSWER_MS_MAX);
      child.send({ absentMs });
      await left;
    },
    stop: () => {
      if (child.connected) child.disconnect();
    },
  };
}

interface Waiting {
  readonly report: DiscardReport['report'];
  resolve(message: DiscardReport): void;
  reject(error: Error): void;
}

/**
 * What the sink reports, told to whoever waits for it.
 *
 * One listener for the whole life: two reports that come in one read of the channel are emitted one right after the other, and a listener that is
 * set up anew between them misses the second.
 */
export class Reports {
  readonly #waiting = new Set<Waiting>();

  /** @param child emits `message` per report and `exit` when it has ended */
  constructor(child: EventEmitter) {
    child.on('message', (message: DiscardReport) => {
      const first = [...this.#waiting].find(({ report }) => report === message.report);
      if (first === undefined) return;
      this.#waiting.delete(first);
      first.resolve(message);
    });
    child.once('exit', (code: number | null, signal: string | null) => {
      for (const { report, reject } of this.#waiting)
        reject(new Error(`the discard sink ended with ${String(signal ?? code)} before it reported '${report}'`));
    });
  }

  /** The next report of a kind. Rejects when the sink ends before, or when the time is over. */
  next<R extends DiscardReport['report']>(report: R, msMax: number): Promise<Report<R>> {
    const { promise, resolve, reject } = Promise.withResolvers<DiscardReport>();
    const waiting: Waiting = { report, resolve, reject };
    this.#waiting.add(waiting);
    const timer = setTimeout(
      () => reject(new Error(`the discard sink did not report '${report}' within ${msMax} ms`)),
      msMax,
    );
    const done = promise.then((message) => {
      if (isReport(message, report)) return message;
      throw new TypeError(`waited for '${report}', got '${message.report}'`);
    });
    return done.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(waiting);
    });
  }
}

function isReport<R extends DiscardReport['report']>(message: DiscardReport, report: R): message is Report<R> {
  return message.report === report;
}
