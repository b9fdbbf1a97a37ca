/**
 * Follows the forwarder's own file while it runs: a newer one holds as a whole or not at all, and the last good one is kept.
 *
 * Invariants: what is wrong with a file is said once, in log, metric and /readyz; keys that a process keeps are named; a file waits while
 * there is an obstacle, and is looked at again every few seconds; nothing here touches a file or a sink. May import: core, config.
 */
import type { Clock } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { problemText, problemWithoutValue } from './fields.ts';
import type { Problem } from './fields.ts';
import { parseForwardFile, reloadOf } from './forward-file.ts';
import type { ForwardFile } from './forward-file.ts';
import { hostDefaults } from './forward-keys.ts';
import type { ForwarderConfig } from './forwarder-config.ts';
import { followFile, readText } from './followed-file.ts';
import type { FollowedFile } from './followed-file.ts';

/** A person who saves a file waits for its effect; a look at a small file costs next to nothing. */
const LOOK_EVERY_MS = 2_000;

type Env = Readonly<Record<string, string | undefined>>;

export interface ConfigSource {
  readonly env: Env;
  /** Name of the host. */
  readonly host: string;
}

export interface ConfigFollowerOptions extends ConfigSource {
  readonly path: string;
  /** What the process runs on. */
  readonly first: ForwardFile;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Why a newer configuration has to wait; undefined: it need not. */
  readonly obstacle: () => string | undefined;
  /** A newer configuration can be taken. */
  readonly onReady: () => void;
}

/** The file at start; what is wrong with it, as sentences for people. */
export async function loadForwardFile(
  path: string,
  { env, host }: ConfigSource,
): Promise<
  { readonly ok: true; readonly value: ForwardFile } | { readonly ok: false; readonly problems: readonly string[] }
> {
  let text: string;
  try {
    text = await readText(path);
  } catch (error) {
    return { ok: false, problems: [errorText(error)] };
  }
  const parsed = parseForwardFile(text, { env, defaults: hostDefaults(host) });
  return parsed.ok
    ? parsed
    : { ok: false, problems: parsed.problems.map((problem) => `${path}: ${problemText(problem)}`) };
}

export class ConfigFollower {
  readonly #options: ConfigFollowerOptions;
  readonly #log: Log;
  readonly #closing = new AbortController();
  #running: ForwardFile;
  #file: FollowedFile<ForwardFile> | undefined;
  #waiting: Promise<void> = Promise.resolve();
  /** The newest good file, not applied yet. */
  #wanted: ForwardFile | undefined;
  #isReady = false;
  #problem: string | undefined;
  #kept: readonly string[] = [];
  #saidObstacle: string | undefined;

  constructor(options: ConfigFollowerOptions) {
    this.#options = options;
    this.#log = options.log.with({ path: options.path });
    this.#running = options.first;
  }

  /** Begins to follow. A file that was changed or lost since the process read it is told of like a later change. */
  async start(): Promise<void> {
    const { path, clock } = this.#options;
    try {
      this.#file = await followFile<ForwardFile>({
        path,
        clock,
        everyMs: LOOK_EVERY_MS,
        parse: (text) => this.#parse(text),
        onChange: (file) => this.#offer(file),
        onProblem: (problem) => this.#refuse(problem),
      });
      this.#offer(this.#file.current());
    } catch (error) {
      this.#refuse(errorText(error));
    }
  }

  /** Whether `take` gives one. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** The configuration to run on next, once; undefined where there is none, or it has to wait. */
  take(): ForwarderConfig | undefined {
    if (!this.#isReady) return undefined;
    this.#isReady = false;
    // Whoever asked to stop has to go on: where the change was taken back since, with what it has.
    const reload = this.#wanted === undefined ? undefined : reloadOf(this.#running, this.#wanted);
    this.#wanted = undefined;
    if (reload === undefined) return this.#running.config;
    this.#log.info('configuration changes', { keys: reload.changed });
    this.#running = reload.file;
    return reload.file.config;
  }

  /** What `take` gave is in use. */
  applied(): void {
    this.#count('applied');
    this.#log.info('configuration is in use, positions are kept');
  }

  /** For /readyz: a file that is wrong is a reason, one that waits or needs a restart is a note. */
  check(): { readonly ok: true; readonly note?: string } | { readonly ok: false; readonly reason: string } {
    if (this.#problem !== undefined) return { ok: false, reason: `the last good file is in use: ${this.#problem}` };
    if (this.#saidObstacle !== undefined) return { ok: true, note: `a newer file waits: ${this.#saidObstacle}` };
    return this.#kept.length === 0 ? { ok: true } : { ok: true, note: `a restart will bring ${this.#kept.join(', ')}` };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#file?.close();
    await this.#waiting;
  }

  #parse(
    text: string,
  ): { readonly ok: true; readonly value: ForwardFile } | { readonly ok: false; readonly problem: string } {
    const { env, host } = this.#options;
    const parsed = parseForwardFile(text, { env, defaults: hostDefaults(host) });
    return parsed.ok ? parsed : { ok: false, problem: parsed.problems.map(shownToOthers).join('; ') };
  }

  #offer(file: ForwardFile): void {
    this.#problem = undefined;
    const reload = reloadOf(this.#running, file);
    if (reload === undefined) {
      this.#refuse('its keys fit together only after a restart');
      return;
    }
    this.#kept = reload.needsRestart;
    if (reload.needsRestart.length > 0)
      this.#log.warn('configuration has changes that take a restart', { keys: reload.needsRestart });
    this.#wanted = reload.changed.length === 0 ? undefined : file;
    if (this.#wanted !== undefined) this.#waiting = this.#waiting.then(() => this.#wait(file));
  }

  /** Until there is no obstacle, or a newer file came. */
  async #wait(file: ForwardFile): Promise<void> {
    const { clock, obstacle, onReady } = this.#options;
    while (this.#wanted === file && !this.#closing.signal.aborted) {
      const found = obstacle();
      if (found === undefined) {
        this.#saidObstacle = undefined;
        this.#isReady = true;
        onReady();
        return;
      }
      if (this.#saidObstacle === undefined) this.#log.warn('newer configuration has to wait', { reason: found });
      this.#saidObstacle = found;
      await clock.sleep(LOOK_EVERY_MS, this.#closing.signal);
    }
    this.#saidObstacle = undefined;
  }

  #refuse(problem: string): void {
    this.#problem = problem;
    this.#wanted = undefined;
    this.#count('refused');
    this.#log.error('newer configuration is wrong, the last good one stays in use', { problem });
  }

  #count(result: 'applied' | 'refused'): void {
    this.#options.metrics
      .counter('logtender_config_reloads_total', "Changes of the forwarder's own file.")
      .add(1, { result });
  }
}

/** Logs and /readyz are read by others than whoever wrote the file. */
function shownToOthers(problem: Problem): string {
  return problemWithoutValue(problem);
}
