/**
 * The bytes of a document that are the same for every record of a source, rendered once.
 *
 * Field names: Elastic Common Schema (`@timestamp`, `log.file.path`, `log.offset`, `orchestrator.cluster.name`) and the
 * `kubernetes.*` names of Elastic's own shippers, so that existing dashboards find them.
 * May import: core, config, kernel, parse.
 */
import assert from 'node:assert/strict';
import type { ForwarderConfig, PodIdentity } from '../config/forwarder-config.ts';
import type { SourceInfo } from '../core/record.ts';
import { RFC3339_BYTES } from '../kernel/rfc3339.ts';

/** A path has at most 4,096 bytes (PATH_MAX), six times that when escaped; Kubernetes names are 253 bytes at most. */
export const FRAME_BYTES_MAX = 32 * 1024;

/**
 * A record is `head` offset `middle` (offset) rest. `middle` holds the opening brace, `@timestamp` and the places; its parts are
 * known by position, so that the usual record copies it in one piece.
 */
export interface DocumentFrame {
  /** What stands before the first offset: the action line up to the end of the source's id; empty without action lines. */
  readonly head: Buffer;
  /** `{`, the `@timestamp` member and the places; begins with the end of the action line where there is one. */
  readonly middle: Buffer;
  /** Where the 24 bytes of the time stand in `middle`. */
  readonly timeAt: number;
  /** Length of what stands before `"@timestamp"` in `middle`. */
  readonly openBytes: number;
  /** Where the places begin in `middle`, with their comma; its length when there are none. */
  readonly placesAt: number;
  /** The places with `log.*` as dotted names, for records that have a `log` of their own; with the comma. */
  readonly dottedPlaces: Buffer;
  /** Whether the places end where the record's offset goes. */
  readonly hasPlaces: boolean;
  /** The time that `middle` shows, milliseconds since the epoch. */
  timeMs: number;
  /** `middle` and what opens the text of a record without places: one piece, whose first part `middle` is. */
  readonly middleWithText: Buffer;
  /** `head` for records of another index than their batch's: the last such index, and its head. */
  elsewhere: { readonly index: string; readonly head: Buffer } | undefined;
}

export interface FrameOptions {
  readonly pod: PodIdentity;
  /** `none`: the record carries its time and its line, nothing else. */
  readonly metadata: ForwarderConfig['metadata'];
  /** Whether each document follows a `create` action line with its `_id` (the `_bulk` format of Elasticsearch). */
  readonly hasAction: boolean;
}

/** The action line of a record that goes into another index than the request names, up to the end of the source's id. */
export function renderHead(source: SourceInfo, index: string): Buffer {
  return Buffer.from(`{"create":{"_index":${JSON.stringify(index)},"_id":"${source.id}-`);
}

/** Opens the text of a record. */
export const OPEN_TEXT = ',"message":"';
const TIME_NAME = '"@timestamp":"';
const TIME_BLANK = '0'.repeat(RFC3339_BYTES);

/** Renders the frame of one source. */
export function renderFrame(source: SourceInfo, options: FrameOptions): DocumentFrame {
  const open = options.hasAction ? '"}}\n{' : '{';
  const hasPlaces = options.metadata === 'full';
  const path = JSON.stringify(source.path);
  const pod = placesOfPod(source, options.pod);
  const places = hasPlaces ? `,${pod},"log":{"file":{"path":${path}},"offset":` : '';
  const dotted = hasPlaces ? `,${pod},"log.file.path":${path},"log.offset":` : '';
  const middle = `${open}${TIME_NAME}${TIME_BLANK}"${places}`;
  const middleWithText = Buffer.from(`${middle}${OPEN_TEXT}`);
  const frame = {
    head: Buffer.from(options.hasAction ? `{"create":{"_id":"${source.id}-` : ''),
    middle: middleWithText.subarray(0, middleWithText.length - OPEN_TEXT.length),
    middleWithText,
    timeAt: open.length + TIME_NAME.length,
    openBytes: open.length,
    placesAt: open.length + TIME_NAME.length + RFC3339_BYTES + 1,
    dottedPlaces: Buffer.from(dotted),
    hasPlaces,
    timeMs: Number.NaN,
    elsewhere: undefined,
  };
  assert(frame.head.length + frame.middle.length <= FRAME_BYTES_MAX, 'a frame has a bound');
  return frame;
}

function placesOfPod(source: SourceInfo, pod: PodIdentity): string {
  const kubernetes = {
    namespace: pod.namespace,
    pod: { name: pod.pod, uid: pod.uid },
    container: { name: source.container },
    ...(pod.node === '' ? {} : { node: { name: pod.node } }),
  };
  const members = JSON.stringify({ orchestrator: { cluster: { name: pod.cluster } }, kubernetes });
  return members.slice(1, -1);
}
