/**
 * `logtender verify --ledger F|URL --sink NAME`: holds the ledger against what the destination has.
 *
 * It reads back with the forwarder's own connection and names. Memory grows with the number of sources, not of records.
 * May import: everything but test.
 */
import http from 'node:http';
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { ForwarderConfig } from '../config/forwarder-config.ts';
import { errorText, OperationalError } from '../core/errors.ts';
import { MiB } from '../core/limits.ts';
import type { CommandIo } from './command-io.ts';
import { readConfiguration } from './forward.ts';
import { cloudwatchVerdicts } from './verify-cloudwatch.ts';
import { elasticsearchRecords, indexPattern } from './verify-elasticsearch.ts';
import type { FoundRecord } from './verify-elasticsearch.ts';
import { fileVerdicts } from './verify-file.ts';
import type { GroupVerdict } from './verify-group.ts';
import { findFiles, readLedger, recordOffsets } from './verify-ledger.ts';
import type { Ledger } from './verify-ledger.ts';
import { s3Records } from './verify-s3.ts';
import { groupsText, groupText, summaryText, verdictText } from './verify-text.ts';
import { SourceTrack } from './verify-track.ts';
import type { SourceVerdict } from './verify-track.ts';

const VERIFIABLE = ['elasticsearch', 's3', 'cloudwatch', 'file'] as const;
/** A thousand sources are half a megabyte. */
const LEDGER_BYTES_MAX = 16 * MiB;
const LEDGER_MS_MAX = 10_000;

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Exit 0 when every delivered record is there as often as the sink promises (once; with CloudWatch Logs and files at least once, and no more
 * often than the ledger allows), 1 when one is not, 2 when that cannot be told.
 */
export async function runVerify(args: readonly string[], io: CommandIo, env: Env): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ledger: { type: 'string' },
      sink: { type: 'string' },
      config: { type: 'string' },
      index: { type: 'string' },
      output: { type: 'string', short: 'o', default: 'text' },
    },
  });
  const sink = VERIFIABLE.find((name) => name === values.sink);
  if (sink === undefined) throw usage(`--sink: expected ${VERIFIABLE.join(', ')}, got ${values.sink ?? 'none'}`);
  if (values.ledger === undefined) throw usage('expected --ledger FILE or URL, got none');
  if (values.output !== 'text' && values.output !== 'json')
    throw usage(`-o: expected text or json, got ${values.output}`);
  const config = await readConfiguration(values.config, env);
  const ledger = readLedger(await ledgerOf(values.ledger), sink);
  const out = values.output === 'json' ? 'json' : 'text';
  try {
    if (sink === 'elasticsearch' || sink === 's3') {
      const index = values.index ?? indexPattern(config, ledger.sources);
      const records =
        sink === 's3' ? s3Records(config, ledger.sources) : elasticsearchRecords(config, index, ledger.uid);
      return tellSources(await compare(config, ledger, records), ledger, io, out);
    }
    const files = findFiles(config.files, ledger.sources);
    const groups =
      sink === 'cloudwatch' ? cloudwatchVerdicts(config, ledger, files) : fileVerdicts(config, ledger, files);
    return await tellGroups(groups, ledger, io, out);
  } catch (error) {
    io.err(`logtender: ${errorText(error)}\n`);
    return 2;
  }
}

type Output = 'text' | 'json';

/** Tells what each source has, and gives the exit code. */
function tellSources(verdicts: readonly SourceVerdict[], ledger: Ledger, io: CommandIo, output: Output): number {
  const missing = verdicts.reduce((sum, verdict) => sum + verdict.missing, 0);
  const twice = verdicts.reduce((sum, verdict) => sum + verdict.twice, 0);
  const found = verdicts.reduce((sum, verdict) => sum + verdict.found, 0);
  const isUndecided = !ledger.linesAreRecords || ledger.sources.some((source) => !source.linesAreRecords);
  const summary = { sources: verdicts.length, found, missing, twice, unlisted_lines: ledger.unlistedLines };
  for (const verdict of verdicts) io.out(output === 'json' ? `${JSON.stringify(verdict)}\n` : verdictText(verdict));
  io.out(output === 'json' ? `${JSON.stringify(summary)}\n` : summaryText(summary));
  if (missing + twice > 0) return 1;
  return isUndecided ? 2 : 0;
}

/** Tells what each place has as its verdict comes, and gives the exit code. */
async function tellGroups(
  groups: AsyncIterable<GroupVerdict>,
  ledger: Ledger,
  io: CommandIo,
  output: Output,
): Promise<number> {
  const sum = { places: 0, found: 0, missing: 0, twice: 0, unlisted_lines: ledger.unlistedLines };
  // Whose they are is not known any more: they may be what a place has too many of.
  const unlisted = ledger.unlistedLines + ledger.unlistedDuplicatesMax;
  let isBeyond = false;
  let isUndecided = false;
  for await (const verdict of groups) {
    sum.places += 1;
    sum.found += verdict.found;
    sum.missing += verdict.missing;
    sum.twice += verdict.twice;
    isBeyond ||= verdict.twice > verdict.twice_max + unlisted;
    isUndecided ||= verdict.undecided !== undefined;
    io.out(output === 'json' ? `${JSON.stringify(verdict)}\n` : groupText(verdict));
  }
  io.out(output === 'json' ? `${JSON.stringify(sum)}\n` : groupsText(sum));
  if (sum.missing > 0 || isBeyond) return 1;
  return isUndecided ? 2 : 0;
}

async function compare(
  config: ForwarderConfig,
  ledger: Ledger,
  records: AsyncIterable<FoundRecord>,
): Promise<readonly SourceVerdict[]> {
  const files = findFiles(config.files, ledger.sources);
  const tracks = new Map(
    ledger.sources.map((source) => {
      const file = ledger.linesAreRecords && source.linesAreRecords ? files.get(source.id) : undefined;
      return [source.id, new SourceTrack(source, file === undefined ? undefined : recordOffsets(file, source.ackedTo))];
    }),
  );
  for await (const { source, offset } of records) tracks.get(source)?.see(offset);
  return [...tracks.values()].map((track) => track.end(ledger.linesAreRecords));
}

async function ledgerOf(place: string): Promise<unknown> {
  let text: string;
  try {
    text = /^http:\/\//.test(place) ? await fetched(place) : await readFile(place, 'utf8');
    return JSON.parse(text);
  } catch (error) {
    throw usage(`read ${place}: expected a ledger, got: ${errorText(error)}`);
  }
}

/** A page of a forwarder. */
function fetched(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { timeout: LEDGER_MS_MAX }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > LEDGER_BYTES_MAX) request.destroy(new Error(`more than ${LEDGER_BYTES_MAX} bytes`));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'));
        else reject(new Error(`status ${response.statusCode ?? 0}`));
      });
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${LEDGER_MS_MAX} ms`)));
    request.on('error', reject);
  });
}

function usage(problem: string): OperationalError {
  return new OperationalError('USAGE', `logtender verify: ${problem}`, { hint: 'logtender help verify' });
}
