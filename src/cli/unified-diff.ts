/**
 * A unified diff (POSIX diff -u) from edits whose places are known, so that nothing has to be searched for.
 *
 * Pure. Invariant: applying the hunks to the old text gives the new one. May import: everything but test.
 */
import type { Edit } from './manifest-lines.ts';

const CONTEXT_LINES = 3;

/** Lines `[from, to)` of the old text and what stands there instead. */
interface Change {
  readonly from: number;
  readonly to: number;
  readonly lines: readonly string[];
}

/**
 * The diff with its two header lines; the empty text where nothing changes.
 *
 * @param edits in ascending order
 */
export function unifiedDiff(name: string, text: string, edits: readonly Edit[]): string {
  const old = linesOf(text);
  const changes = lineChanges(text, old, edits);
  const hunks = grouped(changes);
  if (hunks.length === 0) return '';
  let shift = 0;
  const parts = hunks.map((hunk) => {
    const part = hunkText(old, hunk, shift);
    for (const { from, to, lines } of hunk) shift += lines.length - (to - from);
    return part;
  });
  return `--- ${name}\n+++ ${name} (injected)\n${parts.join('')}`;
}

/** The diff in the colours of `git diff`: ECMA-48 SGR. */
export function coloured(diff: string): string {
  const colour = (line: string): number | undefined => {
    if (/^(?:---|\+\+\+) /.test(line)) return 1;
    if (line.startsWith('@@')) return 36;
    return line.startsWith('+') ? 32 : line.startsWith('-') ? 31 : undefined;
  };
  return diff
    .split('\n')
    .map((line) => {
      const code = colour(line);
      return code === undefined ? line : `\u001b[${code}m${line}\u001b[0m`;
    })
    .join('\n');
}

/** Lines with their line breaks. */
function linesOf(text: string): readonly string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** Edits as whole lines; those that share a line are one change. */
function lineChanges(text: string, old: readonly string[], edits: readonly Edit[]): readonly Change[] {
  const starts: number[] = [];
  let at = 0;
  for (const line of old) {
    starts.push(at);
    at += line.length;
  }
  const startOf = (line: number): number => starts[line] ?? text.length;
  const groups: { from: number; to: number; edits: Edit[] }[] = [];
  let line = 0;
  for (const edit of edits) {
    while (line < old.length && startOf(line + 1) <= edit.start && startOf(line + 1) < text.length) line += 1;
    const isAtEnd = edit.start >= text.length && (text === '' || text.endsWith('\n'));
    const from = isAtEnd ? old.length : line;
    let to = from;
    while (to < old.length && startOf(to) < edit.end) to += 1;
    // An insertion inside a line, or one that ends in the middle of one, touches that line as well.
    const isWhole =
      edit.start === startOf(from) && (edit.text === '' || edit.text.endsWith('\n')) && edit.end === startOf(to);
    if (!isWhole && to === from && from < old.length) to += 1;
    const last = groups.at(-1);
    if (last !== undefined && from < last.to) {
      last.to = Math.max(last.to, to);
      last.edits.push(edit);
    } else groups.push({ from, to, edits: [edit] });
  }
  return groups
    .map((group) => trimmedChange(text, old, startOf, group))
    .filter(({ from, to, lines }) => to > from || lines.length > 0);
}

function trimmedChange(
  text: string,
  old: readonly string[],
  startOf: (line: number) => number,
  group: { readonly from: number; readonly to: number; readonly edits: readonly Edit[] },
): Change {
  let at = startOf(group.from);
  let changed = '';
  for (const edit of group.edits) {
    changed += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  changed += text.slice(at, Math.max(at, startOf(group.to)));
  const lines = [...linesOf(changed)];
  let { from, to } = group;
  while (from < to && lines.length > 0 && old[from] === lines[0]) {
    lines.shift();
    from += 1;
  }
  while (to > from && lines.length > 0 && old[to - 1] === lines.at(-1)) {
    lines.pop();
    to -= 1;
  }
  return { from, to, lines };
}

/** Changes whose contexts touch stand in one hunk. */
function grouped(changes: readonly Change[]): readonly (readonly Change[])[] {
  const hunks: Change[][] = [];
  for (const change of changes) {
    const last = hunks.at(-1);
    const end = last?.at(-1)?.to;
    if (last !== undefined && end !== undefined && change.from - end <= 2 * CONTEXT_LINES) last.push(change);
    else hunks.push([change]);
  }
  return hunks;
}

function hunkText(old: readonly string[], hunk: readonly Change[], shift: number): string {
  const first = hunk[0]?.from ?? 0;
  const last = hunk.at(-1)?.to ?? 0;
  const start = Math.max(0, first - CONTEXT_LINES);
  const end = Math.min(old.length, last + CONTEXT_LINES);
  const body: string[] = [];
  let at = start;
  let added = 0;
  for (const { from, to, lines } of hunk) {
    body.push(...old.slice(at, from).map((line) => marked(' ', line)));
    body.push(...old.slice(from, to).map((line) => marked('-', line)));
    body.push(...lines.map((line) => marked('+', line)));
    added += lines.length - (to - from);
    at = to;
  }
  body.push(...old.slice(at, end).map((line) => marked(' ', line)));
  const count = end - start;
  return `@@ -${range(start, count)} +${range(start + shift, count + added)} @@\n${body.join('')}`;
}

function marked(sign: string, line: string): string {
  return line.endsWith('\n') ? `${sign}${line}` : `${sign}${line}\n\\ No newline at end of file\n`;
}

/** An empty range is named by the line before it. */
function range(start: number, count: number): string {
  if (count === 0) return `${start},0`;
  return count === 1 ? `${start + 1}` : `${start + 1},${count}`;
}
