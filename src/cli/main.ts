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
    const about = args[0] !== undefined && Object.hasOwn(COMMANDS, args[0]) ? COMMANDS[args[0]] : undefined;
    process.stdout.write(about === undefined ? usage() : usageOf(about));
    return name === undefined ? 2 : 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    const near = nearest(name, Object.keys(COMMANDS));
    const hint = near === undefined ? 'run logtender help for the list' : `did you mean ${near}?`;
    throw new OperationalError(
      'USAGE',
      `logtender: expected a command among ${Object.keys(COMMANDS).join(', ')}, got ${name}`,
      { hint },
    );
  }
  if (args.includes('--help')) {
    process.stdout.write(usageOf(command));
    return 0;
  }
  return command.run(args);
}

/** What is wrong before anything was done. */
const INPUT_ERRORS: readonly ErrorCode[] = ['USAGE', 'MANIFEST_UNREADABLE', 'CONFIG_INVALID'];

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`logtender: ${errorText(error)}\n`);
  const isInput = error instanceof OperationalError && INPUT_ERRORS.includes(error.code);
  // parseArgs throws a TypeError with a code of its own for options that it does not know.
  process.exitCode = isInput || (error instanceof TypeError && 'code' in error) ? 2 : 1;
}
