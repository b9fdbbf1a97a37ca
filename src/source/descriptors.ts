/**
 * Which open files may be closed: live ones at rest, and deleted ones beyond the hold limit. Pure.
 *
 * A live file that was quiet for a while, and of which every lane has had everything acknowledged, rests: it keeps its id and its place, is
 * looked at with each scan and each event of a watch, and is opened again when it changed, moved, or may have been copied. What is written to
 * it and deleted between two looks is the price, so that the most recent REST_OPEN_FILES stay open: few pods have more.
 * May import: source.
 */
import { compareSources } from './chains.ts';
import type { SourceFile } from './source-file.ts';

/** A file that grew within this time is active: it is asked for its size at every poll, and does not rest. */
export const ACTIVE_MS = 10_000;

/**
 * So many files stay open whether they rest or not. An open file costs about a kilobyte of kernel memory, and the usual limits on
 * descriptors begin at 1,024.
 */
export const REST_OPEN_FILES = 64;

export interface RestRule {
  readonly openFiles: number;
  readonly quietMs: number;
}

export const REST_RULE: RestRule = { openFiles: REST_OPEN_FILES, quietMs: ACTIVE_MS };

/** Files that may rest now, those that are quiet longest first. */
export function restable(
  sources: Iterable<SourceFile>,
  { openFiles, quietMs }: RestRule,
  { nowMs, isSettled }: { nowMs: number; isSettled: (source: SourceFile) => boolean },
): readonly SourceFile[] {
  let open = 0;
  for (const { fd } of sources) if (fd !== undefined) open += 1;
  if (open <= openFiles) return [];
  const quiet: SourceFile[] = [];
  for (const source of sources) if (isQuiet(source, nowMs - quietMs) && isSettled(source)) quiet.push(source);
  return quiet.sort((a, b) => a.grewAt - b.grewAt).slice(0, open - openFiles);
}

function isQuiet({ fd, state, name, detachedAt, copySeen, copy, grewAt }: SourceFile, sinceMs: number): boolean {
  if (fd === undefined || state !== 'open' || name === undefined) return false;
  return detachedAt === undefined && copySeen === undefined && !copy && grewAt <= sinceMs;
}

/**
 * Deleted files that are held open, and which of them are given up, oldest first, so that the rest is within the limit.
 *
 * @param bytesOf bytes of the file that the slowest lane has not had acknowledged
 */
export function heldFiles(
  sources: Iterable<SourceFile>,
  limit: number,
  bytesOf: (source: SourceFile) => number,
): { readonly bytes: number; readonly given: readonly SourceFile[] } {
  const held: SourceFile[] = [];
  for (const source of sources) if (source.state === 'open' && source.name === undefined) held.push(source);
  const bytes = held.reduce((sum, source) => sum + bytesOf(source), 0);
  const given: SourceFile[] = [];
  let left = bytes;
  for (const source of held.sort(compareSources)) {
    if (left <= limit) break;
    given.push(source);
    left -= bytesOf(source);
  }
  return { bytes: left, given };
}
