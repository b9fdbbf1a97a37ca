/**
 * kubectl against any cluster, ours or a user's own: one command to its end, or a log that is followed.
 *
 * May import: node:, test/servers.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Request } from '../servers/kubernetes/clients.ts';
import { run, type Outcome } from '../servers/programs.ts';

/** Longer than any `--timeout` that is asked for. */
const COMMAND_MS_MAX = 240_000;

export interface KubectlInput {
  /** Goes to stdin, for `-f -`; anything but a text as JSON. */
  readonly input?: unknown;
}

export interface Kubectl {
  /** stdout; rejects with stderr unless the exit code is 0. */
  run(args: readonly string[], input?: KubectlInput): Promise<string>;
  /** The exit code is a value. */
  outcome(args: readonly string[], input?: KubectlInput): Promise<Outcome>;
  /** The object, parsed; undefined where there is none. */
  get(kind: string, name: string, namespace?: string): Promise<unknown>;
  /** The items of a list of the API. @param path begins with `/api` */
  list(path: string): Promise<readonly unknown[]>;
  /** Tells each line of stdout until the command ends or `stop` is called. */
  follow(args: readonly string[], onLine: (line: string) => void): { readonly ended: Promise<void>; stop(): void };
}

/**
 * @param flags which cluster: `--kubeconfig=FILE` or `--context=NAME`
 * @param request the same cluster without a process: what is asked over and over again costs a tenth of a second of processor time by kubectl
 */
export function kubectlFor(program: string, flags: readonly string[], request?: Request): Kubectl {
  const outcome: Kubectl['outcome'] = (args, { input } = {}) =>
    run(program, [...flags, ...args], {
      timeoutMs: COMMAND_MS_MAX,
      ...(input === undefined ? {} : { input: typeof input === 'string' ? input : JSON.stringify(input) }),
    });
  const mustRaw = async (path: string): Promise<string> => {
    const { code, stdout, stderr } = await outcome(['get', '--raw', path]);
    if (code === 0) return stdout;
    throw new Error(`kubectl get --raw ${path}: expected exit code 0, got ${code}: ${stderr.trim()}`);
  };
  return {
    outcome,
    run: async (args, input) => {
      const { code, stdout, stderr } = await outcome(args, input);
      if (code === 0) return stdout;
      throw new Error(`kubectl ${args.join(' ')}: expected exit code 0, got ${code}: ${stderr.trim()}`);
    },
    get: async (kind, name, namespace) => {
      const where = namespace === undefined ? [] : ['-n', namespace];
      const { code, stdout } = await outcome(['get', kind, name, ...where, '-o', 'json']);
      return code === 0 ? (JSON.parse(stdout) as unknown) : undefined;
    },
    list: async (path) => {
      const answer = request === undefined ? undefined : await request('GET', path);
      if (answer !== undefined && answer.status !== 200)
        throw new Error(`list ${path}: expected status 200, got ${answer.status}: ${JSON.stringify(answer.body)}`);
      const body = answer === undefined ? JSON.parse(await mustRaw(path)) : answer.body;
      return (body as { readonly items: readonly unknown[] }).items;
    },
    follow: (args, onLine) => {
      const child = spawn(program, [...flags, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
      createInterface({ input: child.stdout }).on('line', onLine);
      const ended = new Promise<void>((resolve) => {
        child.once('error', () => resolve());
        child.once('close', () => resolve());
      });
      return { ended, stop: () => void child.kill('SIGTERM') };
    },
  };
}
