/**
 * Credentials from the files of a mounted Secret, read again when they change.
 *
 * A mounted Secret changes by a swap of a symbolic link, so files are looked at by size, inode and time behind the link, at most
 * once in RECHECK_MS. A missing folder or file is an absent value, never an error: the Secret is optional. Values stay in memory
 * and never reach a log. May import: core, config.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';

/** A new password is used within this time; the kubelet itself takes up to a minute to bring it. */
const RECHECK_MS = 10_000;

/** Longest value: a Secret holds 1 MiB in all, a bundle of a hundred CAs fits into a quarter of it. */
const VALUE_BYTES_MAX = 256 * 1024;

export interface SecretValues {
  /** Rises whenever a value changed: the sign to build clients anew. */
  readonly version: number;
  /** The value of a key without white space around it; undefined when the file is absent, empty or too long. */
  readonly value: (key: string) => string | undefined;
}

export interface SecretFiles {
  read(): Promise<SecretValues>;
}

/**
 * @param options.dir the folder, one file per key
 * @param options.keys the files to read
 */
export function createSecretFiles(options: { dir: string; keys: readonly string[]; clock: Clock }): SecretFiles {
  const { dir, keys, clock } = options;
  let values: ReadonlyMap<string, string> = new Map();
  let version = 0;
  let signature: string | undefined;
  let checkedMs = Number.NEGATIVE_INFINITY;
  return {
    read: async () => {
      if (clock.monotonic() - checkedMs >= RECHECK_MS) {
        checkedMs = clock.monotonic();
        const seen = (await Promise.all(keys.map((key) => fileSignature(join(dir, key))))).join('\n');
        if (seen !== signature) {
          const entries = await Promise.all(keys.map(async (key) => [key, await readValue(join(dir, key))] as const));
          values = new Map(entries.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])));
          signature = seen;
          version += 1;
        }
      }
      const current = values;
      return { version, value: (key) => current.get(key) };
    },
  };
}

async function fileSignature(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    // Absent or unreadable: both read as no value, and both change the signature when they end.
    return '';
  }
}

async function readValue(path: string): Promise<string | undefined> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    return text === '' || text.length > VALUE_BYTES_MAX ? undefined : text;
  } catch {
    return undefined;
  }
}
