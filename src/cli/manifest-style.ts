/**
 * How a text is written (indentation, line breaks), and new parts written the same way.
 *
 * Pure. Invariant: what is written is read as the same value by YAML 1.1 and 1.2 alike. May import: everything but test.
 */
import { isMap, isNode, isScalar, isSeq, stringify, visit } from 'yaml';
import type { Node } from 'yaml';

import type { Json } from '../../webhook/json.ts';

export interface Style {
  readonly eol: '\n' | '\r\n';
  /** Spaces per level. */
  readonly indent: number;
  /** Whether lists stand deeper than the key they belong to. */
  readonly indentSeq: boolean;
}

const DEFAULT: Style = { eol: '\n', indent: 2, indentSeq: true };

/** The style of a text, as its first nested map and most of its lists show it. */
export function styleOf(text: string, root: Node): Style {
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const column = (offset: number): number => offset - text.lastIndexOf('\n', offset - 1) - 1;
  let indent: number | undefined;
  let deeperLists = 0;
  let lists = 0;
  visit(root, {
    Pair: (_key, { key, value }) => {
      if (!isScalar(key) || !key.range || !isNode(value) || !value.range) return undefined;
      const deeper = column(value.range[0]) - column(key.range[0]);
      if (isMap(value) && !value.flow && indent === undefined && deeper > 0) indent = deeper;
      if (isSeq(value) && !value.flow) {
        lists += 1;
        if (deeper > 0) deeperLists += 1;
      }
      return undefined;
    },
  });
  if (indent === undefined) {
    const line = /\n([ \t]+)\S/.exec(text)?.[1];
    indent = line === undefined ? DEFAULT.indent : line.length;
  }
  return { eol, indent: Math.min(indent, 8), indentSeq: lists === 0 ? DEFAULT.indentSeq : deeperLists * 2 >= lists };
}

/** Block style; lines after the first are indented by `column`. No line break at the end. */
export function blockText(value: Json, column: number, style: Style): string {
  const text = stringify(value, {
    // A word that only YAML 1.1 takes for a boolean or a number is quoted.
    version: '1.1',
    indent: style.indent,
    indentSeq: style.indentSeq,
    lineWidth: 0,
    blockQuote: 'literal',
    aliasDuplicateObjects: false,
  });
  const lines = text.replace(/\n$/, '').split('\n');
  return lines.map((line, i) => (i === 0 || line === '' ? line : `${' '.repeat(column)}${line}`)).join(style.eol);
}

/** A value on one line, in the quotes that are asked for where it is a text; undefined for what has more than one line. */
export function wordText(value: Json, quotes: 'PLAIN' | 'QUOTE_SINGLE' | 'QUOTE_DOUBLE'): string | undefined {
  if (typeof value === 'object' && value !== null) return undefined;
  if (typeof value !== 'string') return JSON.stringify(value);
  if (/\p{Cc}|[\u2028\u2029]/u.test(value)) return undefined;
  if (quotes === 'QUOTE_SINGLE') return `'${value.replaceAll("'", "''")}'`;
  const text = blockText(value, 0, DEFAULT);
  // A plain text must not end a flow collection that it may stand in.
  return quotes === 'QUOTE_DOUBLE' || text.includes('\n') || /^[^'"].*[,[\]{}]/.test(text)
    ? JSON.stringify(value)
    : text;
}

/** Flow style, as JSON. @param lead white space before the line it begins on; undefined for all on one line */
export function flowText(value: Json, lead: string | undefined, style: Style): string {
  if (lead === undefined) return JSON.stringify(value);
  const step = lead.startsWith('\t') ? '\t' : style.indent;
  return JSON.stringify(value, null, step).replaceAll('\n', `${style.eol}${lead}`);
}

/** A whole document in block style, a line break at its end. */
export function documentText(value: Json, style: Style = DEFAULT): string {
  return `${blockText(value, 0, style)}${style.eol}`;
}
