/**
 * `npm run -s bench -- admission|forwarder [--only CASE] [--runs N]`: one JSON line per measurement on stdout, all else on stderr.
 *
 * CASE is a part of a case's name, which is its words with slashes between them: `plain/elasticsearch/items`, `2x5/tls/32`.
 */
import { parseArgs } from 'node:util';
import { ADMISSION_CASES, runAdmissionCase } from './admission.ts';
import { runOverload, runRest } from './admission-limits.ts';
import { FORWARDER_CASES, runForwarderCase } from './forwarder.ts';

interface Measurement {
  readonly name: string;
  readonly run: () => Promise<object>;
}

const note = (text: string): void => void process.stderr.write(text);

const BENCHES: Readonly<Record<string, readonly Measurement[]>> = {
  admission: [
    ...ADMISSION_CASES.map((which) => ({
      name: [which.shape.name, which.mode, which.concurrency].join('/'),
      run: () => runAdmissionCase(which),
    })),
    { name: 'rest', run: runRest },
    { name: 'overload', run: runOverload },
  ],
  forwarder: FORWARDER_CASES.map((which) => ({
    name: [which.workload, which.sink, which.variant].join('/'),
    run: () => runForwarderCase(which, note),
  })),
};

function text(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}

/** Unknown options are left among the words, so that they are told like any other mistake. */
function readArguments(args: readonly string[]): { values: { only: string; runs: string }; positionals: string[] } {
  const options = { only: { type: 'string' }, runs: { type: 'string' } } as const;
  const { values, positionals, tokens } = parseArgs({
    args: [...args],
    allowPositionals: true,
    strict: false,
    tokens: true,
    options,
  });
  const unknown = tokens.flatMap((token) =>
    token.kind === 'option' && !(token.name in options) ? [token.rawName] : [],
  );
  return {
    values: { only: text(values.only, ''), runs: text(values.runs, '1') },
    positionals: [...positionals, ...unknown],
  };
}

/** The measurements that were asked for; a text when the arguments make no sense. */
function chosen(args: readonly string[]): { runs: number; measurements: readonly Measurement[] } | string {
  const { values, positionals } = readArguments(args);
  const names = Object.keys(BENCHES).join(', ');
  const bench = BENCHES[positionals[0] ?? ''];
  if (bench === undefined || positionals.length > 1) return `expected one of ${names}, got "${positionals.join(' ')}"`;
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) return `--runs: expected an integer from 1, got "${values.runs}"`;
  const measurements = bench.filter(({ name }) => name.includes(values.only));
  if (measurements.length > 0) return { runs, measurements };
  return `--only: expected a part of ${bench.map(({ name }) => name).join(', ')}, got "${values.only}"`;
}

async function main(): Promise<number> {
  const plan = chosen(process.argv.slice(2));
  if (typeof plan === 'string') {
    note(`bench: ${plan}\n`);
    return 2;
  }
  // Interleaved: what disturbs the machine for a while disturbs every case once, not one case every time.
  for (let run = 1; run <= plan.runs; run += 1) {
    for (const { name, run: measure } of plan.measurements) {
      note(`${name}, run ${run} of ${plan.runs}\n`);
      process.stdout.write(`${JSON.stringify(await measure())}\n`);
    }
  }
  return 0;
}

process.exitCode = await main();
