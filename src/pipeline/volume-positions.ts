/**
 * Where the positions are kept: with the pod, or beside the logs on a volume that outlives it.
 *
 * Invariant: what this pod's containers wrote is never passed over, even where the volume cannot be written. May import: core, config,
 * node:, pipeline.
 */
import { stat } from 'node:fs/promises';

import type { ForwarderConfig } from '../config/forwarder-config.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { PositionClaim } from './position-claim.ts';
import type { StateFiles } from './state-files.ts';

/** Undefined members: positions are kept in the pod's own folder. */
export interface Positions {
  /** The folder beside the logs. */
  readonly files?: StateFiles;
  readonly claim?: PositionClaim;
  /** Files that were last written before this begin at their end: an earlier pod shipped them. Milliseconds since the epoch. */
  readonly olderThanMs?: number;
  /** Why the volume does not keep the positions. */
  readonly problem?: string;
}

/**
 * Takes the positions of the volume, waiting for another pod that has them. Undefined when the end came first. Never rejects.
 *
 * @param options.onWait told what it waits for
 * @param options.onLost another pod took over later
 */
export async function openPositions(
  config: ForwarderConfig,
  options: {
    clock: Clock;
    log: Log;
    signal: AbortSignal;
    onWait: (reason: string) => void;
    onLost: () => void;
  },
): Promise<Positions | undefined> {
  const { positionsDir: folder, stateDir, pod } = config;
  // Who waits for the positions of the files would keep back its own stdout and stderr.
  if (folder === undefined || config.stdio !== undefined) return {};
  const { clock, log, signal, onWait, onLost } = options;
  const claim = new PositionClaim({ folder, pod: pod.pod, uid: pod.uid, clock, log });
  const taken = await claim.take(signal, onWait, onLost);
  if (taken.kind === 'ended') return undefined;
  if (taken.kind === 'held') return { files: claim.files(), claim };
  const olderThanMs = await madeMs(stateDir);
  const problem = `positions cannot be kept on the volume (${taken.text}), files older than the pod begin at their end`;
  log.error('positions cannot be kept on the volume, files older than the pod begin at their end', {
    folder,
    error: taken.text,
    older_than: new Date(olderThanMs).toISOString(),
  });
  return { olderThanMs, problem };
}

/** The pod's own folder is made before its first container starts. Where its time of birth is not known nothing counts as older. */
async function madeMs(stateDir: string): Promise<number> {
  try {
    const { birthtimeMs } = await stat(stateDir);
    return Math.max(0, birthtimeMs);
  } catch {
    return 0;
  }
}
