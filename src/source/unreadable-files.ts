/**
 * What cannot be read, told once for each name and reason, with who may read it and what would help.
 *
 * May import: core, node:.
 */
import { statSync } from 'node:fs';

import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';

/** Names that are remembered: more of them are told again and again, which is loud enough. */
const NAMES_MAX = 1_000;

export class UnreadableFiles {
  readonly #reasons = new Map<string, string>();
  readonly #log: Log;
  readonly #metrics: Metrics;

  constructor(options: { log: Log; metrics: Metrics }) {
    this.#log = options.log;
    this.#metrics = options.metrics;
  }

  /** System error codes by name, for /readyz. */
  get reasons(): ReadonlyMap<string, string> {
    return this.#reasons;
  }

  /** @param code the system's error code; @param text its own words */
  report(name: string, code: string, text?: string): void {
    if (this.#reasons.get(name) === code) return;
    if (this.#reasons.size < NAMES_MAX) this.#reasons.set(name, code);
    const hint = code === 'EACCES' ? 'let the app write files that the group of the pod (fsGroup) can read' : undefined;
    this.#metrics.counter('logtender_unreadable_files_total', 'Files or folders that could not be read.').add(1);
    this.#log.error('file cannot be read', { name, code, text, hint, ...ownership(name) });
  }

  /** It was read. */
  clear(name: string): void {
    this.#reasons.delete(name);
  }
}

function ownership(name: string): { mode?: string; uid?: number; gid?: number } {
  try {
    const { mode, uid, gid } = statSync(name);
    return { mode: (mode & 0o7777).toString(8).padStart(4, '0'), uid, gid };
  } catch {
    return {};
  }
}
