/**
 * What one scan says of the files that are known. Pure.
 *
 * May import: source.
 */
import type { Scan, Sighting } from './directory-scan.ts';
import type { SourceFile } from './source-file.ts';

/** One sighting for each inode: the owner's own path before others, then the name that is no rotation, then the one the glob matches. */
export function bestSightings(
  sightings: readonly Sighting[],
  owners: ReadonlyMap<string, SourceFile>,
): Map<string, Sighting> {
  const best = new Map<string, Sighting>();
  for (const sighting of sightings) {
    const { key } = sighting;
    const other = best.get(key);
    if (other === undefined) {
      best.set(key, sighting);
      continue;
    }
    const own = owners.get(key)?.info.path;
    const score = (s: Sighting): number =>
      (s.path === own ? 4 : 0) + (s.base === undefined ? 2 : 0) + (s.matched ? 1 : 0);
    if (score(sighting) > score(other)) best.set(key, sighting);
  }
  return best;
}

/** Is its last known name, or a folder above it, among what could not be looked at? Then nothing is known of it. */
export function isHidden({ name }: SourceFile, problems: Scan['problems']): boolean {
  return name !== undefined && problems.some((problem) => name === problem.name || name.startsWith(`${problem.name}/`));
}
