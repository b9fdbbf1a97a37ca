/**
 * The image of this checkout as a file, built by the command that users run.
 *
 * May import: node:, test/servers.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { mustRun } from '../servers/programs.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** Ten seconds on an idle machine. */
const BUILD_MS_MAX = 240_000;

export interface ImageFile {
  readonly path: string;
  readonly reference: string;
  /** `sha256:…` */
  readonly digest: string;
  /** Of all layers, as they are pulled. */
  readonly compressedMib: number;
  discard(): void;
}

/** Runs `npm run image` into a folder of its own. */
export async function buildImageFile(): Promise<ImageFile> {
  const folder = mkdtempSync(join(tmpdir(), 'logtender-image-'));
  const path = join(folder, 'logtender.tar');
  const discard = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const args = [join(ROOT, 'deploy/image/main.ts'), '--out', path];
    const { stdout } = await mustRun(process.execPath, args, { cwd: ROOT, timeoutMs: BUILD_MS_MAX });
    const match = /^(\S+)@(sha256:[0-9a-f]{64})\n([\d.]+) MiB compressed/.exec(stdout);
    const [, reference = '', digest = '', size = ''] = match ?? [];
    if (match === null) throw new Error(`build image: expected NAME@DIGEST and a size, got ${stdout}`);
    return { path, reference, digest, compressedMib: Number(size), discard };
  } catch (error) {
    discard();
    throw error;
  }
}
