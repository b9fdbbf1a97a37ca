/**
 * A record that a destination refused, as a line of the dead letter: readable, and enough to send the very same record again. Pure.
 *
 *   {"time":…,"sink":…,"reason":…,"text":…,"container":…,"path":…,"source":…,"offset":…,"to":…,"destination":…,"id":…,"record":{…}}
 *
 * Invariants: `record` is the object that was sent, byte for byte (a number is not read and written again), and stands last; what stands
 * around it on the wire (the action line of `_bulk`, the comma of PutLogEvents) is made anew by `encodedRecord`. Lines of earlier versions,
 * whose `record` is a text, are read as well. May import: core, pipeline.
 */
import type { DeadRecord } from './dead-letter.ts';

/** A dead record as it was read from a line, with the time of its refusal. */
export interface DeadLine extends DeadRecord {
  /** RFC 3339. */
  readonly time: string;
}

/** The object inside an encoded record, and what its action line says where there is one. */
export interface ReadableRecord {
  /** A JSON object as text, without line ends. */
  readonly record: string;
  readonly id?: string;
  /** Where it went when that is not where its request went. */
  readonly index?: string;
}

const ACTION = '{"create":';
const MARK = ',"record":';

/** @param encoded as a sink's encoder wrote it: NDJSON with or without an action line, or an event with its comma */
export function readableRecord(encoded: string): ReadableRecord {
  const newline = encoded.indexOf('\n');
  if (!encoded.startsWith(ACTION) || newline < 0) return { record: encoded.replace(/[,\s]+$/, '') };
  const record = encoded.slice(newline + 1).trimEnd();
  const { create } = JSON.parse(encoded.slice(0, newline)) as {
    readonly create: { readonly _id?: string; readonly _index?: string };
  };
  return {
    record,
    ...(create._id === undefined ? {} : { id: create._id }),
    ...(create._index === undefined ? {} : { index: create._index }),
  };
}

/** The line, with its newline. */
export function deadLine(time: string, { record: encoded, ...about }: DeadRecord): string {
  const { record, ...action } = readableRecord(encoded);
  const head = JSON.stringify({ time, ...about, ...action });
  return `${head.slice(0, -1)}${MARK}${isObject(record) ? record : JSON.stringify(record)}}\n`;
}

/** Undefined for a line that is none of ours. */
export function parseDeadLine(line: string): DeadLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const found = value as Readonly<Record<string, unknown>>;
  const text = (key: string): string => (typeof found[key] === 'string' ? found[key] : '');
  const offset = Number(found['offset']);
  const record = recordOf(line, found['record']);
  if (text('sink') === '' || text('source') === '' || !Number.isSafeInteger(offset) || record === undefined)
    return undefined;
  const to = Number(found['to']);
  const action =
    text('id') === ''
      ? ''
      : `{"create":${JSON.stringify({ ...(text('index') === '' ? {} : { _index: text('index') }), _id: text('id') })}}\n`;
  return {
    time: text('time'),
    sink: text('sink'),
    reason: text('reason'),
    text: text('text'),
    container: text('container'),
    path: text('path'),
    source: text('source'),
    offset,
    to: Number.isSafeInteger(to) && to > offset ? to : offset + 1,
    destination: text('destination'),
    record:
      typeof found['record'] === 'string' ? record : `${action}${record}${text('sink') === 'cloudwatch' ? ',' : '\n'}`,
  };
}

/** The bytes of the record as they stand in the line: we write it last. Whoever wrote the line anew gets it as JSON reads it. */
function recordOf(line: string, value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  const at = line.indexOf(MARK);
  const raw = at < 0 ? '' : line.slice(at + MARK.length, line.lastIndexOf('}'));
  return isObject(raw) ? raw : JSON.stringify(value);
}

function isObject(text: string): boolean {
  if (!text.startsWith('{')) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
