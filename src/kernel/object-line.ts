/**
 * The usual line that is one JSON object: the form that the byte kernel splices by itself.
 *
 *   the object …                                                     | then
 *   is one that json-line.ts takes, without an odd name              | it may be usual
 *   has a time by the name `@timestamp`                              | it must be RFC 3339, and stands as it is
 *   has times by the names `timestamp`, `time`, `ts`                 | they must be RFC 3339, or an epoch number of 10 or 13 digits
 *     (2001 to 2286); the first of these names is the document's     |   with or without a fraction
 *   has a name at the top that begins with `_`, or one of ours where | it is unusual
 *     we say it (kubernetes…, orchestrator…, log, log.file…, stream) |
 *
 * Any other is left to sinks/splice.ts, whose rules these are a part of: what is usual becomes the same record there.
 * Twin of assembly/object-line.ts. Nothing is allocated per line. May import: core.
 */
import { JsonLineScanner } from './json-line.ts';
import { epochMs, isRfc3339 } from './timestamp.ts';

/** Where the time of a document comes from: reading, a text, a number, the line's own `@timestamp`. */
export type ObjectTime = 'read' | 'text' | 'number' | 'own';

const QUOTE = 0x22;
/** Names that say a time, the best first. */
const TIME_NAMES: readonly Uint8Array[] = ['@timestamp', 'timestamp', 'time', 'ts'].map((name) => Buffer.from(name));
const PLACE_PREFIXES: readonly Uint8Array[] = ['kubernet', 'orchestr', 'log.file', 'log.offs'].map((name) =>
  Buffer.from(name),
);
const LOG = Buffer.from('log');
const STREAM = Buffer.from('stream');
/** Digits of an epoch number in seconds and in milliseconds. */
const EPOCH_DIGITS: readonly number[] = [10, 13];

export interface OurMembers {
  /** kubernetes, orchestrator and log. */
  readonly hasPlaces: boolean;
  /** stream. */
  readonly hasStdio: boolean;
}

export class ObjectLine {
  /** After a `read` that was true: what stands between the braces; nothing of use where there are no members. */
  readonly scanner: JsonLineScanner = new JsonLineScanner();
  time: ObjectTime = 'read';
  /** Of a text: its place. */
  timeFrom = 0;
  timeTo = 0;
  /** Of a number: milliseconds since the epoch. */
  timeMs = 0;
  #rank = TIME_NAMES.length;

  /**
   * Whether `input[from, to)`, well-formed UTF-8 without its newline, is one.
   *
   * @param view covers the same bytes as `input`
   * @param ours what we say of the record ourselves
   */
  read(input: Uint8Array, view: DataView, from: number, to: number, ours: OurMembers): boolean {
    const { scanner } = this;
    this.time = 'read';
    this.#rank = TIME_NAMES.length;
    if (!scanner.scan(input, view, from, to) || scanner.hasOddName) return false;
    for (let i = 0; i < scanner.members; i += 1) if (!this.#member(input, i, ours)) return false;
    return true;
  }

  #member(input: Uint8Array, index: number, { hasPlaces, hasStdio }: OurMembers): boolean {
    const from = this.scanner.nameFrom[index] ?? 0;
    const to = this.scanner.nameTo[index] ?? 0;
    if (input[from] === 0x5f) return false;
    if (hasStdio && isName(input, from, to, STREAM)) return false;
    if (hasPlaces && isName(input, from, to, LOG)) return false;
    if (hasPlaces && PLACE_PREFIXES.some((name) => begins(input, from, to, name))) return false;
    const rank = TIME_NAMES.findIndex((name) => isName(input, from, to, name));
    return rank < 0 || this.#time(input, rank, index);
  }

  #time(input: Uint8Array, rank: number, index: number): boolean {
    const from = this.scanner.valueFrom[index] ?? 0;
    const to = this.scanner.valueTo[index] ?? 0;
    const isText = input[from] === QUOTE;
    const ms = isText || rank === 0 ? undefined : usualEpochMs(input, from, to);
    if (isText ? !isUsualText(input, from + 1, to - 1) : ms === undefined) return false;
    if (rank > this.#rank) return true;
    this.#rank = rank;
    this.time = rank === 0 ? 'own' : isText ? 'text' : 'number';
    this.timeFrom = from + 1;
    this.timeTo = to - 1;
    this.timeMs = ms ?? 0;
    return true;
  }
}

/** RFC 3339 after the year 0. */
function isUsualText(input: Uint8Array, from: number, to: number): boolean {
  if (!isRfc3339(input, from, to)) return false;
  for (let i = from; i < from + 4; i += 1) if (input[i] !== 0x30) return true;
  return false;
}

function usualEpochMs(input: Uint8Array, from: number, to: number): number | undefined {
  let i = from;
  while (i < to && isDigit(input[i] ?? 0)) i += 1;
  return EPOCH_DIGITS.includes(i - from) ? epochMs(input, from, to) : undefined;
}

function isName(input: Uint8Array, from: number, to: number, name: Uint8Array): boolean {
  return to - from === name.length && begins(input, from, to, name);
}

function begins(input: Uint8Array, from: number, to: number, name: Uint8Array): boolean {
  if (to - from < name.length) return false;
  for (let i = 0; i < name.length; i += 1) if (input[from + i] !== name[i]) return false;
  return true;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
