/**
 * The hour of a record, from its `@timestamp` as it was encoded.
 *
 * Most records of a batch are of one hour: thirteen bytes are compared and nothing is parsed. May import: core.
 */
import { HOUR_MS } from './object-key.ts';

const TIME_MEMBER = Buffer.from('"@timestamp":"');
/** `2026-11-28T13`. */
const HOUR_BYTES = 13;
/** Where the zone stands in a time with milliseconds. */
const ZONE_AT = 23;
/** The longest time that is looked at: nanoseconds and a zone. */
const TIME_BYTES_MAX = 40;
const QUOTE = 0x22;
const ZULU = 0x5a;

export class RecordHours {
  #hourMs = Number.NaN;
  /** The hour as it stands in a time; no time begins with what it is before the first one. */
  #text: Uint8Array = Buffer.alloc(HOUR_BYTES);

  /**
   * Beginning of the hour of the record `body[from, to)`, in milliseconds; undefined when it shows no time that can be read.
   */
  hourOf(body: Buffer, from: number, to: number): number | undefined {
    const at = this.#timeAt(body, from, to);
    if (at === undefined) return undefined;
    if (at + ZONE_AT < to && body[at + ZONE_AT] === ZULU && isAt(body, at, this.#text)) return this.#hourMs;
    const end = body.indexOf(QUOTE, at);
    if (end < 0 || end > to || end - at > TIME_BYTES_MAX) return undefined;
    const timeMs = Date.parse(body.toString('latin1', at, end));
    if (!Number.isFinite(timeMs)) return undefined;
    this.#hourMs = Math.floor(timeMs / HOUR_MS) * HOUR_MS;
    this.#text = Buffer.from(new Date(this.#hourMs).toISOString().slice(0, HOUR_BYTES));
    return this.#hourMs;
  }

  /** It stands right behind the brace, but for records that brought their own. */
  #timeAt(body: Buffer, from: number, to: number): number | undefined {
    const usual = from + 1;
    if (isAt(body, usual, TIME_MEMBER)) return usual + TIME_MEMBER.length;
    const found = body.subarray(from, to).indexOf(TIME_MEMBER);
    return found < 0 ? undefined : from + found + TIME_MEMBER.length;
  }
}

function isAt(body: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i += 1) if (body[at + i] !== text[i]) return false;
  return true;
}
