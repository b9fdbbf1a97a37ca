/**
 * `logtender replay FILE --sink NAME`: sends the records of a dead letter again, to where they were meant to go.
 *
 * Invariants: a record is delivered, or stands in the file of what was refused again, or in FILE, which is never changed; ids are those of
 * the first sending, so what is there already is recognised where the destination can; memory is bounded by a window.
 * May import: everything but test.
 */
import { closeSync, openSync, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { durationMs, nearest } from '../config/fields.ts';
import type { ForwarderConfig, SinkName } from '../config/forwarder-config.ts';
import { systemClock, systemRandom } from '../core/clock.ts';
import { errorText, OperationalError } from '../core/errors.ts';
import { MiB } from '../core/limits.ts';
import { createLog } from '../core/log.ts';
import { createMetrics } from '../core/metrics.ts';
import { deadLine, parseDeadLine } from '../pipeline/dead-line.ts';
import type { DeadLine } from '../pipeline/dead-line.ts';
import { RetryingSink } from '../pipeline/retrying-sink.ts';
import { createSink } from '../sinks/registry.ts';
import type { CommandIo } from './command-io.ts';
import { readConfiguration } from './forward.ts';
import { destinationOf, replayBatches } from './replay-batch.ts';
import { linesOf, ReplayJournal } from './replay-journal.ts';

/** Sinks that refuse records. */
const REPLAYABLE = ['elasticsearch', 'cloudwatch', 's3'] as const satisfies readonly SinkName[];
type Replayable = (typeof REPLAYABLE)[number];

/** What is held in memory, and what a kill costs: about one request of the largest kind. */
const WINDOW_BYTES_MAX = 1 * MiB;
/** The largest record, escaped at its worst, with the words around it. */
const LINE_BYTES_MAX = 2 * MiB;
const PROGRESS_EVERY_MS = 1_000;

const FILTERS = ['reason', 'source', 'path', 'container', 'since', 'before'] as const;
type Filter = Readonly<Partial<Record<(typeof FILTERS)[number], string>>>;

interface Tally {
  read: number;
  /** Of another sink, or not meant by the filter: they stay in FILE. */
  left: number;
  unreadable: number;
  delivered: number;
  alreadyThere: number;
  refused: number;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Exit 0 when everything that was meant is delivered, 1 when something is left, 2 for wrong input. */
export async function runReplay(args: readonly string[], io: CommandIo, env: Env): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      sink: { type: 'string' },
      config: { type: 'string' },
      filter: { type: 'string', multiple: true, default: [] },
      again: { type: 'string' },
      timeout: { type: 'string', default: '10m' },
      'dry-run': { type: 'boolean', default: false },
      output: { type: 'string', short: 'o', default: 'text' },
    },
  });
  const [path, ...more] = positionals;
  if (path === undefined || more.length > 0) throw usage(`expected one FILE, got ${positionals.length}`);
  const sink = REPLAYABLE.find((name) => name === values.sink);
  if (sink === undefined) throw usage(`--sink: expected ${REPLAYABLE.join(', ')}, got ${values.sink ?? 'none'}`);
  const timeoutMs = durationMs(values.timeout);
  if (timeoutMs === undefined || timeoutMs > 2 ** 31)
    throw usage(`--timeout: expected a duration such as 10m, got ${values.timeout}`);
  if (values.output !== 'text' && values.output !== 'json')
    throw usage(`-o: expected text or json, got ${values.output}`);
  const filter = readFilter(values.filter);
  const config = await readConfiguration(values.config, env);
  const fd = openFile(path);
  try {
    const replay: Replay = { path, fd, sink, config, filter, io, isJson: values.output === 'json' };
    if (values['dry-run']) return await dryRun(replay);
    const again = values.again ?? `${path}.again.ndjson`;
    return await sendAll(replay, again, timeoutMs);
  } finally {
    closeSync(fd);
  }
}

interface Replay {
  readonly path: string;
  readonly fd: number;
  readonly sink: Replayable;
  readonly config: ForwarderConfig;
  readonly filter: Filter;
  readonly io: CommandIo;
  readonly isJson: boolean;
}

/** What would be sent where, by destination and reason. */
async function dryRun({ path, sink, config, filter, io, isJson }: Replay): Promise<number> {
  const tally = emptyTally();
  const groups = new Map<string, number>();
  for await (const { line } of linesOf(path, 0, LINE_BYTES_MAX)) {
    const dead = parseDeadLine(line);
    tally.read += 1;
    if (dead === undefined) tally.unreadable += 1;
    else if (!isMeant(dead, sink, filter)) tally.left += 1;
    else {
      // The stem of a key, and what else is no text for a terminal, is shown as JSON.
      const key = `${JSON.stringify(destinationOf(config, dead))} ${dead.reason}`;
      if (groups.size < 1_000 || groups.has(key)) groups.set(key, (groups.get(key) ?? 0) + 1);
    }
  }
  const meant = tally.read - tally.unreadable - tally.left;
  if (isJson) io.out(`${JSON.stringify({ would_send: meant, ...tally, groups: Object.fromEntries(groups) })}\n`);
  else {
    for (const [key, count] of groups) io.out(`${count} to ${key}\n`);
    io.out(
      `would send ${meant} of ${tally.read} records; ${tally.left} are not meant, ${tally.unreadable} cannot be read\n`,
    );
  }
  return 0;
}

async function sendAll(replay: Replay, again: string, timeoutMs: number): Promise<number> {
  const { path, fd, sink, config, filter, io } = replay;
  const journal = await ReplayJournal.open({ again, what: JSON.stringify({ sink, ...filter }), fd });
  if (journal.done > 0) io.err(`goes on behind byte ${journal.done} of an earlier replay\n`);
  const ending = new AbortController();
  const end = (): void => ending.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end);
  void systemClock.sleep(timeoutMs, ending.signal).then(end);
  const log = createLog({ clock: systemClock, level: 'warn', write: (line) => io.err(line) });
  const deps = { log, metrics: createMetrics(), clock: systemClock, random: systemRandom };
  const target = await createSink(sink, config, deps);
  const sender = new RetryingSink({ ...deps, sink: target });
  const tally = emptyTally();
  const total = statSync(path).size;
  let done = journal.done;
  let saidAt = systemClock.monotonic();
  let isWhole = true;
  for await (const window of windows(path, journal.done)) {
    const refused = await sendWindow(window.lines, { ...replay, sender, tally, signal: ending.signal });
    isWhole = refused !== undefined;
    if (refused === undefined) break;
    await journal.keep(refused, window.end);
    done = window.end;
    if (systemClock.monotonic() - saidAt < PROGRESS_EVERY_MS) continue;
    saidAt = systemClock.monotonic();
    io.err(`${done} of ${total} bytes: ${tally.delivered} delivered, ${tally.refused} refused again\n`);
  }
  ending.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, end);
  await target.close();
  await (isWhole ? journal.end() : journal.pause());
  report(replay, { tally, again, done, total, isWhole, hasAgain: journal.hasAgain, trouble: sender.trouble?.text });
  return isWhole && !journal.hasAgain ? 0 : 1;
}

interface Window {
  readonly lines: readonly string[];
  /** Byte of the file behind them. */
  readonly end: number;
}

async function* windows(path: string, from: number): AsyncGenerator<Window> {
  let lines: string[] = [];
  let bytes = 0;
  let end = from;
  for await (const one of linesOf(path, from, LINE_BYTES_MAX)) {
    lines.push(one.line);
    bytes += one.line.length;
    ({ end } = one);
    if (bytes < WINDOW_BYTES_MAX) continue;
    yield { lines, end };
    lines = [];
    bytes = 0;
  }
  if (lines.length > 0) yield { lines, end };
}

/** Lines for the file of what was refused again; undefined when the end came before everything was settled. */
async function sendWindow(
  lines: readonly string[],
  options: Replay & { readonly sender: RetryingSink; readonly tally: Tally; readonly signal: AbortSignal },
): Promise<readonly string[] | undefined> {
  const { sink, config, filter, sender, tally, signal } = options;
  const meant: DeadLine[] = [];
  const refused: string[] = [];
  for (const line of lines) {
    tally.read += 1;
    const dead = parseDeadLine(line);
    if (dead === undefined) {
      // Whatever it is: it is not lost with FILE.
      tally.unreadable += 1;
      refused.push(`${line}\n`);
    } else if (isMeant(dead, sink, filter)) meant.push(dead);
    else tally.left += 1;
  }
  for (const { batch, lines: own } of replayBatches(config, sink, meant)) {
    const settlement = await sender.deliver(batch, { sentBefore: () => true, signal });
    if (settlement.settled < batch.records) return undefined;
    const bad = new Map(settlement.rejected.map((rejection) => [rejection.index, rejection]));
    tally.refused += bad.size;
    tally.alreadyThere += settlement.duplicates;
    tally.delivered += batch.records - bad.size;
    own.forEach(({ time: _, ...line }, index) => {
      const rejection = bad.get(index);
      if (rejection === undefined) return;
      const { reason, text } = rejection;
      refused.push(
        deadLine(new Date(systemClock.now()).toISOString(), { ...line, destination: batch.destination, reason, text }),
      );
    });
  }
  return refused;
}

function report(
  { path, io, isJson }: Replay,
  end: {
    readonly tally: Tally;
    readonly again: string;
    readonly done: number;
    readonly total: number;
    readonly isWhole: boolean;
    readonly hasAgain: boolean;
    readonly trouble: string | undefined;
  },
): void {
  const { tally, again, done, total, isWhole, hasAgain, trouble } = end;
  if (isJson) {
    io.out(
      `${JSON.stringify({ ...tally, done_bytes: done, total_bytes: total, finished: isWhole, ...(trouble === undefined ? {} : { trouble }) })}\n`,
    );
    return;
  }
  io.out(
    `delivered ${tally.delivered} (${tally.alreadyThere} of them were there already), refused again ${tally.refused}, `,
  );
  io.out(`not meant ${tally.left}, cannot be read ${tally.unreadable}\n`);
  if (!isWhole) {
    io.out(
      `stopped at byte ${done} of ${total}${trouble === undefined ? '' : `: ${trouble}`}; the same command goes on from there\n`,
    );
  } else if (hasAgain) io.out(`what is left stands in ${again}\n`);
  else if (tally.left === 0) io.out(`everything in ${path} is delivered\n`);
}

function isMeant(dead: DeadLine, sink: Replayable, filter: Filter): boolean {
  const timeMs = Date.parse(dead.time);
  return (
    dead.sink === sink &&
    (filter.reason === undefined || dead.reason === filter.reason) &&
    (filter.source === undefined || dead.source === filter.source) &&
    (filter.path === undefined || dead.path === filter.path) &&
    (filter.container === undefined || dead.container === filter.container) &&
    (filter.since === undefined || timeMs >= timeOf(filter.since)) &&
    (filter.before === undefined || timeMs < timeOf(filter.before))
  );
}

/** A time, or NaN. */
function timeOf(text: string): number {
  return Date.parse(text);
}

function readFilter(texts: readonly string[]): Filter {
  const filter: Partial<Record<(typeof FILTERS)[number], string>> = {};
  for (const text of texts) {
    const at = text.indexOf('=');
    const name = at < 0 ? text : text.slice(0, at);
    const known = FILTERS.find((one) => one === name);
    if (known === undefined || at < 0) {
      const near = nearest(name, FILTERS);
      throw usage(
        `--filter: expected ${FILTERS.join('=…, ')}=…, got ${text}${near === undefined ? '' : `; did you mean ${near}=?`}`,
      );
    }
    const value = text.slice(at + 1);
    if ((known === 'since' || known === 'before') && Number.isNaN(timeOf(value)))
      throw usage(`--filter ${known}: expected a time such as 2026-11-28T12:00:00Z, got ${value}`);
    filter[known] = value;
  }
  return filter;
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw usage(`read ${path}: expected a dead letter, got: ${errorText(error)}`);
  }
}

function emptyTally(): Tally {
  return { read: 0, left: 0, unreadable: 0, delivered: 0, alreadyThere: 0, refused: 0 };
}

function usage(problem: string): OperationalError {
  return new OperationalError('USAGE', `logtender replay: ${problem}`, { hint: 'logtender help replay' });
}
