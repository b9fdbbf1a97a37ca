/**
 * Which log group and log stream a source goes to, and the bodies of PutLogEvents and CreateLogStream as bytes: pure.
 *
 * Source: CloudWatch Logs API reference, PutLogEvents, CreateLogGroup, CreateLogStream. May import: core, config.
 */
import type { ForwarderConfig } from '../../config/forwarder-config.ts';
import { legalLogGroup, legalLogStream } from '../../config/legal-names.ts';
import { fillTemplate } from '../../config/template.ts';
import type { SourceInfo } from '../../core/record.ts';

export interface LogDestination {
  readonly group: string;
  readonly stream: string;
}

/** Stands in no name of a log group or log stream. */
const SEPARATOR = ':';
const CLOSE = Buffer.from(']}');
const NOTHING = Buffer.alloc(0);

/**
 * Log group and log stream of a source, made legal. Two files of a container never share a log stream: where the template does
 * not name `{file}`, it is added.
 */
export function logDestination(config: ForwarderConfig, source: SourceInfo): LogDestination {
  const { cluster, namespace, pod, app, workload, node } = config.pod;
  const values = { cluster, namespace, pod, app, workload, node, container: source.container, file: source.file };
  const hasFile = config.logStream.includes('{file}') || source.file === '';
  const stream = hasFile ? config.logStream : `${config.logStream}/{file}`;
  return {
    group: legalLogGroup(fillTemplate(config.logGroup, values)),
    stream: legalLogStream(fillTemplate(stream, values)),
  };
}

/** A destination as the text that a batch carries. */
export function destinationText(destination: LogDestination): string {
  return `${destination.group}${SEPARATOR}${destination.stream}`;
}

/** The reverse of `destinationText`. */
export function parseDestination(text: string): LogDestination {
  const at = text.indexOf(SEPARATOR);
  return { group: text.slice(0, at), stream: text.slice(at + 1) };
}

/**
 * The whole body of PutLogEvents: names, then the events of the slices, each of which ends with a comma. Nothing is copied.
 *
 * @param slices encoded events, at least one
 * @returns views on the slices and what stands around them, to be sent one after another
 */
export function putLogEventsBody(destination: LogDestination, slices: readonly Buffer[]): readonly Buffer[] {
  // Without the comma of the last event.
  const last = slices.at(-1)?.subarray(0, -1) ?? NOTHING;
  return [Buffer.from(`${namesOf(destination)},"logEvents":[`), ...slices.slice(0, -1), last, CLOSE];
}

/** The body of CreateLogStream. */
export function createLogStreamBody(destination: LogDestination): Buffer {
  return Buffer.from(`${namesOf(destination)}}`);
}

/** The object is left open. */
function namesOf({ group, stream }: LogDestination): string {
  return `{"logGroupName":${JSON.stringify(group)},"logStreamName":${JSON.stringify(stream)}`;
}
