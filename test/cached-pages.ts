/**
 * What of a file is in the page cache, and where on this machine that can be told.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/core/clock.ts';
import { MiB } from '../src/core/limits.ts';
import { silentLog } from '../src/core/log.ts';
import { PageCache } from '../src/source/page-cache.ts';
import type { SourceFile } from '../src/source/source-file.ts';

/** Why a suite is skipped that needs `folderThatDrops`. */
export const NO_CACHED_PAGES = 'page cache: no fincore(1), or file systems that keep their pages';

/** Bytes, as fincore(1) of util-linux says. */
export function cachedBytes(path: string): number {
  return Number(execFileSync('fincore', ['--bytes', '--noheadings', '--output', 'RES', path]));
}

/** A source as far as its pages are concerned; old. */
export function pagesOf(path: string, fd: number, size: number): SourceFile {
  return { fd, info: { path }, size, mtimeMs: 0 } as unknown as SourceFile;
}

/** A new folder on a file system that drops pages when told to: those of tmpfs, for one, are the file itself and stay. Undefined where there is none. */
export function folderThatDrops(): string | undefined {
  if (spawnSync('fincore', ['--version']).status !== 0) return undefined;
  for (const parent of [tmpdir(), import.meta.dirname]) {
    const folder = mkdtempSync(join(parent, '.logtender-page-cache-'));
    if (drops(join(folder, 'probe'))) return folder;
    rmSync(folder, { recursive: true });
  }
  return undefined;
}

function drops(path: string): boolean {
  const bytes = 4 * MiB;
  const fd = openSync(path, 'w+');
  writeSync(fd, Buffer.alloc(bytes, 'a line of the app\n'));
  fsyncSync(fd);
  const before = cachedBytes(path);
  new PageCache({ clock: systemClock, log: silentLog }).release(pagesOf(path, fd, bytes), bytes);
  const isDropped = before === bytes && cachedBytes(path) === 0;
  closeSync(fd);
  rmSync(path);
  return isDropped;
}
