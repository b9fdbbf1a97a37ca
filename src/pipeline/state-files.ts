/**
 * The few files of the state folder behind a port, so that tests can cut the power.
 *
 * Every call rejects with the system's error. May import: core, node:.
 */
import { writeSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { KiB } from '../core/limits.ts';

/** What `scan` has in memory: one read of a disk is hardly larger. */
export const SCAN_BYTES = 64 * KiB;

export interface StateFiles {
  /** The whole file; undefined when there is none. */
  read(name: string): Promise<Buffer | undefined>;
  /** Gives the file from its beginning in chunks of at most SCAN_BYTES, each valid during the call; nothing when there is none. */
  scan(name: string, onChunk: (chunk: Buffer) => void): Promise<void>;
  /** Puts the content in place of the file: afterwards it is there as a whole and on the disk, or the old one is. */
  replace(name: string, content: Buffer): Promise<void>;
  /** Adds to the end. Not on the disk before `sync`. */
  append(name: string, content: Buffer): Promise<void>;
  sync(name: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  close(): Promise<void>;
}

/** Files of a folder, which is made when it is not there. Mode 0600: dead letters hold log lines. */
export function nodeStateFiles(folder: string): StateFiles {
  const handles = new Map<string, FileHandle>();
  const release = async (name: string): Promise<void> => {
    const handle = handles.get(name);
    handles.delete(name);
    await handle?.close();
  };
  const syncFolder = async (): Promise<void> => {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  };
  const appending = async (name: string): Promise<FileHandle> => {
    const known = handles.get(name);
    if (known !== undefined) return known;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const handle = await open(join(folder, name), 'a', 0o600);
    handles.set(name, handle);
    return handle;
  };
  return {
    read: async (name) => {
      try {
        return await readFile(join(folder, name));
      } catch (error) {
        if (isAbsent(error)) return undefined;
        throw error;
      }
    },
    scan: async (name, onChunk) => {
      let handle: FileHandle;
      try {
        handle = await open(join(folder, name), 'r');
      } catch (error) {
        if (isAbsent(error)) return;
        throw error;
      }
      try {
        const buffer = Buffer.allocUnsafe(SCAN_BYTES);
        for (;;) {
          const { bytesRead } = await handle.read(buffer);
          if (bytesRead === 0) return;
          onChunk(buffer.subarray(0, bytesRead));
        }
      } finally {
        await handle.close();
      }
    },
    replace: async (name, content) => {
      await release(name);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const temporary = join(folder, `${name}.tmp`);
      try {
        const handle = await open(temporary, 'w', 0o600);
        try {
          await handle.writeFile(content);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await rename(temporary, join(folder, name));
      } catch (error) {
        // On a full disk half a file would keep the room that the next try needs.
        await rm(temporary, { force: true }).catch(() => {});
        throw error;
      }
      await syncFolder();
    },
    append: async (name, content) => {
      const { fd } = await appending(name);
      // In this thread: a few hundred bytes into the page cache take less than telling another thread of them, and it happens for each batch.
      for (let at = 0; at < content.length;) at += writeSync(fd, content, at);
    },
    sync: async (name) => {
      await (await appending(name)).datasync();
    },
    rename: async (from, to) => {
      await release(from);
      await release(to);
      await rm(join(folder, to), { force: true });
      await rename(join(folder, from), join(folder, to));
      await syncFolder();
    },
    close: async () => {
      for (const name of handles.keys()) await release(name);
    },
  };
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
