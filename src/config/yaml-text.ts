/**
 * The text of a YAML file as raw values, with the line of every path.
 *
 * Invariants: it never throws; every fault of the text is a problem with its line, and only `found` holds words of the text; aliases cannot blow a file up (the parser's own
 * bound); one document. May import: core, config.
 */
import { isCollection, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { Document, Node } from 'yaml';

import { errorText } from '../core/errors.ts';
import type { Parsed, Problem } from './fields.ts';

export interface YamlText {
  /** Undefined or null for an empty file. */
  readonly raw: unknown;
  /** Line of the longest part of a path (`server.port`, `hosts`) that is in the file; undefined for none of it. */
  line(path: string): number | undefined;
}

/** Faults that are listed: the parser goes on after each, and the first few tell the story. */
const FAULTS_MAX = 10;

/** Reads one document. */
export function readYaml(text: string): Parsed<YamlText> {
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { lineCounter: lines });
    if (document.errors.length > 0) {
      const problems = document.errors.slice(0, FAULTS_MAX).map((error): Problem => {
        const found = (error.message.split('\n', 1)[0] ?? '').replace(/ at line \d+, column \d+:$/, '');
        // The code is one of a fixed set of words, the message may hold a part of the text.
        const expected = `YAML without ${error.code}`;
        return { path: '(file)', expected, found, line: lines.linePos(error.pos[0]).line };
      });
      return { ok: false, problems };
    }
    const aliases = danglingAliases(document);
    if (aliases.length > 0) {
      const problems = aliases.slice(0, FAULTS_MAX).map(({ name, offset }): Problem => {
        const expected = 'YAML in which each *alias has its &anchor before it';
        const hint = 'write a text that begins with * in quotes';
        return { path: '(file)', expected, found: `*${name}`, hint, line: lines.linePos(offset).line };
      });
      return { ok: false, problems };
    }
    const line = (path: string): number | undefined => {
      const offset = offsetOf(document.contents, path);
      return offset === undefined ? undefined : lines.linePos(offset).line;
    };
    return { ok: true, value: { raw: document.toJS(), line } };
  } catch (error) {
    return { ok: false, problems: [{ path: '(file)', expected: 'YAML', found: errorText(error) }] };
  }
}

/**
 * Aliases whose anchor is not set before them, most often a text that begins with a star and lacks its quotes; and those of what they
 * stand in, which would have no end.
 */
function danglingAliases(document: Document.Parsed): readonly { readonly name: string; readonly offset: number }[] {
  const found: { readonly name: string; readonly offset: number }[] = [];
  const anchors = new Set<string>();
  const keep = (_: unknown, { anchor }: { readonly anchor?: string }): void => {
    if (anchor !== undefined) anchors.add(anchor);
  };
  // In the order of the text, once: to resolve each alias by itself would walk the whole document again and again.
  visit(document, {
    Map: keep,
    Seq: keep,
    Scalar: keep,
    Alias: (_, { source, range }, ancestors) => {
      const isInItself = ancestors.some((node) => isCollection(node) && node.anchor === source);
      if (isInItself || !anchors.has(source)) found.push({ name: source, offset: range?.[0] ?? 0 });
    },
  });
  return found;
}

/** The same result, each problem with the line that it is about, in the order of the file. */
export function withLines<T>(parsed: Parsed<T>, yaml: YamlText): Parsed<T> {
  if (parsed.ok) return parsed;
  const problems = parsed.problems.map((problem): Problem => {
    // An item of a list has the line of its list.
    const line = yaml.line(problem.path.replace(/\[.*$/s, ''));
    return line === undefined ? problem : { ...problem, line };
  });
  const lineOf = (problem: Problem): number => problem.line ?? Number.MAX_SAFE_INTEGER;
  return { ok: false, problems: problems.toSorted((a, b) => lineOf(a) - lineOf(b)) };
}

/** Where the key (or list) begins that the path ends at. A key may hold dots itself, so keys are compared with what is left. */
function offsetOf(node: Node | null, path: string): number | undefined {
  if (path === '') return undefined;
  if (isSeq(node)) return node.range?.[0];
  if (!isMap(node)) return undefined;
  for (const { key, value } of node.items) {
    if (!isScalar(key)) continue;
    const name = String(key.value);
    const isWhole = path === name;
    if (!isWhole && !path.startsWith(`${name}.`)) continue;
    const deeper = isWhole ? undefined : offsetOf(asNode(value), path.slice(name.length + 1));
    return deeper ?? key.range?.[0];
  }
  return undefined;
}

function asNode(value: unknown): Node | null {
  return isMap(value) || isSeq(value) || isScalar(value) ? value : null;
}
