/**
 * A promise under load for as long as one likes. Progress on stderr; the last line on stdout is the result as JSON; exit 1 when anything
 * failed, 2 for a mistake in the command.
 *
 *     npm run -s soak -- certs [--rotations N] [--ca-life 30s] [--leaf-life 10s] [--settle 1s] [--rate 50]
 *     npm run -s soak -- forwarder [--lines N] [--sink memory|elasticsearch|opensearch|cloudwatch|s3] [--kills N] [--outages N]
 *                                  [--outage 30s] [--seed N]
 */
import { parseArgs } from 'node:util';
import { durationMs } from '../../src/config/fields.ts';
import { errorText } from '../../src/core/errors.ts';
import { systemClock } from '../../src/core/clock.ts';
import { seededRandom } from '../fakes/seeded-random.ts';
import { CERTS_SOAK_DEFAULTS, soakCerts } from './certs.ts';
import { FORWARDER_SOAK_DEFAULTS, soakForwarder } from './forwarder.ts';
import { SOAK_SINKS } from './forwarder-destinations.ts';

/** What a soak comes to: the figures are printed after its name. */
interface Result {
  readonly figures: object;
  readonly problems: readonly string[];
}

const COUNT_MAX = 1_000_000_000;
const startedMs = systemClock.monotonic();

function note(line: string): void {
  const seconds = ((systemClock.monotonic() - startedMs) / 1_000).toFixed(1);
  process.stderr.write(`${seconds.padStart(7)} s  ${line}\n`);
}

type Values = Readonly<Record<string, string | undefined>>;

/** A soak with the names of its options; `plan` rejects in words what makes no sense, before anything is started. */
interface Soak {
  readonly options: readonly string[];
  readonly plan: (values: Values) => () => Promise<Result>;
}

const SOAKS: Readonly<Record<string, Soak>> = {
  certs: {
    options: ['rotations', 'ca-life', 'leaf-life', 'settle', 'rate'],
    plan: (values) => {
      const defaults = CERTS_SOAK_DEFAULTS;
      const options = {
        rotations: count('rotations', values['rotations'], { min: 1, max: 10_000 }, defaults.rotations),
        caLife: duration('ca-life', values['ca-life'], defaults.caLife),
        leafLife: duration('leaf-life', values['leaf-life'], defaults.leafLife),
        settle: duration('settle', values['settle'], defaults.settle),
        rate: count('rate', values['rate'], { min: 1, max: 10_000 }, defaults.rate),
        note,
      };
      return async () => {
        const { problems, rotations, creations, failed, fail_open } = await soakCerts(options);
        return { problems, figures: { rotations, creations, failed, fail_open } };
      };
    },
  },
  forwarder: {
    options: ['lines', 'sink', 'kills', 'outages', 'outage', 'seed'],
    plan: (values) => {
      const defaults = FORWARDER_SOAK_DEFAULTS;
      const sink = SOAK_SINKS.find((name) => name === (values['sink'] ?? defaults.sink));
      if (sink === undefined)
        throw new Error(`--sink: expected one of ${SOAK_SINKS.join(', ')}, got "${values['sink']}"`);
      const seed = count(
        'seed',
        values['seed'],
        { min: 0, max: COUNT_MAX },
        Math.floor(systemClock.now() / 1_000) % 1e6,
      );
      const options = {
        sink,
        lines: count('lines', values['lines'], { min: 1_000, max: COUNT_MAX }, defaults.lines),
        kills: count('kills', values['kills'], { min: 0, max: COUNT_MAX }, defaults.kills),
        outages: count('outages', values['outages'], { min: 0, max: COUNT_MAX }, defaults.outages),
        outageMs: durationMs(duration('outage', values['outage'], `${defaults.outageMs}ms`)) ?? 0,
        random: seededRandom(seed),
        note,
      };
      return () => {
        note(`seed ${seed}`);
        return soakForwarder(options);
      };
    },
  },
};

function count(
  name: string,
  given: string | undefined,
  { min, max }: { min: number; max: number },
  fallback: number,
): number {
  const value = given === undefined ? fallback : Number(given);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`--${name}: expected an integer from ${min} to ${max}, got "${given}"`);
}

function duration(name: string, given: string | undefined, fallback: string): string {
  if (given === undefined || durationMs(given) !== undefined) return given ?? fallback;
  throw new Error(`--${name}: expected a duration such as 30s, got "${given}"`);
}

/** The soak that was asked for, ready to run. */
function planned([name = '', ...args]: readonly string[]): { name: string; run: () => Promise<Result> } {
  const soak = SOAKS[name];
  if (soak === undefined) throw new Error(`expected one of ${Object.keys(SOAKS).join(', ')}, got "${name}"`);
  const options = Object.fromEntries(soak.options.map((option) => [option, { type: 'string' as const }]));
  const { values } = parseArgs({ args, options });
  return { name, run: soak.plan(values) };
}

async function main(): Promise<number> {
  let soak: ReturnType<typeof planned>;
  try {
    soak = planned(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`soak: ${errorText(error)}\n`);
    return 2;
  }
  const { problems, figures } = await soak.run();
  for (const problem of problems) note(problem);
  process.stdout.write(`${JSON.stringify({ soak: soak.name, ...figures })}\n`);
  return problems.length > 0 ? 1 : 0;
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`soak: ${errorText(error)}\n`);
  return 1;
});
