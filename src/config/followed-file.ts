/**
 * A small file that is read again when its content changes: a mounted Secret or ConfigMap.
 *
 * Invariants: what was handed out was accepted by the owner; a file that cannot be read or is refused changes nothing and is told once.
 * Content is compared, not times: the kubelet swaps a symlink, and the new files may bear old times. May import: core, config.
 */
import { readFile } from 'node:fs/promises';

import type { Clock } from '../core/clock.ts';
import { errorText, OperationalError } from '../core/errors.ts';
import { KiB } from '../core/limits.ts';

export interface FollowedFileOptions<T> {
  readonly path: string;
  readonly clock: Clock;
  /** Milliseconds between two looks. The kubelet itself takes a minute to bring a change. */
  readonly everyMs: number;
  /** The text as a value, or what is wrong with it, as "expected X, got Y" without the content. */
  readonly parse: (text: string) => { readonly ok: true; readonly value: T } | { readonly ok: false; problem: string };
  readonly onChange: (value: T) => void;
  /** A newer content was not taken. */
  readonly onProblem: (text: string) => void;
}

export interface FollowedFile<T> {
  readonly current: () => T;
  readonly close: () => Promise<void>;
}

/** The largest object that a ConfigMap or Secret can be is 1 MiB. */
const BYTES_MAX = 1024 * KiB;

/**
 * Reads the file, and goes on looking at it until it is closed.
 *
 * @throws OperationalError CONFIG_INVALID when the first reading fails
 */
export async function followFile<T>(options: FollowedFileOptions<T>): Promise<FollowedFile<T>> {
  const { path, clock, everyMs, parse, onChange, onProblem } = options;
  const closing = new AbortController();
  let text = await readText(path);
  const first = parse(text);
  if (!first.ok) throw new OperationalError('CONFIG_INVALID', `read ${path}: ${first.problem}`);
  let current = first.value;
  let told = '';
  const complain = (problem: string): void => {
    if (problem !== told) onProblem(problem);
    told = problem;
  };
  const look = async (): Promise<void> => {
    let found: string;
    try {
      found = await readText(path);
    } catch (error) {
      return complain(errorText(error));
    }
    if (found === text) {
      told = '';
      return;
    }
    const parsed = parse(found);
    if (!parsed.ok) return complain(`read ${path}: ${parsed.problem}`);
    text = found;
    told = '';
    current = parsed.value;
    onChange(current);
  };
  const run = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(everyMs, closing.signal);
      if (closing.signal.aborted) return;
      await look();
    }
  };
  const ended = run();
  return {
    current: () => current,
    close: () => {
      closing.abort();
      return ended;
    },
  };
}

/**
 * The whole of a small file.
 *
 * @throws OperationalError CONFIG_INVALID when it cannot be read or is larger than such a file can be
 */
export async function readText(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new OperationalError('CONFIG_INVALID', `read ${path}: expected a file, got: ${errorText(error)}`);
  }
  if (bytes.length <= BYTES_MAX) return bytes.toString('utf8');
  throw new OperationalError(
    'CONFIG_INVALID',
    `read ${path}: expected at most ${BYTES_MAX} bytes, got ${bytes.length}`,
  );
}
