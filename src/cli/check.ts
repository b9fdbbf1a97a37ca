/**
 * `logtender check sink`: the steps of each configured sink, a line each, with what to do. `check injection` has its own file.
 *
 * May import: everything but test.
 */
import { parseArgs } from 'node:util';
import { SINK_NAMES } from '../config/forwarder-config.ts';
import { systemClock } from '../core/clock.ts';
import { OperationalError } from '../core/errors.ts';
import { checkOf } from '../sinks/check.ts';
import type { CheckStep } from '../sinks/check.ts';
import type { CommandIo } from './command-io.ts';
import { sinkEnvironment } from './sink-environment.ts';

/** Exit 0, 1 when a step has failed. */
export async function runCheck(
  args: readonly string[],
  io: CommandIo,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  if (args[0] === 'injection') return (await import('./check-injection.ts')).runCheckInjection(args.slice(1), io);
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      sink: { type: 'string' },
      write: { type: 'boolean', default: false },
      url: { type: 'string' },
      'secret-dir': { type: 'string' },
      output: { type: 'string', short: 'o', default: 'text' },
    },
  });
  if (positionals.length !== 1 || positionals[0] !== 'sink' || !['text', 'json'].includes(values.output)) {
    throw new OperationalError(
      'USAGE',
      'logtender check: expected `check sink` or `check injection`, and -o text or json',
      {
        hint: 'logtender help check',
      },
    );
  }
  const known = SINK_NAMES.find((name) => name === values.sink);
  if (values.sink !== undefined && known === undefined) {
    throw new OperationalError(
      'USAGE',
      `logtender check: --sink: expected ${SINK_NAMES.join(', ')}, got ${values.sink}`,
    );
  }
  const config = sinkEnvironment(env, values);
  let hasFailed = false;
  for (const sink of known === undefined ? config.sinks : [known]) {
    const check = await checkOf(sink);
    if (check === undefined) io.err(`${sink}: has no destination of its own to check\n`);
    for await (const step of check?.({ config, clock: systemClock, writes: values.write }) ?? []) {
      hasFailed ||= step.outcome === 'failed';
      io.out(values.output === 'json' ? `${JSON.stringify({ sink, ...step })}\n` : stepText(sink, step));
    }
  }
  return hasFailed ? 1 : 0;
}

function stepText(sink: string, { name, outcome, text, remedy }: CheckStep): string {
  const todo = remedy === undefined ? '' : `; ${remedy}`;
  return `${sink} ${name}: ${outcome}: ${text}${todo}\n`;
}
