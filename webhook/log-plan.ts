/**
 * Which directories are tailed for which container, on which volume, and where the sidecar sees them.
 *
 * Pure. Invariants: no mount of ours at or above a directory that containers live from, nor inside one of the system; a volume that the
 * user mounted at or above the directory is used instead of ours; one file is shipped once, even when several containers mount its
 * volume. May import: core, config.
 */
import { nearest } from '../src/config/fields.ts';
import type { FileGlob } from '../src/config/forwarder-config.ts';
import { JSON_ESCAPE_GROWTH_MAX, KiB } from '../src/core/limits.ts';
import type { FileEntry } from './annotation-values.ts';
import type { Finding } from './finding.ts';
import { isLogLike, isNeverMounted, isOfSystem, startsFrom, SYSTEM_DIRECTORIES } from './hidden-directory.ts';
import { isInside, normalized } from './mount-path.ts';
import { Places } from './mount-places.ts';
import type { LogMount } from './mount-places.ts';
import { PATHS, VOLUME } from './names.ts';
import { userContainers } from './pod.ts';
import type { ContainerView, MountView, PodView } from './pod.ts';
import { subPathOf } from './sub-path.ts';
import type { SubPath } from './sub-path.ts';
import { deviceAt, endsWithPod, isReadOnly, mayHoldLogs, mountAt, mountWithin } from './user-mounts.ts';
import { positionsDir, positionsParts } from './volume-positions.ts';
import type { VolumePart } from './volume-positions.ts';

/** A directory of a container that gets its own part of the shared emptyDir. */
export interface SharedDirectory {
  readonly container: string;
  readonly directory: string;
  readonly subPath: string;
}

export interface LogPlan {
  readonly globs: readonly FileGlob[];
  readonly shared: readonly SharedDirectory[];
  readonly mounts: readonly LogMount[];
  /** The parts of persistent volumes that keep the positions of the files on them; the rest are kept with the pod. */
  readonly positions: readonly VolumePart[];
  /** Containers whose files are read, in order: the first with a known user gives the sidecar its user. */
  readonly sources: readonly ContainerView[];
  readonly findings: readonly Finding[];
}

/** Globs of one pod, each for each of its containers: bounds the work. */
const GLOBS_MAX = 256;
/**
 * All globs as JSON, in bytes. Linux runs no program with a text of 131,072 bytes or more in its env (execve(2), MAX_ARG_STRLEN: 32
 * pages), and a native sidecar that cannot start keeps the pod from starting: three quarters of it.
 */
const GLOBS_BYTES_MAX = 96 * KiB;
/** `{"container":"","path":"","directory":"","mount":"","positions":""},` and the slash in the mount, with room. */
const GLOB_FRAME_BYTES = 80;
/** Longest number that `Places` puts behind the name of a container: no more places than globs. */
const PLACE_NUMBER = `.${GLOBS_MAX}`;

/** Lays out the files of a pod. */
export function planLogs(pod: PodView, files: readonly FileEntry[]): LogPlan {
  const planner = new Planner(pod);
  for (const entry of files) planner.add(entry);
  return planner.finish();
}

/** A mount of the user as ours repeats it. */
interface UserMount extends VolumePart {
  readonly path: string;
  readonly isReadOnly: boolean;
  readonly endsWithPod: boolean;
}

interface Target {
  readonly container: ContainerView;
  readonly entry: FileEntry;
  /** The user's mount that covers the directory; undefined where the shared emptyDir shall. */
  readonly mount: UserMount | undefined;
}

const WHOLE: SubPath = { subPath: undefined, subPathExpr: undefined };

class Planner {
  readonly #pod: PodView;
  readonly #targets: Target[] = [];
  readonly #findings: Finding[] = [];
  /** Volume and path inside it of every glob so far. */
  readonly #seen = new Set<string>();
  /** At least as many bytes as all globs have; the number itself is not asked for before that is too many. */
  #globBytesMost = 0;
  #globBytes: number | undefined;

  constructor(pod: PodView) {
    this.#pod = pod;
  }

  add(entry: FileEntry): void {
    if (isNeverMounted(entry.directory)) {
      this.#find('glob_refused', `expected a glob below a directory of its own, got ${entry.path}`);
      return;
    }
    for (const container of this.#containersOf(entry)) this.#addTarget(container, entry);
  }

  finish(): LogPlan {
    const places = new Places();
    const globs: FileGlob[] = [];
    const shared = new Map<string, SharedDirectory>();
    const parts = positionsParts(
      this.#targets.map(({ mount }) => mount),
      this.#pod.volumes,
    );
    for (const { container, entry, mount } of this.#targets) {
      const root = mount === undefined ? this.#sharedRoot(container, entry.directory) : mount.path;
      const subPath = `${container.name}${root}`;
      if (mount === undefined) shared.set(subPath, { container: container.name, directory: root, subPath });
      const source = mount ?? { volume: VOLUME.logs, part: { ...WHOLE, subPath } };
      const place = places.take(container.name, root, source);
      const rest = entry.directory.slice(root.length);
      const part = parts.get(source.volume);
      const { path, directory } = entry;
      const positions = part === undefined ? {} : { positions: positionsDir(this.#pod, part) };
      globs.push({ container: container.name, path, directory, mount: `${place}${rest}`, ...positions });
    }
    this.#findLasting(parts);
    for (const { container, directory } of shared.values())
      if (!isLogLike(directory)) this.#find('directory_hidden', `container ${container}: ${directory}`);
    const names = new Set(globs.map((glob) => glob.container));
    return {
      globs,
      shared: [...shared.values()],
      mounts: places.mounts,
      positions: [...new Map([...parts.values()].map((part) => [part.volume, part])).values()],
      // Containers before init containers: it is their files that matter longest.
      sources: this.#pod.others.filter((c) => names.has(c.name)).toSorted((a, b) => rank(a) - rank(b)),
      findings: this.#findings,
    };
  }

  #containersOf(entry: FileEntry): readonly ContainerView[] {
    // Where several containers mount one volume, the app gives its files their name: no init container, and none that only reads.
    if (entry.container === undefined) {
      const users = userContainers(this.#pod).toSorted((a, b) => rank(a) - rank(b));
      const readers = new Set(users.filter((container) => isReadOnly(mountAt(container, entry.directory))));
      return [...users.filter((container) => !readers.has(container)), ...readers];
    }
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
    const found = mountAt(container, entry.directory);
    const device = deviceAt(container, entry.directory);
    if (device !== undefined && !isDeeper(found, device)) {
      this.#find(
        'mount_refused',
        `container ${container.name} has the block device ${device.volume} at ${device.path}`,
      );
      return;
    }
    const mount = found === undefined ? undefined : this.#readable(container, found);
    if (found !== undefined && mount === undefined) return;
    if (mount === undefined && isOfSystem(entry.directory)) {
      this.#find('glob_refused', `expected a directory outside ${SYSTEM_DIRECTORIES}, got ${entry.path}`);
      return;
    }
    if (mount === undefined && startsFrom(container, entry.directory)) {
      const expected = `expected a directory from which container ${container.name} does not start`;
      this.#find('glob_refused', `${expected} (command, workingDir, probes), got ${entry.path}`);
      return;
    }
    if (this.#isTwice(container, entry, mount) || !this.#hasRoom({ container, entry, mount })) return;
    const below = mountWithin(container, entry);
    if (below !== undefined) this.#find('mount_below_not_seen', `container ${container.name} mounts ${below.path}`);
    this.#targets.push({ container, entry, mount });
  }

  /** Counts the glob as the forwarder will be told of it; false, with a finding, where it is one too many. */
  #hasRoom(target: Target): boolean {
    this.#globBytesMost += globBytesMost(target, this.#positionsOf(target));
    if (this.#targets.length < GLOBS_MAX) {
      if (this.#globBytesMost <= GLOBS_BYTES_MAX) return true;
      // Near the limit it is counted, the ones so far included.
      this.#globBytes ??= this.#targets.reduce((sum, one) => sum + globBytes(one, this.#positionsOf(one)), 0);
      const bytes = globBytes(target, this.#positionsOf(target));
      if (this.#globBytes + bytes <= GLOBS_BYTES_MAX) {
        this.#globBytes += bytes;
        return true;
      }
    }
    const most = `expected at most ${GLOBS_MAX} globs and ${GLOBS_BYTES_MAX / KiB} KiB of JSON`;
    this.#find('files_too_many', `${most} in all containers together`);
    return false;
  }

  /** The longest folder of positions that the glob may get; whether it gets one is known when all are. */
  #positionsOf({ mount }: Target): string {
    return mount === undefined || mount.endsWithPod ? '' : positionsDir(this.#pod, mount);
  }

  /** The mount as ours can repeat it; undefined, with a finding, where the sidecar could not read what lies there. */
  #readable(container: ContainerView, mount: MountView): UserMount | undefined {
    const volume = this.#pod.volumes.find((candidate) => candidate.name === mount.volume);
    const part = volume !== undefined && mayHoldLogs(volume) ? subPathOf(container.raw, mount.raw) : undefined;
    if (volume === undefined || part === undefined) {
      this.#find('mount_refused', `container ${container.name} mounts volume ${mount.volume} at ${mount.path}`);
      return undefined;
    }
    return {
      volume: mount.volume,
      path: normalized(mount.path),
      part,
      isReadOnly: isReadOnly(mount),
      endsWithPod: endsWithPod(volume),
    };
  }

  /** Volumes that outlive the pod while the positions of their files do not. */
  #findLasting(parts: ReadonlyMap<string, VolumePart>): void {
    for (const { mount } of this.#targets)
      if (mount?.endsWithPod === false && !parts.has(mount.volume))
        this.#find('persistent_volume', `volume ${mount.volume}`);
  }

  /** One file of one volume is shipped once, named after the first container that has it. */
  #isTwice(container: ContainerView, entry: FileEntry, mount: UserMount | undefined): boolean {
    const key =
      mount === undefined
        ? `${container.name}:${entry.path}`
        : [mount.volume, mount.part.subPathExpr ?? '', insideOf(mount, entry)].join('\0');
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

/** One element of the JSON list, with the longest place that it can get. */
function globBytes({ container: { name }, entry: { path, directory } }: Target, positions: string): number {
  const mount = `${PATHS.logs}/${name}${PLACE_NUMBER}${directory}`;
  return Buffer.byteLength(JSON.stringify({ container: name, path, directory, mount, positions })) + 1;
}

/** A bound of it: names of members and quotes, and JSON and UTF-8 make at most six bytes of a UTF-16 code unit. */
function globBytesMost({ container: { name }, entry: { path, directory } }: Target, positions: string): number {
  const places = PATHS.logs.length + PLACE_NUMBER.length + positions.length;
  const chars = name.length * 2 + path.length + directory.length * 2 + places;
  return chars * JSON_ESCAPE_GROWTH_MAX + GLOB_FRAME_BYTES;
}

/** Path of the glob inside its volume, as far as it can be told. */
function insideOf(mount: UserMount, entry: FileEntry): string {
  return normalized(`${mount.part.subPath ?? ''}${entry.path.slice(mount.path.length)}`);
}

function rank(container: ContainerView): number {
  return container.list === 'containers' ? 0 : 1;
}

/** True for a mount of the user that lies below the device. */
function isDeeper(mount: MountView | undefined, device: { readonly path: string }): boolean {
  return mount !== undefined && normalized(mount.path).length > normalized(device.path).length;
}
