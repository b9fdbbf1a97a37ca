/**
 * Decides how the members of a JSON line and ours share one document.
 *
 * The rule, in order; what is refused is shipped as `message`, whole, so no line is lost and no document is invalid:
 *
 *   the line has …                                   | then
 *   an odd name, or one of Elasticsearch's own (_id) | message: Elasticsearch would reject it
 *   `@timestamp` as RFC 3339 or epoch milliseconds   | the line's stands as it is, ours is left out
 *   `@timestamp` as anything else                    | message
 *   `timestamp`, `time`, `ts` (in this order) as     | `@timestamp` is made from it, the member stays
 *     RFC 3339 or epoch number                       |
 *   none of them                                     | `@timestamp` is the time of reading
 *   `kubernetes`, `orchestrator` or a name below     | message: where a line comes from is not the line's to say
 *   `log` as an object without `offset` and `file`   | both stand: ours as dotted names, which Elasticsearch merges
 *   another `log`, `log.offset`, `log.file…`         | message
 *
 * The rules on kubernetes, orchestrator and log hold only where we add them (metadata: full).
 * What most loggers write the byte kernel splices by itself, by a part of these rules (kernel/object-line.ts): they change together.
 * May import: core, config, kernel, parse.
 */
import type { JsonLineScanner } from '../kernel/json-line.ts';
import { epochMs, isRfc3339, rfc3339Ms } from '../kernel/timestamp.ts';

/** Where `@timestamp` comes from: time of reading, the line's own member, a text to copy, or a number that was read. */
export type SpliceTime = 'read' | 'own' | 'text' | 'number';

const TIMESTAMP = Buffer.from('@timestamp');
const TIME_NAMES: readonly Uint8Array[] = ['timestamp', 'time', 'ts'].map((name) => Buffer.from(name));
const LOG = Buffer.from('log');
const LOG_OFFSET = Buffer.from('log.offset');
const LOG_FILE = Buffer.from('log.file');
const KUBERNETES = Buffer.from('kubernetes');
const ORCHESTRATOR = Buffer.from('orchestrator');
const OFFSET_NAME = Buffer.from('"offset');
const FILE_NAME = Buffer.from('"file');

/** Metadata fields that a document may not hold (Elasticsearch reference, metadata fields; OpenSearch has a part of them). */
const METADATA_FIELDS: readonly Uint8Array[] = (
  '_index _id _source _size _doc_count _field_names _ignored _routing _tier _type _seq_no _primary_term _version ' +
  '_nested_path _feature _tsid _data_stream_timestamp _all _ignored_source _recovery_source _inference_fields ' +
  '_ts_routing_hash _parent _uid _meta'
)
  .split(' ')
  .map((name) => Buffer.from(name));

/** Milliseconds from 1973 to 5138: the numbers that Elasticsearch's `epoch_millis` and `epochMs` read alike. */
const EPOCH_MS_MIN = 1e11;
const EPOCH_MS_MAX = 1e14;

export class Splice {
  /** After a `decide` that was true: where `@timestamp` comes from, with the text or the number of it. */
  time: SpliceTime = 'read';
  timeFrom = 0;
  timeTo = 0;
  timeMs = 0;
  /** Our `log.*` go in as dotted names. */
  isLogDotted = false;
  /** Place in TIME_NAMES of the best time that was found. */
  #rank = TIME_NAMES.length;
  /** The line's time is a number: `timeMs`, not the text. */
  #isNumber = false;

  /**
   * @param scanner has just taken the line
   * @param hasPlaces whether we add kubernetes, orchestrator and log
   * @returns false when the line has to be shipped as `message`
   */
  decide(scanner: JsonLineScanner, input: Buffer, hasPlaces: boolean): boolean {
    this.time = 'read';
    this.isLogDotted = false;
    this.#rank = TIME_NAMES.length;
    if (scanner.hasOddName) return false;
    for (let i = 0; i < scanner.members; i += 1) if (!this.#member(scanner, input, i, hasPlaces)) return false;
    return true;
  }

  /** After a `decide` that was true, where `time` is not `read`: the line's own time, milliseconds since the epoch. */
  ownTimeMs(input: Buffer): number {
    return this.#isNumber ? this.timeMs : rfc3339Ms(input, this.timeFrom, this.timeTo);
  }

  /** Looks at one member by its first letter, because most names are none of ours; false: the line becomes a message. */
  #member(scanner: JsonLineScanner, input: Buffer, index: number, hasPlaces: boolean): boolean {
    const from = scanner.nameFrom[index] ?? 0;
    const to = scanner.nameTo[index] ?? 0;
    const valueFrom = scanner.valueFrom[index] ?? 0;
    const valueTo = scanner.valueTo[index] ?? 0;
    switch (input[from]) {
      case 0x40: // @
        return !isName(input, from, to, TIMESTAMP) || this.#own(input, valueFrom, valueTo);
      case 0x74: // t
        this.#time(input, from, to, valueFrom, valueTo);
        return true;
      case 0x5f: // _
        return !METADATA_FIELDS.some((name) => isName(input, from, to, name));
      case 0x6b: // k
        return !hasPlaces || !isNameOrBelow(input, from, to, KUBERNETES);
      case 0x6f: // o
        return !hasPlaces || !isNameOrBelow(input, from, to, ORCHESTRATOR);
      case 0x6c: // l
        return !hasPlaces || this.#log(input, from, to, valueFrom, valueTo);
      default:
        return true;
    }
  }

  #own(input: Buffer, from: number, to: number): boolean {
    this.time = 'own';
    this.timeFrom = from + 1;
    this.timeTo = to - 1;
    this.#isNumber = input[from] !== 0x22;
    if (!this.#isNumber) return isRfc3339(input, from + 1, to - 1);
    const ms = to - from <= 14 ? epochMs(input, from, to) : undefined;
    this.timeMs = ms ?? 0;
    // Seconds would be read as milliseconds of 1970 by Elasticsearch; a fraction is not an epoch_millis.
    return (
      ms !== undefined &&
      ms >= EPOCH_MS_MIN &&
      ms < EPOCH_MS_MAX &&
      to - from >= 12 &&
      !input.subarray(from, to).includes(0x2e)
    );
  }

  #time(input: Buffer, from: number, to: number, valueFrom: number, valueTo: number): void {
    if (this.time === 'own') return;
    for (let rank = 0; rank < this.#rank; rank += 1) {
      const name = TIME_NAMES[rank];
      if (name === undefined || !isName(input, from, to, name)) continue;
      const isText = input[valueFrom] === 0x22;
      const ms = isText ? undefined : epochMs(input, valueFrom, valueTo);
      if (isText ? !isRfc3339(input, valueFrom + 1, valueTo - 1) : ms === undefined) return;
      this.#rank = rank;
      this.time = isText ? 'text' : 'number';
      this.timeFrom = valueFrom + 1;
      this.timeTo = valueTo - 1;
      this.timeMs = ms ?? 0;
      this.#isNumber = !isText;
      return;
    }
  }

  #log(input: Buffer, from: number, to: number, valueFrom: number, valueTo: number): boolean {
    if (isName(input, from, to, LOG_OFFSET) || isNameOrBelow(input, from, to, LOG_FILE)) return false;
    if (!isName(input, from, to, LOG)) return true;
    this.isLogDotted = true;
    const value = input.subarray(valueFrom, valueTo);
    // Looked for as text: a string that holds it by chance only costs its line the fields.
    return value[0] === 0x7b && !value.includes(OFFSET_NAME) && !value.includes(FILE_NAME);
  }
}

function isName(input: Uint8Array, from: number, to: number, name: Uint8Array): boolean {
  return to - from === name.length && beginsWith(input, from, name);
}

/** The name itself, or it and a dot. */
function isNameOrBelow(input: Uint8Array, from: number, to: number, name: Uint8Array): boolean {
  const length = to - from;
  if (length < name.length || !beginsWith(input, from, name)) return false;
  return length === name.length || input[from + name.length] === 0x2e;
}

function beginsWith(input: Uint8Array, from: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i += 1) if (input[from + i] !== name[i]) return false;
  return true;
}
