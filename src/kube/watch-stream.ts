/**
 * Decodes the body of a watch: one JSON event per line.
 *
 * Invariant: an event is handed on whole or not at all. Source: Kubernetes API concepts, "Efficient detection of changes".
 * May import: core, config.
 */
import { MiB } from '../core/limits.ts';
import { failureOf, isRecord, noAnswer, toKubeObject } from './client.ts';
import type { KubeFailure, KubeResult, WatchEvent } from './client.ts';

/** Longest event: etcd's 1.5 MiB for one object, escaped at its worst (six bytes for one). */
const EVENT_BYTES_MAX = 10 * MiB;

const NEWLINE = 10;

/** Reads events until the stream ends or an ERROR event comes; rejects when the stream breaks. */
export async function readWatch(
  stream: AsyncIterable<unknown>,
  onEvent: (event: WatchEvent) => void,
): Promise<KubeResult<'ended'>> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  for await (const chunk of stream) {
    let rest = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE)) {
      const line = Buffer.concat([...pending, rest.subarray(0, end)]).toString('utf8');
      pending = [];
      pendingBytes = 0;
      rest = rest.subarray(end + 1);
      const failure = decode(line, onEvent);
      if (failure !== undefined) return failure;
    }
    pending.push(rest);
    pendingBytes += rest.length;
    if (pendingBytes > EVENT_BYTES_MAX) return noAnswer(`expected a watch event of at most ${EVENT_BYTES_MAX} bytes`);
  }
  return { ok: true, value: 'ended' };
}

function decode(line: string, onEvent: (event: WatchEvent) => void): KubeFailure | undefined {
  if (line.trim() === '') return undefined;
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    return noAnswer('expected a watch event as JSON, got something else');
  }
  if (!isRecord(event)) return noAnswer('expected a watch event as a JSON object, got another value');
  const type = event['type'];
  if (type === 'ERROR') {
    const status: unknown = isRecord(event['object']) ? event['object']['code'] : undefined;
    return failureOf(typeof status === 'number' ? status : 500, event['object']);
  }
  const object = toKubeObject(event['object']);
  if (object === undefined) return noAnswer('expected an object in a watch event, got none');
  if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED' || type === 'BOOKMARK') onEvent({ type, object });
  return undefined;
}
