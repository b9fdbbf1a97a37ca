/**
 * `npm run -s bench -- admission|credentials|forwarder [--only CASE] [--runs N]`: one JSON line per measurement on stdout, all else on stderr.
 *
 * CASE is a part of a case's name, which is its words with slashes between them: `plain/elasticsearch/items`, `2x5/tls/32`. A case of the
 * forwarder that others can do has theirs beside it: `plain/elasticsearch/items/rsyslog`; who cannot be had is told and left out. `CASE$` is
 * the end of a name: `plain/elasticsearch/items$` is ours alone.
 * For the forwarder also `--entry BUNDLE,BUNDLE`: each case with each of them in turn, for a comparison in one session; and
 * `--minutes N` (1 unless given) is the length of `outage`;
 * `--memory-limit MIB [--absent 30s] [--lines N]`: under a hard limit with the sink absent at first, beside the same without a limit.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ADMISSION_CASES, runAdmissionCase } from './admission.ts';
import { runOverload, runRest } from './admission-limits.ts';
import { PROVIDERS, runCredentialsCase } from './credentials.ts';
import { durationMs } from '../../src/config/fields.ts';
import { FORWARDER_CASES, logtender, runForwarderCase } from './forwarder.ts';
import { forwarderEntry } from './forwarder-process.ts';
import { compareLimit, LIMIT_CASES } from './memory-limit.ts';
import { runOutage } from './outage.ts';
import { Peers } from './peers/peers.ts';
import { runSteady, STEADY_CASES, STEADY_SINK } from './steady.ts';

interface Measurement {
  readonly name: string;
  /** Undefined when it cannot be had here, which it has said then. */
  readonly run: () => Promise<object | undefined>;
}

const note = (text: string): void => void process.stderr.write(text);

const ADMISSION: readonly Measurement[] = [
  ...ADMISSION_CASES.map((which) => ({
    name: [which.shape.name, which.mode, which.concurrency].join('/'),
    run: () => runAdmissionCase(which),
  })),
  { name: 'rest', run: runRest },
  { name: 'overload', run: runOverload },
];

const TEXT = { type: 'string' } as const;
const OPTIONS = {
  only: TEXT,
  runs: TEXT,
  entry: TEXT,
  'memory-limit': TEXT,
  absent: TEXT,
  lines: TEXT,
  minutes: TEXT,
} as const;
type Given = Partial<Record<keyof typeof OPTIONS, string>>;

const BENCHES: Readonly<Record<string, (given: Given) => readonly Measurement[] | string>> = {
  admission: () => ADMISSION,
  credentials: () =>
    PROVIDERS.map((provider) => ({ name: provider, run: () => runCredentialsCase(provider, forwarderEntry()) })),
  forwarder: (given) => (given['memory-limit'] === undefined ? forwarderCases(given) : limitedCases(given)),
};

function forwarderCases(given: Given): readonly Measurement[] | string {
  const { entry } = given;
  const minutes = integer(given.minutes, 1);
  if (minutes === undefined) return `--minutes: expected an integer from 1, got "${given.minutes}"`;
  const entries = entry?.split(',').map((path) => resolve(path)) ?? [forwarderEntry()];
  const peers = new Peers(note);
  const said = (path: string): object => (entries.length > 1 ? { entry: path } : {});
  const ours = (name: string, run: (path: string) => Promise<object>): readonly Measurement[] =>
    entries.map((path) => ({ name, run: async () => ({ ...(await run(path)), ...said(path) }) }));
  return [
    ...FORWARDER_CASES.flatMap((which) => {
      const name = [which.workload, which.sink, which.variant].join('/');
      return [
        ...ours(name, (path) => runForwarderCase(which, logtender(which, path), note)),
        ...peers.beside(which).map((peer) => ({ name: `${name}/${peer.name}`, run: () => peers.run(peer, which) })),
      ];
    }),
    ...ours('outage', (path) => runOutage(minutes, path)),
    ...STEADY_CASES.flatMap((which) => [
      ...ours(which.name, (path) => runSteady(which, logtender({ sink: STEADY_SINK, metadata: 'full' }, path))),
      ...peers.besideSteady(which).map((peer) => ({
        name: `${which.name}/${peer.name}`,
        run: () => peers.runSteady(peer, which),
      })),
    ]),
  ];
}

function limitedCases(given: Given): readonly Measurement[] | string {
  const limitMib = integer(given['memory-limit'], 0);
  const lines = integer(given.lines, 4_000_000);
  const absentMs = durationMs(given.absent ?? '30s');
  if (limitMib === undefined) return `--memory-limit: expected MiB, an integer from 1, got "${given['memory-limit']}"`;
  if (lines === undefined) return `--lines: expected an integer from 1, got "${given.lines}"`;
  if (absentMs === undefined) return `--absent: expected a duration such as 30s, got "${given.absent}"`;
  const bundle = forwarderEntry();
  if (!bundle.endsWith('.mjs')) return 'expected a bundle that is newer than src, found none; run npm run build';
  return LIMIT_CASES.map((which) => ({
    name: [which.workload, which.sink, which.metadata, ...(which.how === undefined ? [] : [which.how])].join('/'),
    run: () => compareLimit({ ...which, lines, absentMs, limitMib, bundle }),
  }));
}

/** Undefined when it is none from 1 on. */
function integer(text: string | undefined, fallback: number): number | undefined {
  const value = text === undefined ? fallback : Number(text);
  return Number.isInteger(value) && value >= 1 ? value : undefined;
}

/** @param only a part of the name; with a `$` behind it the end of it */
function isAsked(name: string, only: string): boolean {
  return only.endsWith('$') ? name.endsWith(only.slice(0, -1)) : name.includes(only);
}

/** The measurements that were asked for; a text when the arguments make no sense. */
function chosen(args: readonly string[]): { runs: number; measurements: readonly Measurement[] } | string {
  // Unknown options are left among the words, so that they are told like any other mistake.
  const parsed = parseArgs({ args: [...args], allowPositionals: true, strict: false, tokens: true, options: OPTIONS });
  const given: Given = {};
  const words = [...parsed.positionals];
  for (const token of parsed.tokens) {
    if (token.kind !== 'option') continue;
    if (!(token.name in OPTIONS) || token.value === undefined) words.push(token.rawName);
    else given[token.name as keyof typeof OPTIONS] = token.value;
  }
  const bench = BENCHES[words[0] ?? ''];
  if (bench === undefined || words.length > 1)
    return `expected one of ${Object.keys(BENCHES).join(', ')}, got "${words.join(' ')}"`;
  const runs = integer(given.runs, 1);
  if (runs === undefined) return `--runs: expected an integer from 1, got "${given.runs}"`;
  const cases = bench(given);
  if (typeof cases === 'string') return cases;
  const measurements = cases.filter(({ name }) => isAsked(name, given.only ?? ''));
  if (measurements.length > 0) return { runs, measurements };
  return `--only: expected a part of ${cases.map(({ name }) => name).join(', ')}, got "${given.only}"`;
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
      const figures = await measure();
      if (figures !== undefined) process.stdout.write(`${JSON.stringify(figures)}\n`);
    }
  }
  return 0;
}

process.exitCode = await main();
