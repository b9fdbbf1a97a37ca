/**
 * JSON in lines that `kubectl describe` shows whole: it cuts each line of an annotation.
 *
 * Pure. Invariants: the text is JSON of the value; the same value gives the same text; a line is longer than the bound only where one
 * member alone is. May import: nothing else.
 */
import type { Json } from './json.ts';

/** kubectl, printAnnotationsMultiline: 140 characters less the indent. */
const LINE_CHARS_MAX = 138;

const QUOTE = 0x22;
const COMMA = 0x2c;

/** The value as JSON, broken between members and elements. */
export function inLines(value: Json): string {
  const json = JSON.stringify(value);
  let text = '';
  let lineChars = 0;
  let begin = 0;
  const put = (end: number): void => {
    const isFull = lineChars > 0 && lineChars + end - begin > LINE_CHARS_MAX;
    text += isFull ? `\n${json.slice(begin, end)}` : json.slice(begin, end);
    lineChars = (isFull ? 0 : lineChars) + end - begin;
    begin = end;
  };
  for (let i = 0; i < json.length; i += 1) {
    const char = json.charCodeAt(i);
    if (char === QUOTE) i = endOfString(json, i + 1);
    else if (char === COMMA) put(i + 1);
  }
  put(json.length);
  return text;
}

/** Index of the quote that ends the string. */
function endOfString(json: string, begin: number): number {
  let at = begin;
  for (let end = json.indexOf('"', at); ; end = json.indexOf('"', at)) {
    const escape = json.indexOf('\\', at);
    if (escape === -1 || escape > end) return end;
    at = escape + 2;
  }
}
