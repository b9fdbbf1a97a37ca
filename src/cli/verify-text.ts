/**
 * The verdicts of `logtender verify` in sentences. Pure. May import: cli.
 */
import type { GroupVerdict } from './verify-group.ts';
import type { SourceVerdict } from './verify-track.ts';

export function verdictText({
  source,
  container,
  path,
  expected,
  found,
  missing,
  twice,
  ranges,
  undecided,
}: SourceVerdict): string {
  const what = missing + twice === 0 ? 'all there once' : `${missing} missing, ${twice} twice`;
  const note = undecided === undefined ? '' : `; ${undecided}`;
  const lines = [`${container}:${path} (${source}): ${found} of ${expected} records, ${what}${note}`];
  for (const range of ranges)
    lines.push(
      range.what === 'twice'
        ? `  twice at offset ${range.from}`
        : `  missing from offset ${range.from} up to ${range.to}`,
    );
  return `${lines.join('\n')}\n`;
}

export function summaryText(sum: {
  readonly sources: number;
  readonly found: number;
  readonly missing: number;
  readonly twice: number;
  readonly unlisted_lines: number;
}): string {
  const more = sum.unlisted_lines === 0 ? '' : unlistedText(sum.unlisted_lines);
  return `${sum.sources} sources, ${sum.found} records found, ${sum.missing} missing, ${sum.twice} twice${more}\n`;
}

export function groupText(verdict: GroupVerdict): string {
  const { name, expected, found, missing, twice, twice_max: most, strangers, ranges, undecided } = verdict;
  const bound = most === Number.MAX_SAFE_INTEGER ? '' : ` (the ledger allows ${most})`;
  const parts = [
    missing === 0 ? `all ${expected} there` : `${missing} of ${expected} missing`,
    ...(twice === 0 ? [] : [`${twice} more than once${bound}`]),
    ...(strangers === 0 ? [] : [`${strangers} that no file explains`]),
  ];
  const note = undecided === undefined ? '' : `; ${undecided}`;
  const lines = ranges.map(({ path, from, to }) => `  missing from offset ${from} up to ${to} of ${path}`);
  return `${[`${name}: ${found} records, ${parts.join(', ')}${note}`, ...lines].join('\n')}\n`;
}

export function groupsText(sum: {
  readonly places: number;
  readonly found: number;
  readonly missing: number;
  readonly twice: number;
  readonly unlisted_lines: number;
}): string {
  const more = sum.unlisted_lines === 0 ? '' : unlistedText(sum.unlisted_lines);
  return `${sum.places} places, ${sum.found} records found, ${sum.missing} missing, ${sum.twice} more than once${more}\n`;
}

function unlistedText(lines: number): string {
  return `; ${lines} delivered lines are of sources that the ledger does not list any more`;
}
