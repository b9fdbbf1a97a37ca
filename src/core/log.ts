/**
 * Our own log: one JSON object per line on stderr.
 *
 * The message is a constant lower-case phrase, everything variable is a field. ERROR means data was lost or an operator is
 * needed. Values of annotations, env and Secrets are never fields. May import: core.
 */
import type { Clock } from './clock.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined | readonly string[]>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds these fields to every line. */
  with(fields: LogFields): Log;
}

/** What JSON leaves as it is and a terminal or viewer obeys: DEL, the C1 controls (CSI among them), line separators, text direction. */
const UNSEEN = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

function visible(json: string): string {
  return json.replace(UNSEEN, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** A log that hands each finished line (with its newline) to `write`. Lines below `level` are not built. */
export function createLog(options: { clock: Clock; level: LogLevel; write: (line: string) => void }): Log {
  const at = (bound: LogFields): Log => {
    const emit = (level: LogLevel, message: string, fields: LogFields | undefined): void => {
      if (RANK[level] < RANK[options.level]) return;
      options.write(logLine(options.clock.now(), level, message, bound === NOTHING ? fields : { ...bound, ...fields }));
    };
    return {
      debug: (message, fields) => emit('debug', message, fields),
      info: (message, fields) => emit('info', message, fields),
      warn: (message, fields) => emit('warn', message, fields),
      error: (message, fields) => emit('error', message, fields),
      with: (fields) => at({ ...bound, ...fields }),
    };
  };
  return at(NOTHING);
}

const NOTHING: LogFields = {};

/** One line of the log, with its newline. */
export function logLine(timeMs: number, level: LogLevel, message: string, fields: LogFields | undefined): string {
  const time = new Date(timeMs).toISOString();
  // JSON.stringify escapes newlines and most control characters: no field can forge a second line.
  return `${visible(JSON.stringify({ time, level, message, ...fields }))}\n`;
}

/** A log that drops everything, for tests that look elsewhere. */
export const silentLog: Log = createLog({
  clock: { now: () => 0, monotonic: () => 0, sleep: async () => {} },
  level: 'error',
  write: () => {},
});
