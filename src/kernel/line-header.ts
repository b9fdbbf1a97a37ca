/**
 * The usual header of a container runtime's line, `2016-10-06T00:17:09.669794202Z stdout F `: the form that the byte kernel takes. In UTC,
 * of a second of the calendar, with `stdout`, `stderr` or `-`, and one tag, F or P. Any other form is parse/cri-line.ts's.
 *
 * Twin of `headerEnd` in assembly/line-kernel.ts. Source: Kubernetes, "CRI log format" (kuberuntime/logs/logs.go, parseCRILog). Nothing is
 * allocated. May import: core.
 */

const NONE = -1;
const SECOND_BYTES = 19;
/** What the digits of the milliseconds are too much as bytes. */
const ZEROS = 0x30 * 111;
const SECOND_MARKS: readonly (readonly [at: number, byte: number])[] = [
  [4, 0x2d],
  [7, 0x2d],
  [10, 0x54],
  [13, 0x3a],
  [16, 0x3a],
];
const STDIO = [Buffer.from('stdout '), Buffer.from('stderr '), Buffer.from('- ')] as const;

export class LineHeader {
  /** After a `read` that found one: 0 for stdout, 1 for stderr, 2 where nobody said which. */
  stdio: 0 | 1 | 2 = 0;
  /** The line goes on in the next one of the same stdio. */
  isPartial = false;
  readonly #millis = Uint8Array.of(0x30, 0x30, 0x30);
  /** What `timeMs` computed last, and of what. */
  readonly #second = new Uint8Array(SECOND_BYTES);
  #secondMs = 0;

  /** Where the text behind the header at `at` begins; -1 when there is none of the usual form. */
  read(input: Uint8Array, at: number, to: number): number {
    if (at + SECOND_BYTES + 5 > to || !isSecond(input, at)) return NONE;
    let i = at + SECOND_BYTES;
    this.#millis.fill(0x30);
    if (input[i] === 0x2e) {
      const first = i + 1;
      for (i = first; i < to && isDigit(input[i]); i += 1) if (i < first + 3) this.#millis[i - first] = input[i] ?? 0;
      if (i === first) return NONE;
    }
    if (input[i] !== 0x5a || input[i + 1] !== 0x20) return NONE;
    i += 2;
    const stdio = STDIO.findIndex((name) => begins(input, i, name));
    if (stdio < 0) return NONE;
    this.stdio = stdio === 0 ? 0 : stdio === 1 ? 1 : 2;
    i += STDIO[this.stdio].length;
    this.isPartial = input[i] === 0x50;
    return (this.isPartial || input[i] === 0x46) && input[i + 1] === 0x20 && i + 2 <= to ? i + 2 : NONE;
  }

  /** The time of the header at `from` that was just read, in milliseconds since the epoch. */
  timeMs(input: Uint8Array, from: number): number {
    // Lines come in runs of equal seconds.
    if (!begins(input, from, this.#second)) {
      this.#second.set(input.subarray(from, from + SECOND_BYTES));
      // Years before 100 become those of the 20th century: long past either way.
      this.#secondMs = Date.UTC(
        number(input, from, 4),
        number(input, from + 5, 2) - 1,
        number(input, from + 8, 2),
        number(input, from + 11, 2),
        number(input, from + 14, 2),
        number(input, from + 17, 2),
      );
    }
    const [hundreds = 0, tens = 0, ones = 0] = this.#millis;
    return this.#secondMs + hundreds * 100 + tens * 10 + ones - ZEROS;
  }

  /** Writes the time of the header at `from` that was just read, with milliseconds: 24 bytes at `at`. */
  writeTime(input: Uint8Array, from: number, out: Uint8Array, at: number): void {
    for (let i = 0; i < SECOND_BYTES; i += 1) out[at + i] = input[from + i] ?? 0;
    out[at + SECOND_BYTES] = 0x2e;
    out.set(this.#millis, at + SECOND_BYTES + 1);
    out[at + SECOND_BYTES + 4] = 0x5a;
  }
}

/** A second of the calendar; a leap second is none. */
function isSecond(input: Uint8Array, at: number): boolean {
  if (!SECOND_MARKS.every(([place, byte]) => input[at + place] === byte)) return false;
  const year = number(input, at, 4);
  const month = number(input, at + 5, 2);
  const day = number(input, at + 8, 2);
  const hours = number(input, at + 11, 2);
  const minutes = number(input, at + 14, 2);
  const seconds = number(input, at + 17, 2);
  const isDay = year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= daysOf(year, month);
  return isDay && hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60 && seconds >= 0 && seconds < 60;
}

function daysOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** So many digits, -1 when one of them is none. */
function number(input: Uint8Array, at: number, digits: number): number {
  let value = 0;
  for (let i = at; i < at + digits; i += 1) {
    if (!isDigit(input[i])) return -1;
    value = value * 10 + (input[i] ?? 0) - 0x30;
  }
  return value;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function begins(input: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i += 1) if (input[at + i] !== name[i]) return false;
  return true;
}
