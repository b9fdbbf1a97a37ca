/**
 * Which log group and log stream a source goes to, and the body of PutLogEvents as bytes: pure.
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
 * The whole body: names, then the events of the slices, each of which ends with a comma.
 *
 * @param slices encoded events, at least one
 * @param reuse a buffer to write into if it is large enough
 * @returns a view on `reuse` or on a new buffer
 */
export function putLogEventsBody(
  destination: LogDestination,
  slices: readonly Buffer[],
  reuse: Buffer | undefined,
): Buffer {
  const names = `{"logGroupName":${JSON.stringify(destination.group)},"logStreamName":${JSON.stringify(destination.stream)}`;
  const head = Buffer.from(`${names},"logEvents":[`);
  const length = slices.reduce((sum, slice) => sum + slice.length, head.length) + 1;
  const body =
    reuse !== undefined && reuse.length >= length ? reuse.subarray(0, length) : Buffer.allocUnsafeSlow(length);
  let at = head.copy(body, 0);
  for (const slice of slices) at += slice.copy(body, at);
  // The comma of the last event makes place for the bracket.
  CLOSE.copy(body, at - 1);
  return body;
}
