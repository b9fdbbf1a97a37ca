/**
 * helm against the cluster of the tests, and scripts of the documentation as people type them, with the two addresses in them replaced.
 *
 * May import: node:, test/servers.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { mustRun, type Outcome } from '../servers/programs.ts';
import type { ControlPlane } from '../servers/servers.ts';

export const ROOT = resolve(import.meta.dirname, '../..');
/** Longer than any `--timeout` that is asked for. */
const COMMAND_MS_MAX = 300_000;

export interface HelmCommand {
  readonly folder: string;
  /** Rejects with what it said unless the exit code is 0. */
  helm(...args: readonly string[]): Promise<Outcome>;
  /** Types a script into bash, in the checkout, with helm and kubectl on PATH. */
  type(script: string): Promise<Outcome>;
  discard(): void;
}

/** @param program path of helm */
export function helmFor(program: string, { kubeconfig, kubectlPath }: ControlPlane): HelmCommand {
  const folder = mkdtempSync(join(tmpdir(), 'logtender-helm-'));
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  symlinkSync(program, join(bin, 'helm'));
  symlinkSync(kubectlPath, join(bin, 'kubectl'));
  const env = {
    KUBECONFIG: kubeconfig,
    PATH: `${bin}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
    // What it keeps belongs to the test.
    HELM_CACHE_HOME: join(folder, 'cache'),
    HELM_CONFIG_HOME: join(folder, 'config'),
    HELM_DATA_HOME: join(folder, 'data'),
  };
  const options = { cwd: ROOT, env, timeoutMs: COMMAND_MS_MAX };
  return {
    folder,
    helm: (...args) => mustRun(program, args, options),
    type: (script) => mustRun('bash', ['-euo', 'pipefail', '-c', script], options),
    discard: () => rmSync(folder, { recursive: true, force: true }),
  };
}
