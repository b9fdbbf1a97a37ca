/**
 * The smallest edits of a text that turn one value of a YAML or JSON tree into another.
 *
 * Pure. Invariants: what is equal before and after keeps its bytes: comments, order, quotes, indentation; a key or an element that is
 * added and taken away again leaves the text as it was. Edits never overlap. What cannot be changed in place is written anew from the
 * smallest part around it; the caller compares the result with what it wanted (manifest-write.ts). May import: everything but test.
 */
import { isDeepStrictEqual } from 'node:util';

import { isMap, isNode, isScalar, isSeq, visit } from 'yaml';
import type { Node, Scalar, YAMLMap, YAMLSeq } from 'yaml';

import { isList, isObject, member } from '../../webhook/json.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { LineEdits } from './manifest-lines.ts';
import type { Edit } from './manifest-lines.ts';
import { align, endOf, keyedPairs } from './manifest-nodes.ts';
import type { Aligned, Keyed, Span } from './manifest-nodes.ts';
import { blockText, flowText, styleOf, wordText } from './manifest-style.ts';
import type { Style } from './manifest-style.ts';

/**
 * The edits for one document.
 *
 * @param text what the places of the tree are about
 * @param mode `literal` also writes every alias and merge key as what it stands for, because the anchor it names may have changed
 * @returns undefined where the whole document has to be written anew
 */
export function editsFor(
  text: string,
  root: Node,
  change: { readonly before: Json; readonly after: Json },
  mode: 'shared' | 'literal',
): readonly Edit[] | undefined {
  const editor = new Editor(text, root, mode === 'literal');
  return editor.change(root, change.before, change.after) ? editor.edits : undefined;
}

class Editor {
  readonly #lines: LineEdits;
  readonly #text: string;
  readonly #style: Style;
  readonly #isLiteral: boolean;
  readonly #shared = new Set<Node>();

  constructor(text: string, root: Node, isLiteral: boolean) {
    this.#text = text;
    this.#style = styleOf(text, root);
    this.#lines = new LineEdits(text, this.#style.eol);
    this.#isLiteral = isLiteral;
    if (isLiteral) this.#findShared(root);
  }

  get edits(): readonly Edit[] {
    return this.#lines.edits;
  }

  /** Every node that holds an alias or a merge key. */
  #findShared(root: Node): void {
    visit(root, {
      Alias: (_key, node, path) => {
        this.#shared.add(node);
        for (const parent of path) if (isNode(parent)) this.#shared.add(parent);
      },
    });
  }

  /** False where the node cannot be changed in place. */
  change(node: Node, before: Json, after: Json): boolean {
    if (!this.#shared.has(node) && isDeepStrictEqual(before, after)) return true;
    if (isMap(node) && isObject(before) && isObject(after))
      return (
        isFilled(node, after) &&
        (node.flow === true ? this.#flowMap(node, before, after) : this.#blockMap(node, before, after))
      );
    if (isSeq(node) && isList(before) && isList(after))
      return (
        isFilled(node, after) &&
        (node.flow === true ? this.#flowSeq(node, before, after) : this.#blockSeq(node, before, after))
      );
    return isScalar(node) && this.#changeScalar(node, after);
  }

  /** A word for a word, in the quotes that stand there. */
  #changeScalar(node: Scalar, after: Json): boolean {
    const [start, end] = node.range ?? [0, 0];
    if (start === end || node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED') return false;
    const text = wordText(after, node.type === 'QUOTE_SINGLE' || node.type === 'QUOTE_DOUBLE' ? node.type : 'PLAIN');
    if (text === undefined) return false;
    this.#lines.replace(start, end, text);
    return true;
  }

  // Block style: keys and dashes on lines of their own.

  #blockMap(node: YAMLMap, before: JsonObject, after: JsonObject): boolean {
    const pairs = keyedPairs(node);
    if (pairs === undefined || (this.#isLiteral && pairs.some(({ key }) => key === '<<'))) return false;
    const written = new Set(pairs.map(({ key }) => key));
    const isMerging = written.has('<<');
    // What a merge key brings in cannot be taken away in place.
    if (isMerging && Object.keys(before).some((key) => !written.has(key) && !Object.hasOwn(after, key))) return false;
    const added = Object.keys(after).filter(
      (key) => !written.has(key) && !(isMerging && isDeepStrictEqual(member(before, key), after[key])),
    );
    const isKept = ({ key }: Keyed): boolean => key === '<<' || Object.hasOwn(after, key);
    if (!pairs.some(isKept)) return false;
    for (const [i, pair] of pairs.entries()) {
      if (!isKept(pair)) {
        if (!this.#deletePair(pairs, i, isKept)) return false;
      } else if (pair.key !== '<<') this.#changePair(pair, member(before, pair.key) ?? null, after[pair.key] ?? null);
    }
    const last = pairs.at(-1);
    const column = this.#lines.column(pairs[0]?.start ?? 0);
    if (added.length > 0 && last !== undefined) {
      const block = blockText(Object.fromEntries(added.map((key) => [key, after[key] ?? null])), column, this.#style);
      this.#lines.insertLines(this.#lines.lineEnd(last.end), `${' '.repeat(column)}${block}`);
    }
    return true;
  }

  #changePair(pair: Keyed, before: Json, after: Json): void {
    if (pair.value !== undefined && this.change(pair.value, before, after)) return;
    if (pair.value === undefined && isDeepStrictEqual(before, after)) return;
    const column = this.#lines.column(pair.start);
    this.#rewriteLines(pair.start, pair.end, { column, text: blockText({ [pair.key]: after }, column, this.#style) });
  }

  /** A comment behind a value would become part of the last line of a longer one: it goes before it. */
  #rewriteLines(
    start: number,
    end: number,
    { column, text }: { readonly column: number; readonly text: string },
  ): void {
    const lineEnd = Math.max(end, this.#lines.textEnd(end));
    const comment = this.#text.slice(end, lineEnd).trim();
    if (!text.includes('\n') || comment === '') this.#lines.replace(start, end, text);
    else this.#lines.replace(start, lineEnd, `${comment}${this.#style.eol}${' '.repeat(column)}${text}`);
  }

  #deletePair(pairs: readonly Keyed[], i: number, isKept: (pair: Keyed) => boolean): boolean {
    const pair = pairs[i];
    if (pair === undefined) return false;
    const lineStart = this.#lines.lineStart(pair.start);
    if (/^ *$/.test(this.#text.slice(lineStart, pair.start))) {
      this.#lines.deleteLines(lineStart, this.#lines.lineEnd(pair.end));
      return true;
    }
    // The first key of an element stands behind its dash: the next one takes its place.
    const next = pairs[i + 1];
    if (next === undefined || !isKept(next)) return false;
    this.#lines.replace(pair.start, next.start, '');
    return true;
  }

  #blockSeq(node: YAMLSeq, before: readonly Json[], after: readonly Json[]): boolean {
    const dashes = this.#dashed(node);
    if (dashes === undefined || dashes.length !== before.length) return false;
    const alignment = align(before, after);
    if (alignment.every(({ from }) => from === undefined)) return false;
    const column = this.#lines.column(dashes[0]?.dash ?? 0);
    const kept = new Set(alignment.map(({ from }) => from));
    for (const [i, { dash, end }] of dashes.entries())
      if (!kept.has(i)) this.#lines.deleteLines(this.#lines.lineStart(dash), this.#lines.lineEnd(end));
    let previous = -1;
    let lines: Json[] = [];
    const flush = (): void => {
      if (lines.length === 0) return;
      const block = `${' '.repeat(column)}${blockText(lines, column, this.#style)}`;
      const above = dashes[previous];
      if (above !== undefined) this.#lines.insertLines(this.#lines.lineEnd(above.end), block);
      else this.#lines.insertLines(this.#lines.aboveComments(this.#lines.lineStart(dashes[0]?.dash ?? 0)), block);
      lines = [];
    };
    for (const { from, value } of alignment) {
      const item = from === undefined ? undefined : dashes[from];
      if (from === undefined || item === undefined) {
        lines.push(value);
        continue;
      }
      flush();
      previous = from;
      if (this.change(item.node, before[from] ?? null, value)) continue;
      this.#rewriteLines(item.dash, item.end, { column, text: blockText([value], column, this.#style) });
    }
    flush();
    return true;
  }

  /** The elements with their dashes; undefined where a dash is not the first thing on its line. */
  #dashed(node: YAMLSeq): readonly Dashed[] | undefined {
    const items: Dashed[] = [];
    let from = node.range?.[0] ?? 0;
    for (const item of node.items) {
      if (!isNode(item) || !item.range) return undefined;
      // An anchor or a comment may stand between the dash and its element.
      const match = /^( *)-(?=\s)/m.exec(this.#text.slice(from, item.range[0]));
      if (match === null) return undefined;
      const dash = from + match.index + (match[1]?.length ?? 0);
      if (!/^ *$/.test(this.#text.slice(this.#lines.lineStart(dash), dash))) return undefined;
      from = Math.max(endOf(item), dash + 1);
      items.push({ dash, end: from, node: item });
    }
    return items;
  }

  // Flow style: brackets and commas, as JSON is written.

  #flowMap(node: YAMLMap, before: JsonObject, after: JsonObject): boolean {
    const pairs = keyedPairs(node);
    if (pairs === undefined || pairs.some(({ key }) => key === '<<')) return false;
    const written = new Set(pairs.map(({ key }) => key));
    const added = Object.keys(after)
      .filter((key) => !written.has(key))
      .map((key) => ({ key, value: after[key] ?? null }));
    const alignment = [
      ...pairs.flatMap(({ key }, from) => (Object.hasOwn(after, key) ? [{ from, value: after[key] ?? null }] : [])),
      ...added.map(({ value }) => ({ from: undefined, value })),
    ];
    const names = added.map(({ key }) => `${JSON.stringify(key)}: `);
    return this.#flowItems(node, pairs, alignment, {
      prefix: () => names.shift() ?? '',
      before: (i) => member(before, pairs[i]?.key ?? '') ?? null,
    });
  }

  #flowSeq(node: YAMLSeq, before: readonly Json[], after: readonly Json[]): boolean {
    const items = node.items.flatMap((item): Span[] =>
      isNode(item) && item.range ? [{ start: item.range[0], end: endOf(item), value: item }] : [],
    );
    if (items.length !== before.length) return false;
    return this.#flowItems(node, items, align(before, after), { prefix: () => '', before: (i) => before[i] ?? null });
  }

  #flowItems(
    node: Node,
    items: readonly Span[],
    alignment: readonly Aligned[],
    about: { readonly prefix: () => string; readonly before: (index: number) => Json },
  ): boolean {
    const kept = alignment.flatMap(({ from }) => (from === undefined ? [] : [from]));
    const [first] = items;
    if (kept.length === 0 || first === undefined) return false;
    this.#deleteFlow(items, new Set(kept));
    const lead = this.#text.slice(this.#lines.lineStart(first.start), first.start);
    const isOnLines = /^\s*$/.test(lead) && this.#lines.lineStart(first.start) > (node.range?.[0] ?? 0);
    const separator = isOnLines ? `${this.#style.eol}${lead}` : ' ';
    const write = (value: Json): string =>
      `${about.prefix()}${flowText(value, isOnLines ? lead : undefined, this.#style)}`;
    let previous: Span | undefined;
    for (const { from, value } of alignment) {
      const item = from === undefined ? undefined : items[from];
      if (from !== undefined && item !== undefined) {
        if (item.value === undefined || !this.change(item.value, about.before(from), value))
          this.#rewriteFlow(item, value);
        previous = item;
      } else if (previous !== undefined)
        this.#lines.replace(previous.end, previous.end, `,${separator}${write(value)}`);
      else this.#lines.replace(first.start, first.start, `${write(value)},${separator}`);
    }
    return true;
  }

  /** Runs of elements go together with the comma behind them, at the end of the list with the one before them. */
  #deleteFlow(items: readonly Span[], kept: ReadonlySet<number>): void {
    for (let i = 0; i < items.length; i += 1) {
      if (kept.has(i)) continue;
      let end = i;
      while (end + 1 < items.length && !kept.has(end + 1)) end += 1;
      const [from, to, next, above] = [items[i], items[end], items[end + 1], items[i - 1]];
      if (next !== undefined) this.#lines.replace(from?.start ?? 0, next.start, '');
      else this.#lines.replace(above?.end ?? from?.start ?? 0, to?.end ?? 0, '');
      i = end;
    }
  }

  #rewriteFlow(item: Span, value: Json): void {
    const start = item.value?.range?.[0] ?? item.start;
    const indent = /^\s*/.exec(this.#text.slice(this.#lines.lineStart(item.start)))?.[0] ?? '';
    this.#lines.replace(start, item.end, flowText(value, this.#text.includes('\n') ? indent : undefined, this.#style));
  }
}

interface Dashed {
  readonly dash: number;
  readonly end: number;
  readonly node: Node;
}

function isFilled(node: YAMLMap | YAMLSeq, after: Json): boolean {
  return node.items.length > 0 && (isList(after) ? after.length > 0 : Object.keys(after ?? {}).length > 0);
}
