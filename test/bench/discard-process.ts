/**
 * The discard sink (discard-sink.ts) as a process of its own, so that its cost is not the forwarder's.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { DiscardOrders, DiscardReport } from './discard-sink.ts';

/** A run that takes longer is broken, not slow. */
export const RUN_MS_MAX = 900_000;

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
  const listening = nextReport(child, 'listening');
  const complete = nextReport(child, 'complete');
  // Whoever waits for it hears of it; a run that fails earlier must not fail twice.
  complete.catch(() => {});
  child.send(orders);
  return {
    port: (await listening).port,
    complete,
    count: async () => {
      const counted = nextReport(child, 'counted');
      child.send('count');
      return counted;
    },
    leave: async (absentMs) => {
      const left = nextReport(child, 'left');
      child.send({ absentMs });
      await left;
    },
    stop: () => {
      if (child.connected) child.disconnect();
    },
  };
}

async function nextReport<R extends DiscardReport['report']>(child: ChildProcess, report: R): Promise<Report<R>> {
  const signal = AbortSignal.timeout(RUN_MS_MAX);
  for (;;) {
    const [message] = (await once(child, 'message', { signal })) as [DiscardReport];
    if (isReport(message, report)) return message;
  }
}

function isReport<R extends DiscardReport['report']>(message: DiscardReport, report: R): message is Report<R> {
  return message.report === report;
}
