#!/usr/bin/env node
/**
 * The `logtender` command: reads the command line, composes, and ends with an exit code.
 *
 * Exit 0 when all went well, 1 when something asked for failed, 2 for a command line or an input that it does not understand.
 * May import: everything but test.
 */
import { parseArgs } from 'node:util';
import { errorText, OperationalError } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import { nearest } from '../config/fields.ts';
import { SINK_NAMES } from '../config/forwarder-config.ts';
import { CLUSTER_COMMANDS } from './cluster-commands.ts';
import { processIo } from './command-io.ts';
import { OFFLINE_COMMANDS } from './offline-commands.ts';
import { SINK_COMMANDS } from './sink-commands.ts';

interface Command {
  readonly usage: string;
  /** What `logtender help COMMAND` adds. */
  readonly details?: string;
  readonly run: (args: readonly string[]) => Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  start: {
    usage: `start [--once] [--sink ${SINK_NAMES.join('|')}] [--url URL] [--endpoint URL] [--region NAME]   the main job, without a cluster`,
    run: runStart,
  },
  namespace: {
    usage:
      'namespace NAME   prints what a namespace needs: service account, Role, RoleBinding, a form for the sink Secret',
    run: printNamespace,
  },
  ...offlineCommands(),
  ...clusterCommands(),
  ...sinkCommands(),
};

function offlineCommands(): Readonly<Record<string, Command>> {
  const rows = Object.entries(OFFLINE_COMMANDS).map(([name, { run, ...about }]): [string, Command] => [
    name,
    { ...about, run: (args) => run(args, processIo(process.env)) },
  ]);
  return Object.fromEntries(rows);
}

function clusterCommands(): Readonly<Record<string, Command>> {
  const rows = Object.entries(CLUSTER_COMMANDS).map(([name, { run, ...about }]): [string, Command] => [
    name,
    { ...about, run: (args) => run(args, (text) => void process.stdout.write(text)) },
  ]);
  return Object.fromEntries(rows);
}

function sinkCommands(): Readonly<Record<string, Command>> {
  const rows = Object.entries(SINK_COMMANDS).map(([name, { run, ...about }]): [string, Command] => [
    name,
    { ...about, run: (args) => run(args, processIo(process.env), process.env) },
  ]);
  return Object.fromEntries(rows);
}

function usage(): string {
  const rows = Object.values(COMMANDS).map((command) => `  ${command.usage}\n`);
  return `usage: logtender COMMAND\n\n${rows.join('')}\nlogtender help COMMAND says more; docs/cli.md says all.\n`;
}

function usageOf({ usage: line, details }: Command): string {
  return `usage: logtender ${line}\n${details ?? ''}`;
}

async function runStart(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      once: { type: 'boolean', default: false },
      sink: { type: 'string', default: 'console' },
      url: { type: 'string' },
      endpoint: { type: 'string' },
      region: { type: 'string' },
    },
  });
  checkStart(values.sink, values.url);
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  const { start } = await import('./start.ts');
  return start({
    sink: values.sink,
    url: values.url,
    endpoint: values.endpoint,
    region: values.region,
    once: values.once,
    env: process.env,
    out: (text) => process.stdout.write(text),
    signal: interrupted.signal,
  });
}

/** A demonstration that shows the wrong thing helps nobody: what the webhook would only warn about is refused here. */
function checkStart(sink: string, url: string | undefined): void {
  for (const name of sink.split(',')) {
    if (SINK_NAMES.some((known) => known === name)) continue;
    const near = nearest(name, SINK_NAMES);
    const hint = near === undefined ? 'several are separated by commas' : `did you mean ${near}?`;
    throw new OperationalError('USAGE', `logtender start: --sink: expected ${SINK_NAMES.join(', ')}, got ${name}`, {
      hint,
    });
  }
  if (sink.split(',').includes('elasticsearch') && url === undefined) {
    throw new OperationalError('USAGE', 'logtender start: --sink elasticsearch: expected --url URL, got none', {
      hint: 'npm start -- --sink elasticsearch --url http://127.0.0.1:9200',
    });
  }
}

async function printNamespace(args: readonly string[]): Promise<number> {
  const { runNamespace } = await import('./namespace.ts');
  runNamespace(args, (text) => process.stdout.write(text));
  return 0;
}

async function main(): Promise<number> {
  const [name, ...args] = process.argv.slice(2);
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(args[0] === undefined ? usage() : usageOf(commandOf(args[0])));
    return name === undefined ? 2 : 0;
  }
  const command = commandOf(name);
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(usageOf(command));
    return 0;
  }
  return command.run(args).catch((error: unknown) => {
    throw isOptionError(error) ? misused(name, command, error) : error;
  });
}

function commandOf(name: string): Command {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command !== undefined) return command;
  const near = nearest(name, Object.keys(COMMANDS));
  const hint = near === undefined ? 'run logtender help for the list' : `did you mean ${near}?`;
  throw new OperationalError(
    'USAGE',
    `logtender: expected a command among ${Object.keys(COMMANDS).join(', ')}, got ${name}`,
    { hint },
  );
}

/** parseArgs throws a TypeError with a code of its own for options that it does not know (Node.js, util.parseArgs). */
function isOptionError(error: unknown): error is TypeError {
  return error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_');
}

/** What parseArgs found, with the command, the option that was meant, and where to look. */
function misused(name: string, command: Command, error: TypeError): OperationalError {
  const found = /--[a-z-]+/.exec(error.message)?.[0];
  const known = new Set(usageOf(command).match(/--[a-z][a-z-]+/g));
  const near =
    meantOption(command, error) ?? (found === undefined || known.has(found) ? undefined : nearest(found, [...known]));
  const hint = near === undefined ? `logtender help ${name}` : `did you mean ${near}? logtender help ${name}`;
  // The rest of its first sentence's text is about how Node reads a dash.
  const text = error.message.split('. ', 1)[0] ?? error.message;
  return new OperationalError('USAGE', `logtender ${name}: ${text}`, { cause: error, hint });
}

/** Who gives a file by itself means the command's first option that takes one. */
function meantOption({ usage: line }: Command, { message }: TypeError): string | undefined {
  const word = /^Unexpected argument '(.+?)'\. /s.exec(message)?.[1];
  const option = /(-[a-z-]+) FILE\b/.exec(line)?.[1];
  return word === undefined || option === undefined ? undefined : `${option} ${word}`;
}

/** What is wrong before anything was done. */
const INPUT_ERRORS: readonly ErrorCode[] = ['USAGE', 'MANIFEST_UNREADABLE', 'CONFIG_INVALID', 'CLUSTER_UNREADABLE'];

try {
  process.exitCode = await main();
} catch (error) {
  const text = errorText(error);
  process.stderr.write(`${/^logtender\b/.test(text) ? '' : 'logtender: '}${text}\n`);
  process.exitCode = error instanceof OperationalError && INPUT_ERRORS.includes(error.code) ? 2 : 1;
}
