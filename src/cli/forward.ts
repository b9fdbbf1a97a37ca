/**
 * `logtender forward`: the forwarder on a machine of one's own, from one file and the env.
 *
 * It checks the configuration before anything starts, and then runs the forwarder's own entry in this process: the same code as the
 * sidecar. May import: everything but test.
 */
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { loadForwardFile } from '../config/config-follower.ts';
import { overridingVariables } from '../config/forward-file.ts';
import type { ForwardFile } from '../config/forward-file.ts';
import { CONFIG_FILE, ENV } from '../config/forwarder-config.ts';
import type { ForwarderConfig } from '../config/forwarder-config.ts';
import { OperationalError } from '../core/errors.ts';
import type { CommandIo } from './command-io.ts';
import { sinkEnvironment } from './sink-environment.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Exit 0; 1 with --once when not everything was delivered; 2 when the configuration is wrong. */
export async function runForward(args: readonly string[], io: CommandIo, env: Env): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      config: { type: 'string' },
      check: { type: 'boolean', default: false },
      try: { type: 'string' },
      once: { type: 'boolean', default: false },
      output: { type: 'string', short: 'o', default: 'text' },
    },
  });
  const { config: path, output } = values;
  if (Number(values.check) + Number(values.once) + Number(values.try !== undefined) > 1)
    throw usage('expected one of --check, --try and --once, got several');
  if (output !== 'text' && output !== 'json') throw usage(`-o: expected text or json, got ${output}`);
  const file = await readForward(path, env);
  if (values.check) {
    const { checkText, plan } = await import('./forward-plan.ts');
    const planned = plan(file.config, path === undefined ? [] : overridingVariables(env));
    io.out(output === 'json' ? `${JSON.stringify(planned, null, 2)}\n` : checkText(planned));
    return 0;
  }
  if (values.try !== undefined) {
    const { tryLines } = await import('./forward-try.ts');
    return tryLines(file.config, values.try === '-' ? await io.read('-') : `${values.try}\n`, io);
  }
  return runHere(path, values.once);
}

/**
 * File and env as the forwarder reads them.
 *
 * @throws OperationalError CONFIG_INVALID with all problems
 */
export async function readForward(path: string | undefined, env: Env): Promise<ForwardFile> {
  const source = { env, host: hostname() };
  if (path !== undefined) return settled(await loadForwardFile(path, source));
  const { parseForwardFile } = await import('../config/forward-file.ts');
  const { hostDefaults } = await import('../config/forward-keys.ts');
  const { problemText } = await import('../config/fields.ts');
  const parsed = parseForwardFile('', { env, defaults: hostDefaults(source.host) });
  return settled(parsed.ok ? parsed : { ok: false, problems: parsed.problems.map(problemText) });
}

/** The same for commands that look at a forwarder from its side: without a file the env alone, as a sidecar has it. */
export async function readConfiguration(path: string | undefined, env: Env): Promise<ForwarderConfig> {
  return path === undefined ? sinkEnvironment(env, {}) : (await readForward(path, env)).config;
}

function settled(loaded: Awaited<ReturnType<typeof loadForwardFile>>): ForwardFile {
  if (loaded.ok) return loaded.value;
  throw new OperationalError('CONFIG_INVALID', `forward: the configuration is wrong\n${loaded.problems.join('\n')}`);
}

/** The forwarder's entry is a program: it reads its env and lives until a signal, or with ONCE until all is shipped. */
async function runHere(path: string | undefined, isOnce: boolean): Promise<number> {
  const defaults = path === undefined ? (await import('../config/forward-keys.ts')).hostDefaults(hostname()) : {};
  for (const [name, value] of Object.entries(defaults)) process.env[name] ??= value;
  if (path !== undefined) process.env[CONFIG_FILE] = path;
  if (isOnce) process.env[ENV.once] = 'true';
  await import('../main.ts');
  return Number(process.exitCode ?? 0);
}

function usage(problem: string): OperationalError {
  return new OperationalError('USAGE', `logtender forward: ${problem}`, { hint: 'logtender help forward' });
}
