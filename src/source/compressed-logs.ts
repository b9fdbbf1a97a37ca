/**
 * What the kubelet compressed while nobody of us was there: unpacked once at the start, so that it is read like any other file.
 *
 * The kubelet renames a full log to `N.log.YYYYMMDD-HHMMSS` and compresses that one at the rotation after the next
 * (kubernetes/kubernetes, pkg/kubelet/logs, container_log_manager.go, rotateLog and compressLog; a temporary name until it is whole).
 * While the sidecar runs it holds every file open before that happens. What was compressed before it started is one of three: known and
 * partly read (it begins as the checkpoint says: CRI lines begin with a time in nanoseconds, so no two logs begin alike), never seen (it
 * is newer than something that is known, or nothing of that container is known), or done (it is older than all that is known).
 * Invariants: what is done is not read again; an archive that is damaged is told and costs only itself; bytes and memory are bounded.
 * May import: core, source, node:.
 */
import {
  closeSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';

import { errorText } from '../core/errors.ts';
import { MiB } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { codeOf } from './directory-scan.ts';
import { digest, openFile } from './identity.ts';
import type { FileIdentity } from './identity.ts';
import type { KnownSource } from './source-file.ts';

/** Unpacked bytes of one start: the kubelet keeps 5 files of 10 MiB by default (containerLogMaxFiles, containerLogMaxSize), so ten containers. */
const UNPACK_BYTES_MAX = 512 * MiB;
/** The kubelet may rotate while we unpack: then once more, and every ten seconds at most (containerLogMonitorInterval). */
const ROUNDS_MAX = 5;

const LOG_NAME = /^(\d{1,9})\.log(?:\.(\d{8}-\d{6}))?(\.gz)?$/;

export interface CompressedLogsOptions {
  readonly containers: readonly string[];
  /** The pod's directory as the sidecar sees it. */
  readonly mount: string;
  /** What the records call it, with the slash at its end. */
  readonly root: string;
  /** Folder for what is unpacked; one folder a container in it. */
  readonly unpacked: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly bytesMax?: number;
}

/** One file of a container's directory. */
interface Entry {
  readonly name: string;
  readonly start: number;
  /** `YYYYMMDD-HHMMSS`, or `live`, which sorts after every digit. */
  readonly stamp: string;
  readonly isCompressed: boolean;
}

/**
 * Unpacks what has to be read, and gives the known sources back: those whose bytes are in an archive under the identity of the unpacked
 * file. Never rejects; what cannot be unpacked is counted and told.
 */
export async function unpackMissed(
  known: readonly KnownSource[],
  options: CompressedLogsOptions,
): Promise<readonly KnownSource[]> {
  const moved = new Map<string, FileIdentity>();
  const budget = { bytes: options.bytesMax ?? UNPACK_BYTES_MAX };
  for (const container of options.containers) {
    const own = known.filter((source) => source.container === container && source.path.startsWith(options.root));
    const done = new Set<string>();
    for (let round = 1; round <= ROUNDS_MAX; round += 1) {
      const before = done.size;
      await unpackContainer(container, own, { options, moved, budget, done });
      if (done.size === before) break;
    }
  }
  return known.map((source) => {
    const identity = moved.get(source.id);
    return identity === undefined ? source : { ...source, identity };
  });
}

interface Unpacking {
  readonly options: CompressedLogsOptions;
  readonly moved: Map<string, FileIdentity>;
  readonly budget: { bytes: number };
  /** Archives that were dealt with. */
  readonly done: Set<string>;
}

async function unpackContainer(container: string, known: readonly KnownSource[], work: Unpacking): Promise<void> {
  const { options, moved, budget, done } = work;
  const folder = join(options.mount, container);
  const entries = entriesOf(folder);
  // A place in time of everything that is known: what lies before it is done.
  const places = new Map<number, string>();
  const note = ({ start, stamp }: Entry): void => {
    if (stamp < (places.get(start) ?? '~')) places.set(start, stamp);
  };
  for (const entry of entries) if (!entry.isCompressed && isKnown(join(folder, entry.name), known)) note(entry);
  const archives = entries.filter(({ isCompressed }) => isCompressed);
  const owners = new Map<Entry, KnownSource>();
  const targetOf = ({ name }: Entry): string => join(options.unpacked, container, name.slice(0, -'.gz'.length));
  for (const entry of archives) {
    // Unpacked by an earlier start: the scan finds it.
    if (isKnown(targetOf(entry), known)) {
      done.add(entry.name);
      note(entry);
      continue;
    }
    const owner = await ownerOf(join(folder, entry.name), known);
    if (owner === undefined) continue;
    owners.set(entry, owner);
    note(entry);
  }
  const newest = Math.max(-1, ...places.keys());
  for (const entry of archives) {
    const place = places.get(entry.start);
    const isDone = place === undefined ? entry.start < newest : entry.stamp < place;
    if (isDone || done.has(entry.name)) continue;
    done.add(entry.name);
    const target = targetOf(entry);
    const bytes = await unpack(join(folder, entry.name), target, budget.bytes, options);
    budget.bytes -= bytes;
    const owner = owners.get(entry);
    const identity = owner === undefined ? undefined : identityOf(target);
    if (owner !== undefined && identity !== undefined) moved.set(owner.id, identity);
  }
}

/** Oldest first. */
function entriesOf(folder: string): readonly Entry[] {
  let names: readonly string[];
  try {
    names = readdirSync(folder);
  } catch {
    // Not there yet, or not readable: the scan of the files says the latter.
    return [];
  }
  const entries = names.flatMap((name): Entry[] => {
    const match = LOG_NAME.exec(name);
    if (match === null) return [];
    return [{ name, start: Number(match[1]), stamp: match[2] ?? 'live', isCompressed: match[3] !== undefined }];
  });
  return entries.toSorted((a, b) => a.start - b.start || (a.stamp < b.stamp ? -1 : 1));
}

function isKnown(path: string, known: readonly KnownSource[]): boolean {
  try {
    const { ino } = statSync(path, { bigint: true });
    return known.some(({ identity }) => identity.ino === String(ino));
  } catch {
    return false;
  }
}

/** The known source whose beginning the archive holds. */
async function ownerOf(path: string, known: readonly KnownSource[]): Promise<KnownSource | undefined> {
  const length = Math.max(0, ...known.map(({ head }) => head.length));
  if (length === 0) return undefined;
  const head = await unpackedHead(path, length);
  return known.find(
    ({ head: own }) => own.length > 0 && own.length <= head.length && digest(head.subarray(0, own.length)) === own.hash,
  );
}

async function unpackedHead(path: string, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let got = 0;
  const source = createReadStream(path, { highWaterMark: 4 * 1024 });
  const unpacked = source.on('error', (error) => unpacked.destroy(error)).pipe(createGunzip());
  try {
    for await (const chunk of unpacked) {
      chunks.push(chunk as Buffer);
      got += (chunk as Buffer).length;
      if (got >= length) break;
    }
  } catch {
    // Damaged: whoever unpacks it says so.
  } finally {
    source.destroy();
    unpacked.destroy();
  }
  return Buffer.concat(chunks).subarray(0, length);
}

/** Unpacks one archive, whole or not at all; gives its bytes. */
async function unpack(path: string, target: string, bytesMax: number, options: CompressedLogsOptions): Promise<number> {
  const { log, metrics } = options;
  // Not a log's name until it is whole.
  const temporary = `${target}.part`;
  let bytes = 0;
  try {
    mkdirSync(join(target, '..'), { recursive: true });
    await pipeline(
      createReadStream(path),
      createGunzip(),
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          bytes += chunk.length;
          if (bytes > bytesMax) throw new RangeError(`expected at most ${bytesMax} bytes more to unpack at one start`);
          yield chunk;
        }
      },
      createWriteStream(temporary),
    );
    renameSync(temporary, target);
    log.info('compressed log is read', { path, bytes });
    return bytes;
  } catch (error) {
    rmSync(temporary, { force: true });
    metrics
      .counter('logtender_compressed_logs_lost_total', 'Compressed logs of the node that could not be unpacked.')
      .add(1);
    log.error('compressed log cannot be read, its lines are lost', {
      path,
      code: codeOf(error),
      error: errorText(error),
    });
    return 0;
  }
}

function identityOf(path: string): FileIdentity | undefined {
  try {
    const opened = openFile(path);
    if (opened !== undefined) closeSync(opened.fd);
    return opened?.identity;
  } catch {
    return undefined;
  }
}
