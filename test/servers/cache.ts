/**
 * The folder outside the checkout where built and downloaded servers live, keyed by what they are made from.
 *
 * Invariants: an entry appears whole or not at all (built in a folder of its own, then renamed); two runs do not build the same
 * entry at once; entries that nobody used for a month are removed when a new one of the same name is built.
 * May import: node:, src/core.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';

/** The slowest build (Kubernetes) takes 8 CPU minutes; a machine five times slower still gets there. */
const LOCK_WAIT_MS_MAX = 45 * 60_000;
const LOCK_POLL_MS = 500;
/** The holder touches its lock this often; a lock that is older than STALE is left over from a dead process. */
const LOCK_TOUCH_MS = 5_000;
const LOCK_STALE_MS = 30_000;
const UNUSED_MS_MAX = 30 * 24 * 60 * 60_000;

export interface Preparation {
  /** Folder of the cache, see `cacheRoot`. */
  readonly cache: string;
  /** Told once per step that takes long. */
  readonly progress: (line: string) => void;
}

/** The user's cache folder, with progress on stderr. */
export function defaultPreparation(): Preparation {
  return { cache: cacheRoot(), progress: (line) => process.stderr.write(`${line}\n`) };
}

export interface Entry {
  /** What it is, as a folder name: `kubernetes`. */
  readonly name: string;
  /** Everything that the content depends on; another key is another entry. */
  readonly key: string;
}

/** `$LOGTENDER_CACHE`, else `logtender` in `$XDG_CACHE_HOME`, else in `~/.cache` (XDG Base Directory Specification). */
export function cacheRoot(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const own = env['LOGTENDER_CACHE'];
  if (own !== undefined && own !== '') return own;
  const xdg = env['XDG_CACHE_HOME'];
  return join(xdg !== undefined && xdg !== '' ? xdg : join(homedir(), '.cache'), 'logtender');
}

/** A key over texts: 16 hexadecimal characters of SHA-256. The border between two parts counts. */
export function cacheKey(...parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:${part}`);
  return hash.digest('hex').slice(0, 16);
}

/** The folder of an entry that is there already, else undefined. Marks it as used. */
export function findCached(root: string, entry: Entry): string | undefined {
  const folder = join(root, `${entry.name}-${entry.key}`);
  if (!existsSync(folder)) return undefined;
  const now = new Date(systemClock.now());
  try {
    utimesSync(folder, now, now);
  } catch {
    // A cache that somebody else owns may be read-only; then nobody prunes it either.
  }
  return folder;
}

/**
 * The folder of an entry, built now if it is not there.
 *
 * @param build fills the empty folder that it is given; when it rejects, nothing of the entry remains
 */
export async function cached(root: string, entry: Entry, build: (folder: string) => Promise<void>): Promise<string> {
  const found = findCached(root, entry);
  if (found !== undefined) return found;
  mkdirSync(root, { recursive: true });
  const unlock = await lock(join(root, `${entry.name}-${entry.key}.lock`));
  try {
    const meanwhile = findCached(root, entry);
    if (meanwhile !== undefined) return meanwhile;
    const folder = join(root, `${entry.name}-${entry.key}`);
    const unfinished = join(root, `${entry.name}-${entry.key}.tmp-${process.pid}`);
    removeUnfinished(root, entry);
    mkdirSync(unfinished, { recursive: true });
    try {
      await build(unfinished);
      await rename(unfinished, folder);
    } finally {
      rmSync(unfinished, { recursive: true, force: true });
    }
    prune(root, entry);
    return folder;
  } finally {
    unlock();
  }
}

/** Takes the lock file, waiting for another holder; the returned function gives it back. */
async function lock(path: string): Promise<() => void> {
  const deadline = systemClock.monotonic() + LOCK_WAIT_MS_MAX;
  while (!tryLock(path)) {
    if (systemClock.monotonic() > deadline)
      throw new Error(`lock ${path}: expected it free within 45 min, got it held`);
    await systemClock.sleep(LOCK_POLL_MS);
  }
  const touch = setInterval(() => {
    const now = new Date(systemClock.now());
    try {
      utimesSync(path, now, now);
    } catch {
      // Taken over by somebody who thought us dead (a suspended machine): both build, which is only slow.
    }
  }, LOCK_TOUCH_MS);
  touch.unref();
  return () => {
    clearInterval(touch);
    rmSync(path, { force: true });
  };
}

function tryLock(path: string): boolean {
  try {
    writeFileSync(path, `${process.pid}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  const stat = statSync(path, { throwIfNoEntry: false });
  // Two waiters may both find it stale and both go on: then both build, and the second rename replaces nothing but work.
  if (stat !== undefined && systemClock.now() - stat.mtimeMs > LOCK_STALE_MS) rmSync(path, { force: true });
  return false;
}

/** What a killed build left behind. Only called with the lock held. */
function removeUnfinished(root: string, entry: Entry): void {
  for (const name of readdirSync(root)) {
    if (name.startsWith(`${entry.name}-${entry.key}.tmp-`)) rmSync(join(root, name), { recursive: true, force: true });
  }
}

function prune(root: string, entry: Entry): void {
  for (const name of readdirSync(root)) {
    const path = join(root, name);
    const other = name.startsWith(`${entry.name}-`) && name !== `${entry.name}-${entry.key}` && !name.endsWith('.lock');
    if (other && systemClock.now() - statSync(path).mtimeMs > UNUSED_MS_MAX)
      rmSync(path, { recursive: true, force: true });
  }
}
