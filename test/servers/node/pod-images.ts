/**
 * The images that a node needs beside ours: the sandbox of pods and the application of tests, both one static Go program.
 *
 * May import: node:, deploy/image, test/servers.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageOf } from '../../../deploy/image/oci.ts';
import { cached, cacheKey, type Preparation } from '../cache.ts';
import { findProgram, mustRun } from '../programs.ts';
import { PAUSE_IMAGE } from './configuration.ts';

/** Takes the arguments of pod-program/main.go. */
export const APP_IMAGE = 'logtender.test/app:1';

const BUILD_MS_MAX = 5 * 60_000;
const SOURCE = join(import.meta.dirname, 'pod-program/main.go');
const PROGRAM = '/pod-program';

/** Path of the program; compiled once. */
export async function buildPodProgram({ cache, progress }: Preparation): Promise<string> {
  const entry = { name: 'pod-program', key: cacheKey(readFileSync(SOURCE, 'utf8'), process.arch) };
  const folder = await cached(cache, entry, async (target) => {
    const go = findProgram('go');
    if (go === undefined) throw new Error('build pod-program: expected go on PATH, got none');
    progress('pod program: compiling');
    await mustRun(go, ['build', '-trimpath', '-ldflags', '-s -w', '-o', join(target, 'pod-program'), SOURCE], {
      cwd: target,
      env: { CGO_ENABLED: '0', GOWORK: 'off', GO111MODULE: 'off', GOCACHE: join(target, 'build') },
      timeoutMs: BUILD_MS_MAX,
    });
    await mustRun('rm', ['-rf', join(target, 'build')], { timeoutMs: BUILD_MS_MAX });
  });
  return join(folder, 'pod-program');
}

/** Writes both images into the folder and gives their archives. */
export function writePodImages(program: string, folder: string): readonly string[] {
  const content = readFileSync(program);
  const images = [
    { name: 'pause', reference: PAUSE_IMAGE, entrypoint: [PROGRAM, 'pause'] },
    { name: 'app', reference: APP_IMAGE, entrypoint: [PROGRAM] },
  ];
  return images.map(({ name, reference, entrypoint }) => {
    const path = join(folder, `${name}.tar`);
    const { archive } = imageOf({
      reference,
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      created: '1970-01-01T00:00:00Z',
      entrypoint,
      user: '65532:65532',
      workingDir: '/',
      env: [],
      labels: {},
      layers: [{ createdBy: 'pod-program', files: [{ path: PROGRAM.slice(1), mode: 0o755, content }] }],
    });
    writeFileSync(path, archive);
    return path;
  });
}
