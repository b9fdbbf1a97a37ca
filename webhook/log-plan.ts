/**
 * Which directories are tailed for which container, on which volume, and where the sidecar sees them.
 *
 * Pure. Invariants: no mount of ours at or above a directory that containers live from, nor inside one of the system; a volume that the user mounted at or above
 * the directory is used instead of ours; mounts in the sidecar never lie inside each other (the runtime could not make a mount point
 * inside a read-only mount, and the pod would not start); one file is shipped once, even when several containers mount its volume.
 * May import: core, config.
 */
import { nearest } from '../src/config/fields.ts';
import type { FileGlob } from '../src/config/forwarder-config.ts';
import type { FileEntry } from './annotation-values.ts';
import type { Finding } from './finding.ts';
import { isLogLike, isOfSystem, SYSTEM_DIRECTORIES } from './hidden-directory.ts';
import { member, textAt } from './json.ts';
import { PATHS, VOLUME } from './names.ts';
import { userContainers } from './pod.ts';
import type { ContainerView, MountView, PodView } from './pod.ts';

/** A directory of a container that gets its own part of the shared emptyDir. */
export interface SharedDirectory {
  readonly container: string;
  readonly directory: string;
  readonly subPath: string;
}

/** A mount of the sidecar, read-only. */
export interface LogMount {
  readonly volume: string;
  readonly path: string;
  readonly subPath: string | undefined;
}

export interface LogPlan {
  readonly globs: readonly FileGlob[];
  readonly shared: readonly SharedDirectory[];
  readonly mounts: readonly LogMount[];
  /** Containers whose files are read, in order: the first with a known user gives the sidecar its user. */
  readonly sources: readonly ContainerView[];
  readonly findings: readonly Finding[];
}

/** A mount at or above one of these would hide what every image needs. */
const NEVER_AT_OR_ABOVE = [
  '/',
  '/etc',
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib64',
  '/var',
  '/home',
  '/root',
  '/opt',
  '/run',
  '/var/run',
];
/** The kernel's own file systems and the places of tokens and of ourselves: no mount inside them. */
const NEVER_INSIDE = ['/proc', '/sys', '/dev', '/var/run/secrets', '/run/secrets', '/logtender'];
/** Volume sources that hold configuration or credentials and never logs. */
const NO_LOGS = ['secret', 'configMap', 'downwardAPI', 'projected', 'image'];
/** Globs of one pod, each for each of its containers: bounds the env variable and the work. */
const GLOBS_MAX = 256;

/** Lays out the files of a pod. */
export function planLogs(pod: PodView, files: readonly FileEntry[]): LogPlan {
  const planner = new Planner(pod);
  for (const entry of files) planner.add(entry);
  return planner.finish();
}

/** True when `path` is `directory` or lies in it. */
function isInside(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

interface Target {
  readonly container: ContainerView;
  readonly entry: FileEntry;
  /** The user's mount that covers the directory; undefined where the shared emptyDir shall. */
  readonly mount: MountView | undefined;
}

class Planner {
  readonly #pod: PodView;
  readonly #targets: Target[] = [];
  readonly #findings: Finding[] = [];
  /** Volume and path inside it of every glob so far. */
  readonly #seen = new Set<string>();

  constructor(pod: PodView) {
    this.#pod = pod;
  }

  add(entry: FileEntry): void {
    const isShort =
      NEVER_AT_OR_ABOVE.some((kept) => isInside(kept, entry.directory)) ||
      NEVER_INSIDE.some((kept) => isInside(entry.directory, kept));
    if (isShort) {
      this.#find('glob_refused', `expected a glob below a directory of its own, got ${entry.path}`);
      return;
    }
    for (const container of this.#containersOf(entry)) this.#addTarget(container, entry);
  }

  finish(): LogPlan {
    const places = new Places();
    const globs: FileGlob[] = [];
    const shared = new Map<string, SharedDirectory>();
    for (const { container, entry, mount } of this.#targets) {
      const root = mount === undefined ? this.#sharedRoot(container, entry.directory) : trimmed(mount.path);
      const subPath = mount === undefined ? `${container.name}${root}` : textAt(mount.raw, 'subPath');
      if (mount === undefined)
        shared.set(subPath ?? '', { container: container.name, directory: root, subPath: subPath ?? '' });
      const place = places.take(container.name, root, { volume: mount?.volume ?? VOLUME.logs, subPath });
      const rest = entry.directory.slice(root.length);
      globs.push({ container: container.name, path: entry.path, directory: entry.directory, mount: `${place}${rest}` });
    }
    for (const { container, directory } of shared.values())
      if (!isLogLike(directory)) this.#find('directory_hidden', `container ${container}: ${directory}`);
    const names = new Set(globs.map((glob) => glob.container));
    return {
      globs,
      shared: [...shared.values()],
      mounts: places.mounts,
      // Containers before init containers: it is their files that matter longest.
      sources: this.#pod.others.filter((c) => names.has(c.name)).toSorted((a, b) => rank(a) - rank(b)),
      findings: this.#findings,
    };
  }

  #containersOf(entry: FileEntry): readonly ContainerView[] {
    // Containers first: where several containers mount one volume, the app gives its files their name, not an init container.
    const users = userContainers(this.#pod).toSorted((a, b) => rank(a) - rank(b));
    if (entry.container === undefined) return users;
    const named = this.#pod.others.filter((container) => container.name === entry.container);
    if (named.length === 0) {
      const names = this.#pod.others.map((container) => container.name);
      const near = nearest(entry.container, names);
      const hint = near === undefined ? '' : `, did you mean ${near}?`;
      this.#find('unknown_container', `expected one of ${names.join(', ')}, got ${entry.container}${hint}`);
    }
    return named;
  }

  #addTarget(container: ContainerView, entry: FileEntry): void {
    const mounts = container.mounts.filter((mount) => mount.volume !== VOLUME.logs);
    const mount = mounts
      .filter((candidate) => isInside(entry.directory, trimmed(candidate.path)))
      .toSorted((a, b) => trimmed(b.path).length - trimmed(a.path).length)[0];
    if (mount !== undefined && !this.#isReadable(container, mount)) return;
    if (mount === undefined && isOfSystem(entry.directory)) {
      this.#find('glob_refused', `expected a directory outside ${SYSTEM_DIRECTORIES}, got ${entry.path}`);
      return;
    }
    if (this.#targets.length >= GLOBS_MAX) {
      this.#find('invalid_value', `expected at most ${GLOBS_MAX} globs in all containers together`);
      return;
    }
    if (this.#isTwice(container, entry, mount)) return;
    const isDeep = entry.path.slice(entry.directory.length + 1).includes('/');
    const below = mounts.find((m) => isInside(trimmed(m.path), entry.directory) && trimmed(m.path) !== entry.directory);
    if (isDeep && below !== undefined)
      this.#find('mount_below_not_seen', `container ${container.name} mounts ${below.path}`);
    this.#targets.push({ container, entry, mount });
  }

  #isReadable(container: ContainerView, mount: MountView): boolean {
    const volume = this.#pod.volumes.find((candidate) => candidate.name === mount.volume);
    const isBad =
      volume === undefined ||
      NO_LOGS.some((source) => member(volume.raw, source) !== undefined) ||
      member(mount.raw, 'subPathExpr') !== undefined;
    if (isBad)
      this.#find('mount_refused', `container ${container.name} mounts volume ${mount.volume} at ${mount.path}`);
    else if (member(volume.raw, 'persistentVolumeClaim') !== undefined)
      this.#find('persistent_volume', `volume ${mount.volume}`);
    return !isBad;
  }

  /** One file of one volume is shipped once, named after the first container that has it. */
  #isTwice(container: ContainerView, entry: FileEntry, mount: MountView | undefined): boolean {
    const inside =
      mount === undefined
        ? undefined
        : `${textAt(mount.raw, 'subPath') ?? ''}${entry.path.slice(trimmed(mount.path).length)}`;
    const key =
      mount === undefined
        ? `${container.name}:${entry.path}`
        : `${mount.volume}\0${trimmed(inside ?? '').replace(/^\/+/, '')}`;
    const isTwice = this.#seen.has(key);
    this.#seen.add(key);
    return isTwice;
  }

  /** The topmost directory of this container that gets a part of the emptyDir and covers `directory`. */
  #sharedRoot(container: ContainerView, directory: string): string {
    let root = directory;
    for (const target of this.#targets) {
      const isCovering =
        target.container === container && target.mount === undefined && isInside(root, target.entry.directory);
      if (isCovering) root = target.entry.directory;
    }
    return root;
  }

  #find(code: Finding['code'], detail: string): void {
    if (this.#findings.some((finding) => finding.code === code && finding.detail === detail)) return;
    this.#findings.push({ code, key: 'files', detail });
  }
}

/** Gives every mount of the sidecar a place that lies in no other mount and has no other mount in it. */
class Places {
  readonly mounts: LogMount[] = [];

  take(
    container: string,
    path: string,
    source: { readonly volume: string; readonly subPath: string | undefined },
  ): string {
    for (let n = 0; ; n += 1) {
      // A container's name has no dot, so `app.1` is nobody else's place.
      const place = `${PATHS.logs}/${container}${n === 0 ? '' : `.${n}`}${path}`;
      const near = this.mounts.filter((mount) => isInside(place, mount.path) || isInside(mount.path, place));
      const same = near.find(
        (mount) => mount.path === place && mount.volume === source.volume && mount.subPath === source.subPath,
      );
      if (same !== undefined) return place;
      if (near.length > 0) continue;
      this.mounts.push({ ...source, path: place });
      return place;
    }
  }
}

function rank(container: ContainerView): number {
  return container.list === 'containers' ? 0 : 1;
}

/** Mount paths may end with a slash; the root stays `/`. */
function trimmed(path: string): string {
  const text = path.replace(/\/+$/, '');
  return text === '' ? '/' : text;
}
