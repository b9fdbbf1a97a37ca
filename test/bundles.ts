/**
 * The bundles that an image holds, built once for a whole run: processes that tests start begin from them as they do in production, and
 * in less time than a start from the source takes.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export type BundleName = 'forwarder' | 'webhook' | 'certs' | 'cli';

/** Where test/run.ts has built them for all its groups. */
export const BUNDLES_VARIABLE = 'LOGTENDER_TEST_BUNDLES';
const ROOT = resolve(import.meta.dirname, '..');
/** It takes 3 s, and the machine may do much else. */
const BUILD_MS_MAX = 60_000;

let folder: string | undefined;

/** Folder of the bundles of this very source: the run's, or built at the first call. Throws with what the build said. */
function bundlesFolder(): string {
  folder ??= process.env[BUNDLES_VARIABLE];
  if (folder !== undefined) return folder;
  const own = mkdtempSync(join(tmpdir(), 'logtender-bundles-'));
  process.once('exit', () => rmSync(own, { recursive: true, force: true }));
  buildBundles(own);
  return (folder = own);
}

/** Path of the bundle of that entry. Throws with what the build said. */
export function bundleOf(name: BundleName): string {
  return join(bundlesFolder(), `${name}.mjs`);
}

/** Builds into that folder. Throws with what the build said. */
export function buildBundles(into: string): void {
  const args = [join(ROOT, 'deploy/build.ts'), into];
  const { status, stderr, error } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: BUILD_MS_MAX });
  if (status !== 0) throw new Error(`the bundles were not built:\n${stderr}`, { cause: error });
}
