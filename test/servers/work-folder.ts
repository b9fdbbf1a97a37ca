/**
 * Temporary folders of running servers: data, configuration and logs.
 *
 * Invariant: removed at the stop of their server, unless a test failed in this process; then they stay and their path is said.
 * May import: node:.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let keep = false;

/** A new empty folder that only this user can enter. */
export function createWorkFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `logtender-${name}-`));
}

/** From now on logs and data stay for whoever looks into the failure. */
export function keepWorkFolders(): void {
  keep = true;
}

/** Removes the folder, or says where it is. */
export function discardWorkFolder(path: string): void {
  if (keep) process.stderr.write(`kept for a look, logs included: ${path}\n`);
  else rmSync(path, { recursive: true, force: true });
}
