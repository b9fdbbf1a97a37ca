/**
 * Where in our container each part of a volume stands.
 *
 * Invariant: mounts never lie inside each other, because the runtime cannot make a mount point inside a read-only mount.
 * May import: core, config.
 */
import { isInside } from './mount-path.ts';
import { PATHS } from './names.ts';
import type { SubPath } from './sub-path.ts';

/** A mount of the sidecar, read-only. */
export interface LogMount {
  readonly volume: string;
  readonly path: string;
  readonly part: SubPath;
}

/** Gives every mount of the sidecar a place that lies in no other mount and has no other mount in it. */
export class Places {
  readonly mounts: LogMount[] = [];
  /** By the first directory below the root of all: mounts in different ones are never near each other. */
  readonly #mountsBelow = new Map<string, LogMount[]>();

  take(container: string, path: string, source: { readonly volume: string; readonly part: SubPath }): string {
    for (let n = 0; ; n += 1) {
      // A container's name has no dot, so `app.1` is nobody else's place.
      const place = `${PATHS.logs}/${container}${n === 0 ? '' : `.${n}`}${path}`;
      const below = this.#below(place);
      const near = below.filter((mount) => isInside(place, mount.path) || isInside(mount.path, place));
      const same = near.find(
        (mount) => mount.path === place && mount.volume === source.volume && isSame(mount.part, source.part),
      );
      if (same !== undefined) return place;
      if (near.length > 0) continue;
      const made = { volume: source.volume, part: source.part, path: place };
      this.mounts.push(made);
      below.push(made);
      return place;
    }
  }

  #below(place: string): LogMount[] {
    const begin = PATHS.logs.length + 1;
    const first = place.slice(begin, place.indexOf('/', begin));
    const known = this.#mountsBelow.get(first) ?? [];
    this.#mountsBelow.set(first, known);
    return known;
  }
}

function isSame(a: SubPath, b: SubPath): boolean {
  return a.subPath === b.subPath && a.subPathExpr === b.subPathExpr;
}
