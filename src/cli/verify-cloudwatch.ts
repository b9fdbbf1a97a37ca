/**
 * Holds the ledger against log streams of CloudWatch Logs.
 *
 * An event is a text and a time, without source and offset: so the lines of the files of a log stream are compared with its messages, each
 * written as the sink writes it. Source: CloudWatch Logs API reference, GetLogEvents. May import: everything but test.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';
import type { ForwarderConfig } from '../config/forwarder-config.ts';
import { backoffMs } from '../core/backoff.ts';
import { systemClock, systemRandom } from '../core/clock.ts';
import { OperationalError } from '../core/errors.ts';
import { LINE_BYTES_MAX, READ_BYTES, RETRY_BASE_MS, RETRY_MAX_MS } from '../core/limits.ts';
import { silentLog } from '../core/log.ts';
import type { SourceInfo } from '../core/record.ts';
import { lineCut } from '../pipeline/line-cut.ts';
import { createInstanceRegion } from '../sinks/aws/instance-region.ts';
import type { EventPage, EventWindow } from '../sinks/cloudwatch-logs/client.ts';
import { LogEventsEncoder, StreamTimes } from '../sinks/cloudwatch-logs/encode.ts';
import { destinationText, logDestination } from '../sinks/cloudwatch-logs/request.ts';
import type { LogDestination } from '../sinks/cloudwatch-logs/request.ts';
import { eventMessage } from '../sinks/cloudwatch-logs/restamp.ts';
import { Session } from '../sinks/cloudwatch-logs/session.ts';
import { readAt } from '../source/identity.ts';
import { GroupBook } from './verify-group.ts';
import type { GroupLine, GroupVerdict } from './verify-group.ts';
import { textBegin } from './verify-ledger.ts';
import type { Ledger, LedgerSource } from './verify-ledger.ts';

/** GetLogEvents has a quota of 25 calls a second: a reader that is throttled so often in a row meets another trouble. */
const TRIES_MAX = 10;
/** API reference, PutLogEvents: no event is more than two hours ahead. */
const AHEAD_MS_MAX = 2 * 3_600_000;

/**
 * @param files where the file of a source is now; sources whose file is gone are absent
 * @throws OperationalError SINK_UNREACHABLE with the service's words
 */
export async function* cloudwatchVerdicts(
  config: ForwarderConfig,
  ledger: Ledger,
  files: ReadonlyMap<string, string>,
): AsyncGenerator<GroupVerdict> {
  const instanceRegion = createInstanceRegion({ clock: systemClock });
  const session = new Session({ config, clock: systemClock, log: silentLog, instanceRegion });
  try {
    const byStream = Map.groupBy(ledger.sources, (source) => destinationText(logDestination(config, infoOf(source))));
    for (const sources of byStream.values()) {
      const [first] = sources;
      if (first === undefined) continue;
      const destination = logDestination(config, infoOf(first));
      const book = new GroupBook({
        name: `${destination.group} ${destination.stream}`,
        sources,
        files: ledger.linesAreRecords ? files : undefined,
        linesOf: (path, source) => lineMessages(path, infoOf(source)),
      });
      for await (const message of messages(session, destination)) book.addFound(message);
      yield book.verdict();
    }
  } finally {
    session.close();
  }
}

/** The lines of a file as the messages that the sink makes of them, by its own encoder. */
export function* lineMessages(path: string, source: SourceInfo): Generator<GroupLine> {
  const encoder = new LogEventsEncoder({ destinationOf: () => '', times: new StreamTimes(), onReplaced: () => {} });
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    const buffer = Buffer.allocUnsafe(READ_BYTES + LINE_BYTES_MAX);
    for (let at = textBegin(fd, buffer, size); at < size;) {
      const got = readAt(fd, buffer, Math.min(buffer.length, size - at), at);
      let from = 0;
      while (from < got) {
        const end = lineCut(buffer, from, got, at + got >= size);
        if (end === from) break;
        yield* runMessages(encoder, source, buffer.subarray(from, end), at + from);
        from = end;
      }
      if (from === 0) return;
      at += from;
    }
  } finally {
    closeSync(fd);
  }
}

function* runMessages(
  encoder: LogEventsEncoder,
  source: SourceInfo,
  run: Buffer,
  offset: number,
): Generator<GroupLine> {
  for (let at = 0; at < run.length;) {
    encoder.reset();
    const next = encoder.append(source, run, at, run.length, offset + at, 0);
    const batch = encoder.finish();
    for (let i = 0; i < batch.records; i += 1) yield { offset: batch.offsets[i] ?? 0, text: eventMessage(batch, i) };
    if (next === at) return;
    at = next;
  }
}

/** Messages of a log stream, oldest first; none when there is no such stream. */
async function* messages(session: Session, destination: LogDestination): AsyncGenerator<string> {
  const bounds = { startTime: 0, endTime: systemClock.now() + AHEAD_MS_MAX };
  let nextToken: string | undefined;
  for (;;) {
    const answer = await page(session, destination, { ...bounds, nextToken });
    if (answer === undefined) return;
    for (const { message = '' } of answer.events) yield message;
    // API reference, GetLogEvents: at the end of the stream the same token comes back.
    if (answer.nextToken === undefined || answer.nextToken === nextToken) return;
    ({ nextToken } = answer);
  }
}

async function page(
  session: Session,
  destination: LogDestination,
  window: EventWindow,
): Promise<EventPage | undefined> {
  const { signal } = new AbortController();
  let text = '';
  for (let attempt = 1; attempt <= TRIES_MAX; attempt += 1) {
    const connected = await session.connect();
    if ('problem' in connected) throw unreadable(connected.problem);
    const called = await connected.calls.getLogEvents(destination, window, signal);
    if (called.kind === 'done') return called.value;
    if (called.kind === 'missing') return undefined;
    if (called.kind !== 'failed' || called.delivery.status !== 'retryable') throw unreadable(JSON.stringify(called));
    ({ text } = called.delivery);
    if (called.delivery.reason === 'credentials' || called.delivery.reason === 'not_found') break;
    await systemClock.sleep(backoffMs({ baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS }, attempt, systemRandom));
  }
  throw unreadable(text);
}

function infoOf({ id, container, path, file }: LedgerSource): SourceInfo {
  return { id, container, path, file };
}

function unreadable(found: string): OperationalError {
  return new OperationalError('SINK_UNREACHABLE', `read back from cloudwatch: expected events, got ${found}`, {
    hint: 'reading takes logs:GetLogEvents (deploy/iam/cloudwatch-logs-confirm.json), which a forwarder does not need and may lack',
  });
}
