/**
 * Edits of a text by its lines: where lines begin and end, and whole lines put in and taken out.
 *
 * Invariants: edits never overlap; lines that are put in and taken out again leave the text as it was, the line break at its end
 * included. May import: everything but test.
 */

/** `[start, end)` of the text gives way to `text`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** A text, and what is to be done to it. */
export class LineEdits {
  readonly edits: Edit[] = [];
  readonly #text: string;
  readonly #eol: string;

  /** @param eol the line break of the text */
  constructor(text: string, eol: string) {
    this.#text = text;
    this.#eol = eol;
  }

  /** One more edit. */
  replace(start: number, end: number, text: string): void {
    this.edits.push({ start, end, text });
  }

  /** Where the line of `offset` begins. */
  lineStart(offset: number): number {
    return this.#text.lastIndexOf('\n', offset - 1) + 1;
  }

  /** Behind the line break of the line that `offset` ends; block texts end behind theirs already. */
  lineEnd(offset: number): number {
    if (offset > 0 && this.#text[offset - 1] === '\n') return offset;
    const end = this.#text.indexOf('\n', offset);
    return end === -1 ? this.#text.length : end + 1;
  }

  /** Before the line break. */
  textEnd(offset: number): number {
    const end = this.lineEnd(offset);
    return end - (/\r?\n$/.exec(this.#text.slice(Math.max(0, end - 2), end))?.[0].length ?? 0);
  }

  /** Characters between the beginning of the line and `offset`. */
  column(offset: number): number {
    return offset - this.lineStart(offset);
  }

  /** The beginning of the first of the comment lines right above a line. */
  aboveComments(lineStart: number): number {
    let start = lineStart;
    while (start > 0) {
      const above = this.lineStart(start - 1);
      if (!/^ *#/.test(this.#text.slice(above, start))) return start;
      start = above;
    }
    return start;
  }

  /** Puts whole lines in, without the line break of the last, at the beginning or behind the end of a line. */
  insertLines(at: number, lines: string): void {
    const isOpen = at > 0 && this.#text[at - 1] !== '\n';
    this.replace(at, at, isOpen ? `${this.#eol}${lines}` : `${lines}${this.#eol}`);
  }

  /** Takes whole lines out: `start` begins one, `end` is behind the line break of another or at the end of the text. */
  deleteLines(start: number, end: number): void {
    // The last lines of a text without a line break at its end take the one before them along, however many deletions they are.
    const isOpen = end === this.#text.length && this.#text[end - 1] !== '\n';
    let from = start;
    if (isOpen) {
      const isAbove = (edit: Edit): boolean => edit.text === '' && edit.end === from && edit.start < from;
      for (let i = this.edits.findLastIndex(isAbove); i !== -1; i = this.edits.findLastIndex(isAbove))
        from = this.edits.splice(i, 1)[0]?.start ?? from;
    }
    this.replace(isOpen && from > 0 ? from - this.#eol.length : from, end, '');
  }
}
