/**
 * Globs of file names: `*`, `?`, `[a-z]`, `[!a]` inside one name, `**` for any number of folders. Pure.
 *
 * Rules as in POSIX 2.14 (pattern matching notation): a wildcard never matches `/` nor the leading dot of a hidden name. The time is
 * bounded by the product of both lengths, whatever the user wrote: no backtracking over more than one star.
 * May import: nothing.
 */

/** A glob cut at its slashes. */
export type Glob = readonly string[];

/** @param pattern relative to a folder: `*.log`, `**` + `/app.log` */
export function parseGlob(pattern: string): Glob {
  return pattern.split('/').filter((part) => part !== '');
}

/** How many folders below its root the glob can reach: 0 for `*.log`, Infinity with `**`. */
export function globDepth(glob: Glob): number {
  return glob.includes('**') ? Number.POSITIVE_INFINITY : Math.max(0, glob.length - 1);
}

/** Does the path (names below the root, without slashes) match as a whole? */
export function matchGlob(glob: Glob, path: readonly string[], globAt = 0, pathAt = 0): boolean {
  let g = globAt;
  let p = pathAt;
  for (; g < glob.length; g += 1, p += 1) {
    const part = glob[g] ?? '';
    if (part === '**') {
      // Runs of `**` mean the same as one; every folder that they may swallow is tried, the shortest first.
      while (glob[g + 1] === '**') g += 1;
      if (g === glob.length - 1) return p < path.length && path.slice(p).every((name) => !name.startsWith('.'));
      for (let rest = p; rest < path.length; rest += 1) {
        if (matchGlob(glob, path, g + 1, rest)) return true;
        if (path[rest]?.startsWith('.') === true) return false;
      }
      return false;
    }
    const name = path[p];
    if (name === undefined || !matchName(part, name)) return false;
  }
  return p === path.length;
}

/** May a folder (names below the root) hold anything that the glob matches? */
export function mayHold(glob: Glob, folder: readonly string[]): boolean {
  for (let i = 0; i < folder.length; i += 1) {
    const part = glob[i];
    if (part === '**') return !folder.slice(i).some((name) => name.startsWith('.'));
    if (part === undefined || i >= glob.length - 1 || !matchName(part, folder[i] ?? '')) return false;
  }
  return true;
}

/** One name against one pattern without slashes. */
export function matchName(pattern: string, name: string): boolean {
  if (name.startsWith('.') && !pattern.startsWith('.')) return false;
  let p = 0;
  let n = 0;
  let starAt = -1;
  let starName = 0;
  while (n < name.length) {
    const step = p < pattern.length && pattern[p] !== '*' ? matchOne(pattern, p, name[n] ?? '') : 0;
    if (step > 0) {
      p += step;
      n += 1;
    } else if (pattern[p] === '*') {
      starAt = p;
      starName = n;
      p += 1;
    } else if (starAt >= 0) {
      // Only the last star is tried again: an earlier one could not match more than it has.
      starName += 1;
      n = starName;
      p = starAt + 1;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}

/** Length of the pattern element at `p` if it matches `char`, else 0. A bracket that is never closed stands for itself. */
function matchOne(pattern: string, p: number, char: string): number {
  const head = pattern[p];
  if (head === '?') return 1;
  if (head === '\\' && p + 1 < pattern.length) return pattern[p + 1] === char ? 2 : 0;
  const close =
    head === '[' ? pattern.indexOf(']', p + (pattern[p + 1] === '!' || pattern[p + 1] === '^' ? 3 : 2)) : -1;
  if (close < 0) return head === char ? 1 : 0;
  const negated = pattern[p + 1] === '!' || pattern[p + 1] === '^';
  const set = pattern.slice(p + (negated ? 2 : 1), close);
  return inSet(set, char) === negated ? 0 : close + 1 - p;
}

function inSet(set: string, char: string): boolean {
  for (let i = 0; i < set.length; i += 1) {
    const from = set[i] ?? '';
    const to = set[i + 2];
    if (set[i + 1] === '-' && to !== undefined) {
      if (char >= from && char <= to) return true;
      i += 2;
    } else if (char === from) return true;
  }
  return false;
}
