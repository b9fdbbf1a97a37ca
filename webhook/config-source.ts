/**
 * The operator's configuration while the process runs: read again when its file changes, taken as a whole or not at all.
 *
 * Invariants: what is in use was right when it was read; a file that is wrong or gone changes nothing but what is said about it; a key
 * that takes a restart keeps the value of the start, and that is said too; each change is told once; no value of the file is told, not
 * even a wrong one, only its keys and what was expected there. The file is looked at on every hint of the watch and every POLL_MS besides: kubelets swap the `..data` link of a
 * mounted ConfigMap (kubernetes.io, "Mounted ConfigMaps are updated automatically"), and a watch can be lost. May import: core, config.
 */
import { watch } from 'node:fs';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import { WEBHOOK_KEYS } from '../src/config/config-keys.ts';
import { problemWithoutValue } from '../src/config/fields.ts';
import type { Parsed, Problem } from '../src/config/fields.ts';
import { readText } from '../src/config/followed-file.ts';
import type { WebhookConfig } from '../src/config/webhook-config.ts';
import type { Clock } from '../src/core/clock.ts';
import { errorText } from '../src/core/errors.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';

/** What people are told about the configuration, beside the log. */
export interface ConfigNotice {
  readonly kind: 'refused' | 'restart_needed';
  readonly text: string;
}

/** The file as the process sees it. */
export interface ConfigFile {
  /** Rejects when it cannot be read. */
  read(): Promise<string>;
  /** Calls back when something near the file changed; gives the function that ends that. Hints may be lost or come for nothing. */
  watch(onHint: () => void): () => void;
}

export interface ConfigSource {
  /** What is in use. Ask once per request, so that a request knows one configuration. */
  current(): WebhookConfig;
  /** For /readyz: a wrong file is no reason to be out of service, but it is worth a line. */
  note(): string | undefined;
  close(): Promise<void>;
}

export interface ConfigSourceOptions {
  /** What the process started with, and the text that it was read from. */
  readonly started: { readonly config: WebhookConfig; readonly text: string };
  readonly file: ConfigFile;
  readonly parse: (text: string) => Parsed<WebhookConfig>;
  readonly tell: (notice: ConfigNotice) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** The kubelet itself takes up to a minute to swap a ConfigMap; ten seconds more are not noticed, and cost one read of a small file. */
const POLL_MS = 10_000;
/** A file that an editor is still writing is read as two different texts. */
const SETTLE_MS = 200;
/** A reason of our own: without one each abort would make an error with a stack. */
const HINT = 'hint';
/** Problems in one log line; the rest is counted. */
const PROBLEMS_LOGGED_MAX = 20;

/** Keys whose change takes a restart. */
const RESTART_KEYS = Object.entries(WEBHOOK_KEYS).flatMap(([key, { needsRestart }]) =>
  needsRestart && !key.includes('.') ? [key] : [],
);

/** Follows the file; starts at once. */
export function createConfigSource(options: ConfigSourceOptions): ConfigSource {
  return new FollowedConfig(options);
}

/** The file at a path. Its folder is watched, because a swap of links leaves a watch of the file itself behind. */
export function configFileAt(path: string): ConfigFile {
  return {
    read: () => readText(path),
    watch: (onHint) => {
      try {
        const watcher = watch(dirname(path), { persistent: false }, onHint);
        // A folder that went away or a system without watches: the poll goes on.
        watcher.on('error', () => watcher.close());
        return () => watcher.close();
      } catch {
        return () => {};
      }
    },
  };
}

class FollowedConfig implements ConfigSource {
  readonly #options: ConfigSourceOptions;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  readonly #unwatch: () => void;
  #current: WebhookConfig;
  #text: string;
  #note: string | undefined;
  #restartKeys = '';
  #hint = new AbortController();

  constructor(options: ConfigSourceOptions) {
    this.#options = options;
    this.#current = options.started.config;
    this.#text = options.started.text;
    this.#show();
    this.#gauge(
      'logtender_config_bad_since_timestamp_seconds',
      'Since when the file is wrong, Unix time; 0 when it is not.',
    ).set(0);
    this.#showRestart('');
    this.#unwatch = options.file.watch(() => {
      // Each abort makes an event, whoever listens; a folder may change a thousand times a second.
      if (!this.#hint.signal.aborted) this.#hint.abort(HINT);
    });
    this.#done = this.#run();
  }

  current(): WebhookConfig {
    return this.#current;
  }

  note(): string | undefined {
    return this.#note;
  }

  async close(): Promise<void> {
    this.#stop.abort(HINT);
    this.#hint.abort(HINT);
    this.#unwatch();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#stop.signal.aborted) {
      await clock.sleep(POLL_MS, this.#hint.signal);
      // Hints come in swarms; each look answers all of those before it.
      await clock.sleep(SETTLE_MS, this.#stop.signal);
      this.#hint = new AbortController();
      if (this.#stop.signal.aborted) return;
      await this.#look();
    }
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { file, clock } = this.#options;
    try {
      const text = await file.read();
      if (text === this.#text) return;
      await clock.sleep(SETTLE_MS, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      // Still being written: the next hint or poll sees it whole.
      if ((await file.read()) !== text) return this.#hint.abort(HINT);
      this.#text = text;
      this.#take(text);
    } catch (error) {
      this.#unreadable(errorText(error));
    }
  }

  #take(text: string): void {
    const parsed = this.#options.parse(text);
    if (!parsed.ok) return this.#refuse(parsed.problems);
    const { log } = this.#options;
    const { config: started } = this.#options.started;
    const before = this.#current;
    const kept = RESTART_KEYS.filter((key) => !isSame(key, parsed.value, started));
    this.#current = { ...parsed.value, ...Object.fromEntries(RESTART_KEYS.map((key) => [key, valueOf(started, key)])) };
    this.#show();
    this.#note = undefined;
    this.#badSince(false);
    this.#count('applied');
    log.info('configuration applied', {
      changed: Object.keys(WEBHOOK_KEYS).filter((key) => !key.includes('.') && !isSame(key, this.#current, before)),
    });
    this.#showRestart(kept.join(', '));
  }

  #refuse(problems: readonly Problem[]): void {
    const { log, tell } = this.#options;
    const texts = problems.map(problemWithoutValue);
    const more = problems.length > PROBLEMS_LOGGED_MAX ? { more: problems.length - PROBLEMS_LOGGED_MAX } : {};
    log.error('configuration refused, the last good one stays in use', {
      problems: texts.slice(0, PROBLEMS_LOGGED_MAX),
      ...more,
    });
    this.#count('refused');
    this.#badSince(true);
    this.#note = `the file is wrong, the last good configuration is in use: ${texts[0] ?? ''}${
      texts.length > 1 ? ` (and ${texts.length - 1} more)` : ''
    }`;
    tell({ kind: 'refused', text: `webhook.yaml is wrong, the last good one stays in use: ${texts.join('; ')}` });
  }

  /** Said once; a file that comes back unchanged ends it. */
  #unreadable(text: string): void {
    const note = `the file cannot be read, the last good configuration is in use: ${text}`;
    if (this.#note === note) return;
    this.#options.log.error('configuration unreadable, the last good one stays in use', { error: text });
    this.#count('unreadable');
    this.#badSince(true);
    this.#note = note;
    // Whatever is read next is news.
    this.#text = '\0';
  }

  #showRestart(keys: string): void {
    const { log, tell } = this.#options;
    this.#gauge(
      'logtender_config_restart_needed',
      '1 when the file differs from what is in use in a key that takes a restart.',
    ).set(keys === '' ? 0 : 1);
    if (keys === this.#restartKeys) return;
    this.#restartKeys = keys;
    if (keys === '') return;
    log.warn('configuration needs a restart', { keys });
    tell({
      kind: 'restart_needed',
      text: `${keys}: a change takes a restart of the webhook: kubectl rollout restart deployment`,
    });
  }

  #show(): void {
    const { metrics, clock } = this.#options;
    metrics.gauge('logtender_paused', '1 while injection is paused.').set(this.#current.paused ? 1 : 0);
    const help = 'When the configuration in use was read, Unix time.';
    this.#gauge('logtender_config_last_success_timestamp_seconds', help).set(clock.now() / 1000);
  }

  #badSince(isBad: boolean): void {
    const gauge = this.#gauge(
      'logtender_config_bad_since_timestamp_seconds',
      'Since when the file is wrong, Unix time; 0 when it is not.',
    );
    if (!isBad) gauge.set(0);
    else if (this.#note === undefined) gauge.set(this.#options.clock.now() / 1000);
  }

  #gauge(name: string, help: string): ReturnType<Metrics['gauge']> {
    return this.#options.metrics.gauge(name, help);
  }

  #count(result: 'applied' | 'refused' | 'unreadable'): void {
    const help = 'Changes of the configuration file, by what became of them.';
    this.#options.metrics.counter('logtender_config_reloads_total', help).add(1, { result });
  }
}

function valueOf(config: WebhookConfig, key: string): unknown {
  return Object.entries(config).find(([name]) => name === key)?.[1];
}

function isSame(key: string, a: WebhookConfig, b: WebhookConfig): boolean {
  return isDeepStrictEqual(valueOf(a, key), valueOf(b, key));
}
