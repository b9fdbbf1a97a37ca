/**
 * `npm run -s soak -- certs [--rotations N] [--ca-life 30s] [--leaf-life 10s] [--settle 1s] [--rate 50]`: a promise under load for as
 * long as one likes. Progress on stderr; the last line on stdout is the result as JSON; exit 1 when anything failed, 2 for a mistake in
 * the command.
 */
import { parseArgs } from 'node:util';
import { durationMs } from '../../src/config/fields.ts';
import { errorText } from '../../src/core/errors.ts';
import { systemClock } from '../../src/core/clock.ts';
import { CERTS_SOAK_DEFAULTS, soakCerts } from './certs.ts';
import type { CertsSoakOptions } from './certs.ts';

const startedMs = systemClock.monotonic();

function note(line: string): void {
  const seconds = ((systemClock.monotonic() - startedMs) / 1_000).toFixed(1);
  process.stderr.write(`${seconds.padStart(7)} s  ${line}\n`);
}

/** What was asked for; rejects in words what makes no sense. */
function readArguments(args: readonly string[]): Omit<CertsSoakOptions, 'note'> {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { rotations: text, 'ca-life': text, 'leaf-life': text, settle: text, rate: text },
  });
  if (positionals.length !== 1 || positionals[0] !== 'certs')
    throw new Error(`expected one of certs, got "${positionals.join(' ')}"`);
  const defaults = CERTS_SOAK_DEFAULTS;
  return {
    rotations: count('rotations', values.rotations, defaults.rotations),
    caLife: duration('ca-life', values['ca-life'], defaults.caLife),
    leafLife: duration('leaf-life', values['leaf-life'], defaults.leafLife),
    settle: duration('settle', values.settle, defaults.settle),
    rate: count('rate', values.rate, defaults.rate),
  };
}

function count(name: string, given: string | undefined, fallback: number): number {
  const value = given === undefined ? fallback : Number(given);
  if (Number.isInteger(value) && value >= 1 && value <= 10_000) return value;
  throw new Error(`--${name}: expected an integer from 1 to 10000, got "${given}"`);
}

function duration(name: string, given: string | undefined, fallback: string): string {
  if (given === undefined || durationMs(given) !== undefined) return given ?? fallback;
  throw new Error(`--${name}: expected a duration such as 30s, got "${given}"`);
}

async function main(): Promise<number> {
  let options: Omit<CertsSoakOptions, 'note'>;
  try {
    options = readArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`soak: ${errorText(error)}\n`);
    return 2;
  }
  const { problems, rotations, creations, failed, fail_open } = await soakCerts({ ...options, note });
  for (const problem of problems) note(problem);
  process.stdout.write(`${JSON.stringify({ soak: 'certs', rotations, creations, failed, fail_open })}\n`);
  return problems.length > 0 ? 1 : 0;
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`soak: ${errorText(error)}\n`);
  return 1;
});
