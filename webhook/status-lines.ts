/**
 * JSON in lines that `kubectl describe` shows whole: it cuts each line of an annotation.
 *
 * Pure. Invariants: the text is JSON of the value; the same value gives the same text; a line is longer than the bound only where one
 * member alone is. May import: nothing else.
 */
import { isList, isObject } from './json.ts';
import type { Json } from './json.ts';

/** kubectl, printAnnotationsMultiline: 140 characters less the indent. */
const LINE_CHARS_MAX = 138;

/** The value as JSON, broken between members and elements. */
export function inLines(value: Json): string {
  const writer = new LineWriter();
  writer.write(value);
  return writer.end();
}

/** Printable ASCII but `"` and `\\`: what JSON leaves as it is, and nearly all that a status says. */
const PLAIN = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** Collects pieces between which a line may end, and ends it before the first that does not fit. */
class LineWriter {
  #text = '';
  #lineChars = 0;
  #piece = '';

  write(value: Json): void {
    if (isList(value)) {
      this.#piece += '[';
      value.forEach((item, i) => {
        if (i > 0) this.#next();
        this.write(item);
      });
      this.#piece += ']';
    } else if (isObject(value)) {
      this.#piece += '{';
      Object.keys(value).forEach((key, i) => {
        if (i > 0) this.#next();
        this.#piece += `${quoted(key)}:`;
        this.write(value[key] ?? null);
      });
      this.#piece += '}';
    } else {
      this.#piece += typeof value === 'string' ? quoted(value) : JSON.stringify(value);
    }
  }

  end(): string {
    this.#put();
    return this.#text;
  }

  #next(): void {
    this.#piece += ',';
    this.#put();
  }

  #put(): void {
    if (this.#lineChars > 0 && this.#lineChars + this.#piece.length > LINE_CHARS_MAX) {
      this.#text += '\n';
      this.#lineChars = 0;
    }
    this.#text += this.#piece;
    this.#lineChars += this.#piece.length;
    this.#piece = '';
  }
}
