/**
 * The logs of all containers of our pod, followed through the API into spill logs.
 *
 * May import: core, config, source.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Clock, Random } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { StdioFeed } from '../stdio.ts';
import { ContainerLog } from './container-log.ts';
import type { OpenLog } from './log-request.ts';
import { SeenLines } from './seen-lines.ts';
import { SpillLog } from './spill-log.ts';
import { readTime } from './timed-line.ts';

/** Beside the spill log: the time of the first line of the file that was read last. */
const FIRST_FILE = 'first';

export interface FeedOptions {
  readonly containers: readonly string[];
  /** One folder a container below it. */
  readonly folder: string;
  readonly open: OpenLog;
  /** How long the containers that are still at work at the end are followed, in milliseconds: a plain sidecar ends together with them. */
  readonly endWaitMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly idleMs?: number;
}

/** Nothing is asked before `start`. A spill log that cannot be opened costs its container alone, and is told. */
export function createPodLogFeed(options: FeedOptions): StdioFeed {
  const logs = new Map<string, { readonly spill: SpillLog; readonly log: ContainerLog }>();
  const broken: string[] = [];
  const atWork: Promise<void>[] = [];
  for (const container of options.containers) {
    try {
      logs.set(container, openContainer(container, options));
    } catch (error) {
      broken.push(`${container}: ${errorText(error)}`);
      options.log.error('spill log cannot be opened, stdout and stderr are not shipped', {
        container,
        error: errorText(error),
      });
    }
  }
  const all = (): readonly ContainerLog[] => [...logs.values()].map(({ log }) => log);
  return {
    isComplete: () => all().every(({ isDone }) => isDone),
    problem: () => {
      const problems = [...broken, ...all().flatMap(({ problem }) => problem ?? [])];
      return problems.length === 0 ? undefined : problems.slice(0, 10).join('; ');
    },
    isDispensable: (name) => [...logs.values()].some(({ spill }) => spill.isDispensable(name)),
    start: () => {
      for (const log of all())
        atWork.push(
          log.run().catch((error: unknown) => {
            broken.push(errorText(error));
            log.isDone = true;
            options.log.error('following a log failed', { error: errorText(error) });
          }),
        );
    },
    end: (signal) => {
      for (const log of all()) log.end();
      void options.clock.sleep(options.endWaitMs, signal).then(() => all().forEach((log) => log.cut()));
      signal.addEventListener('abort', () => all().forEach((log) => log.stop()), { once: true });
    },
    close: async () => {
      for (const log of all()) log.stop();
      await Promise.all(atWork);
      for (const { spill } of logs.values()) spill.close();
    },
  };
}

function openContainer(container: string, options: FeedOptions): { spill: SpillLog; log: ContainerLog } {
  const folder = join(options.folder, container);
  const spill = new SpillLog({ folder });
  const { lines, damaged, tornBytes } = spill.open();
  const { log, metrics } = options;
  if (tornBytes > 0) log.info('torn end of a spill log was cut away', { container, bytes: tornBytes });
  if (damaged > 0) {
    log.error('spill log is damaged', { container, lines: damaged });
    metrics
      .counter('logtender_stdio_damaged_lines_total', 'Lines of a spill log whose checksum is wrong.')
      .add(damaged);
  }
  const seen = new SeenLines();
  for (const line of lines) seen.note(line);
  const path = join(folder, FIRST_FILE);
  const keepFirst = (first: string): void => {
    try {
      writeFileSync(`${path}.new`, first);
      renameSync(`${path}.new`, path);
    } catch (error) {
      // A restart then may tell of a gap that is none.
      log.warn('first line of a log cannot be kept', { container, error: errorText(error) });
    }
  };
  return { spill, log: new ContainerLog({ ...options, container, spill, seen, first: readFirst(path), keepFirst }) };
}

function readFirst(path: string): string | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    return readTime(Buffer.from(text)) === undefined ? undefined : text;
  } catch {
    return undefined;
  }
}
