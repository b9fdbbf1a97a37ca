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
import { elasticsearchRecords, indexPattern } from './verify-elasticsearch.ts';
import type { FoundRecord } from './verify-elasticsearch.ts';
import { findFiles, readLedger, recordOffsets } from './verify-ledger.ts';
import type { Ledger } from './verify-ledger.ts';
import { s3Records } from './verify-s3.ts';
import { SourceTrack } from './verify-track.ts';
import type { SourceVerdict } from './verify-track.ts';

const VERIFIABLE = ['elasticsearch', 's3'] as const;
/** A thousand sources are half a megabyte. */
const LEDGER_BYTES_MAX = 16 * MiB;
const LEDGER_MS_MAX = 10_000;

type Env = Readonly<Record<string, string | undefined>>;

/** Exit 0 when every delivered record is there once, 1 when one is missing or there twice, 2 when that cannot be told. */
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
  if (sink === undefined) throw usage(`--sink: expected ${VERIFIABLE.join(' or ')}, got ${values.sink ?? 'none'}`);
  if (values.ledger === undefined) throw usage('expected --ledger FILE or URL, got none');
  if (values.output !== 'text' && values.output !== 'json')
    throw usage(`-o: expected text or json, got ${values.output}`);
  const config = await readConfiguration(values.config, env);
  const ledger = readLedger(await ledgerOf(values.ledger), sink);
  const index = values.index ?? indexPattern(config, ledger.sources);
  const records = sink === 's3' ? s3Records(config, ledger.sources) : elasticsearchRecords(config, index, ledger.uid);
  let verdicts: readonly SourceVerdict[];
  try {
    verdicts = await compare(config, ledger, records);
  } catch (error) {
    io.err(`logtender: ${errorText(error)}\n`);
    return 2;
  }
  const missing = verdicts.reduce((sum, verdict) => sum + verdict.missing, 0);
  const twice = verdicts.reduce((sum, verdict) => sum + verdict.twice, 0);
  const found = verdicts.reduce((sum, verdict) => sum + verdict.found, 0);
  const isUndecided = !ledger.linesAreRecords;
  const summary = { sources: verdicts.length, found, missing, twice, unlisted_lines: ledger.unlistedLines };
  for (const verdict of verdicts)
    io.out(values.output === 'json' ? `${JSON.stringify(verdict)}\n` : verdictText(verdict));
  io.out(values.output === 'json' ? `${JSON.stringify(summary)}\n` : summaryText(summary));
  if (missing + twice > 0) return 1;
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
      const file = ledger.linesAreRecords ? files.get(source.id) : undefined;
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

function verdictText({
  source,
  container,
  path,
  expected,
  found,
  missing,
  twice,
  ranges,
  undecided,
}: SourceVerdict): string {
  const what = missing + twice === 0 ? 'all there once' : `${missing} missing, ${twice} twice`;
  const note = undecided === undefined ? '' : `; ${undecided}`;
  const lines = [`${container}:${path} (${source}): ${found} of ${expected} records, ${what}${note}`];
  for (const range of ranges)
    lines.push(
      range.what === 'twice'
        ? `  twice at offset ${range.from}`
        : `  missing from offset ${range.from} up to ${range.to}`,
    );
  return `${lines.join('\n')}\n`;
}

function summaryText(sum: {
  readonly sources: number;
  readonly found: number;
  readonly missing: number;
  readonly twice: number;
  readonly unlisted_lines: number;
}): string {
  const more =
    sum.unlisted_lines === 0
      ? ''
      : `; ${sum.unlisted_lines} delivered lines are of sources that the ledger does not list any more`;
  return `${sum.sources} sources, ${sum.found} records found, ${sum.missing} missing, ${sum.twice} twice${more}\n`;
}

function usage(problem: string): OperationalError {
  return new OperationalError('USAGE', `logtender verify: ${problem}`, { hint: 'logtender help verify' });
}
