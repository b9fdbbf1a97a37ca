/**
 * One look at the folders of a glob: every file that it means, and every rotated form of such a file.
 *
 * Symbolic links are followed only inside the mount: the sidecar has other files (credentials) that an app must not be able to name.
 * Compressed files are left alone whatever the glob says: their bytes are not lines, and what they hold was read before.
 * May import: core, config, node:, source.
 */
import type { Dirent } from 'node:fs';
import { lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { POSITIONS_FOLDER } from '../config/forwarder-config.ts';
import type { FileGlob } from '../config/forwarder-config.ts';
import { globDepth, matchGlob, mayHold, parseGlob } from './glob.ts';
import type { Glob } from './glob.ts';
import { keyOf } from './identity.ts';
import type { FileIdentity } from './identity.ts';
import { rotationOf } from './rotation.ts';

/** Folders below a mount that `**` may reach, and files that one scan takes in: bounds against loops and floods. */
const DEPTH_MAX = 16;
const FILES_MAX = 20_000;

const COMPRESSED = /\.(?:gz|bz2|xz|zst|lz4|zip)$/;

/** One file as a scan saw it. The same object as in the scan before while nothing of it has changed. */
export interface Sighting {
  /** Where the sidecar sees it. */
  readonly name: string;
  /** The app's own path of it. */
  readonly path: string;
  readonly container: string;
  readonly identity: FileIdentity;
  /** Names the inode: `keyOf(identity)`. */
  readonly key: string;
  readonly size: number;
  readonly mtimeNs: bigint;
  /** The name that the app writes to when this is a rotated form, as the sidecar and as the app see it. */
  readonly base: { readonly name: string; readonly path: string } | undefined;
  readonly rank: number;
  /** Does the glob itself match, or only its rotation rule? */
  readonly matched: boolean;
  /** See FileGlob. */
  readonly positions: string | undefined;
}

export interface Scan {
  readonly sightings: Sighting[];
  /** Folders that were looked at, for the watch. */
  readonly folders: string[];
  /** What could not be looked at, with the system's error code. */
  readonly problems: { readonly name: string; readonly code: string }[];
  /**
   * Names moved while they were looked at: what is not among the sightings may be there all the same. Listing a folder is not atomic
   * (POSIX readdir: whether an entry that is added or removed meanwhile is returned is unspecified).
   */
  isTorn: boolean;
}

/** What a scan knew of one name: thousands of files that rest cost no new objects in each scan, which the heap would keep for a while. */
interface Seen {
  sighting: Sighting;
  dev: bigint;
  ino: bigint;
  birthNs: bigint;
  round: number;
}

/** Looks at the folders of some globs, again and again. */
export class FolderScanner {
  readonly #walks: readonly Omit<Walk, 'scan' | 'round'>[];
  #round = 0;

  constructor(globs: readonly FileGlob[]) {
    const outside = globs.filter(({ directory }) => !directory.split('/').includes(POSITIONS_FOLDER));
    this.#walks = outside.map((glob) => {
      const { path, directory } = glob;
      const pattern = parseGlob(path.startsWith(`${directory}/`) ? path.slice(directory.length) : path);
      return { glob, pattern, depth: Math.min(globDepth(pattern), DEPTH_MAX), seen: new Map() };
    });
  }

  /**
   * Looks at everything below each mount that its glob may mean. A mount that does not exist yet is empty.
   *
   * @param isLeftOut globs that are not looked at
   */
  scan(isLeftOut: (glob: FileGlob) => boolean = () => false): Scan {
    const scan: Scan = { sightings: [], folders: [], problems: [], isTorn: false };
    this.#round += 1;
    for (const part of this.#walks) {
      if (!isLeftOut(part.glob)) walk({ ...part, scan, round: this.#round }, []);
      for (const [folder, names] of part.seen) if (!forget(names, this.#round)) part.seen.delete(folder);
    }
    return scan;
  }
}

/** Forgets what this round did not see; false when nothing is left. */
function forget(names: Map<string, Seen>, round: number): boolean {
  for (const [name, seen] of names) if (seen.round !== round) names.delete(name);
  return names.size > 0;
}

interface Walk {
  readonly glob: FileGlob;
  readonly pattern: Glob;
  readonly depth: number;
  /** By folder, by name in it. */
  readonly seen: Map<string, Map<string, Seen>>;
  readonly round: number;
  readonly scan: Scan;
}

function walk(walking: Walk, folder: readonly string[]): void {
  const { glob, pattern, depth, scan, seen } = walking;
  const here = join(glob.mount, ...folder);
  const before = changedAt(here);
  const entries = list(here, scan);
  if (entries === undefined) return;
  scan.folders.push(here);
  const known = seen.get(here) ?? new Map<string, Seen>();
  seen.set(here, known);
  for (const entry of entries) {
    if (scan.sightings.length >= FILES_MAX) {
      scan.problems.push({ name: here, code: 'TOO_MANY_FILES' });
      return;
    }
    if (entry.isDirectory()) {
      const below = [...folder, entry.name];
      if (entry.name !== POSITIONS_FOLDER && folder.length < depth && mayHold(pattern, below)) walk(walking, below);
      continue;
    }
    if ((!entry.isFile() && !entry.isSymbolicLink()) || COMPRESSED.test(entry.name)) continue;
    const sighting = look(walking, known, folder, entry);
    if (sighting !== undefined) scan.sightings.push(sighting);
  }
  if (changedAt(here) !== before) scan.isTorn = true;
}

/** Time of the last change of a folder's entries in nanoseconds; undefined when it cannot be asked. */
export function changedAt(folder: string): bigint | undefined {
  try {
    return statSync(folder, { bigint: true }).mtimeNs;
  } catch {
    // A folder that may be listed but not entered (mode 0744); what cannot be looked at in it is told entry by entry.
    return undefined;
  }
}

/** The rotation whose base the glob matches; names may carry several suffixes (`app.log-20240501.1`). */
function rotatedFrom(
  pattern: Glob,
  folder: readonly string[],
  name: string,
): { base: string; rank: number } | undefined {
  let rotation = rotationOf(name);
  while (rotation !== undefined) {
    if (matchGlob(pattern, [...folder, rotation.base])) return rotation;
    const again = rotationOf(rotation.base);
    rotation = again === undefined ? undefined : { base: again.base, rank: rotation.rank };
  }
  return undefined;
}

/** One name. Undefined when the glob does not mean it, or when it cannot be looked at. */
function look(walking: Walk, known: Map<string, Seen>, folder: readonly string[], entry: Dirent): Sighting | undefined {
  const { glob, scan, round } = walking;
  const before = known.get(entry.name);
  const about = before?.sighting ?? describe(walking, folder, entry.name);
  if (about === undefined) return undefined;
  const { name } = about;
  try {
    if (entry.isSymbolicLink() && !staysInside(glob.mount, name)) return undefined;
    const stat = statSync(name, { bigint: true });
    if (!stat.isFile()) return undefined;
    const { dev, ino, birthtimeNs: birthNs, size, mtimeNs } = stat;
    const isSame = before !== undefined && before.dev === dev && before.ino === ino && before.birthNs === birthNs;
    if (isSame && BigInt(before.sighting.size) === size && before.sighting.mtimeNs === mtimeNs) {
      before.round = round;
      return before.sighting;
    }
    const identity = isSame
      ? before.sighting.identity
      : { dev: String(dev), ino: String(ino), birthUs: Number(birthNs / 1000n) };
    const key = isSame ? before.sighting.key : keyOf(identity);
    const sighting = { ...about, identity, key, size: Number(size), mtimeNs };
    known.set(entry.name, { sighting, dev, ino, birthNs, round });
    return sighting;
  } catch (error) {
    // Gone between the listing and the look: another scan sees what became of it.
    // A name that is no UTF-8 was garbled by the listing and can never be found.
    const code = entry.name.includes('\uFFFD') ? 'NAME_NOT_UTF8' : codeOf(error);
    if (code === 'ENOENT') scan.isTorn ||= !entry.isSymbolicLink();
    else scan.problems.push({ name, code });
    return undefined;
  }
}

/** What follows from the name alone. Undefined when neither the glob nor its rotation rule means it. */
function describe(
  { glob, pattern }: Walk,
  folder: readonly string[],
  entry: string,
): Omit<Sighting, 'identity' | 'key' | 'size' | 'mtimeNs'> | undefined {
  const below = [...folder, entry];
  const matched = matchGlob(pattern, below);
  const rotation = rotatedFrom(pattern, folder, entry);
  if (!matched && rotation === undefined) return undefined;
  const base =
    rotation === undefined
      ? undefined
      : { name: join(glob.mount, ...folder, rotation.base), path: join(glob.directory, ...folder, rotation.base) };
  return {
    name: join(glob.mount, ...below),
    path: join(glob.directory, ...below),
    container: glob.container,
    base,
    rank: rotation?.rank ?? 0,
    matched,
    positions: glob.positions,
  };
}

function staysInside(mount: string, name: string): boolean {
  return `${realpathSync(name)}/`.startsWith(`${realpathSync(mount)}/`) && lstatSync(name).isSymbolicLink();
}

function list(folder: string, scan: Scan): Dirent[] | undefined {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'ENOENT') scan.problems.push({ name: folder, code });
    return undefined;
  }
}

/** The system's error code (`EACCES`), or the error's name. */
export function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.name : 'UNKNOWN';
}
