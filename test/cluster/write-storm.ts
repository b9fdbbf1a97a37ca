/**
 * A writer that touches objects all the time, so that a compare-and-swap of somebody else is a conflict more often than not.
 *
 * It changes one annotation and nothing else. May import: src.
 */
import type { Clock } from '../../src/core/clock.ts';
import type { KubeClient } from '../../src/kube/client.ts';

export interface WriteStorm {
  /** Writes that were taken. */
  writes(): number;
  stop(): Promise<void>;
}

/** Touches each of the objects at these paths, with this pause between two writes of one. Starts at once. */
export function startStorm(options: {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly paths: readonly string[];
  readonly pauseMs: number;
}): WriteStorm {
  const { client, clock, paths, pauseMs } = options;
  const ended = new AbortController();
  let writes = 0;
  const run = async (path: string): Promise<void> => {
    for (let n = 0; !ended.signal.aborted; n += 1) {
      const body = { metadata: { annotations: { 'test.invalid/touched': String(n) } } };
      const result = await client.patch(path, body, 'application/merge-patch+json');
      // An object that is away for a moment is touched again when it is back.
      if (result.ok) writes += 1;
      await clock.sleep(pauseMs, ended.signal);
    }
  };
  const done = Promise.all(paths.map(run));
  return {
    writes: () => writes,
    stop: async () => {
      ended.abort();
      await done;
    },
  };
}
