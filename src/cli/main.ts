#!/usr/bin/env node
/**
 * The `logtender` command: reads the command line, composes, and ends with an exit code.
 *
 * Exit 0 when all went well, 1 when something asked for failed, 2 for a command line that it does not understand.
 * May import: everything but test.
 */
import { parseArgs } from 'node:util';
import { errorText, OperationalError } from '../core/errors.ts';
import { nearest } from '../config/fields.ts';
import { SINK_NAMES } from '../config/forwarder-config.ts';

interface Command {
  readonly usage: string;
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
};

function usage(): string {
  return `usage: logtender COMMAND\n\n${Object.values(COMMANDS)
    .map((command) => `  ${command.usage}`)
    .join('\n')}\n`;
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
    process.stdout.write(usage());
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
  return command.run(args);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`logtender: ${errorText(error)}\n`);
  const isUsage =
    (error instanceof OperationalError && error.code === 'USAGE') || (error instanceof TypeError && 'code' in error);
  process.exitCode = isUsage ? 2 : 1;
}
