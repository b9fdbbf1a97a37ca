/**
 * Programs that are built once by `go install` of a pinned release, into the server cache.
 *
 * The build uses a module cache of its own that is gone afterwards; modules that the user's own cache holds are taken from there.
 * May import: node:, test/servers.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cached, cacheKey, findCached, type Entry, type Preparation } from './cache.ts';
import { canBuild } from './kubernetes/build.ts';
import { findProgram, mustRun, run } from './programs.ts';
import type { Availability } from './server-kind.ts';

/** Two to four minutes of processor time with an empty build cache. */
const BUILD_MS_MAX = 30 * 60_000;
const ASK_MS_MAX = 60_000;
/** A linker takes memory: more at once would not fit a small machine. */
const PARALLEL_MAX = 4;
const REMEDY = 'install Go 1.26 or newer from https://go.dev/dl';

export interface GoProgram {
  /** Of the cache entry and of the binary: the last part of the package. */
  readonly name: string;
  /** `path/of/package@version`. */
  readonly package: string;
  /** What the build costs, for who waits: `downloading about 40 MB of Go modules and compiling, about 2 CPU minutes`. */
  readonly cost: string;
}

const entryOf = (program: GoProgram): Entry => ({
  name: program.name,
  key: cacheKey(program.package, process.platform, process.arch),
});

/** Whether this machine has it, or can build it. */
export async function goProgramAvailability(program: GoProgram, cache: string): Promise<Availability> {
  if (findCached(cache, entryOf(program)) !== undefined) return { available: true, prepared: true };
  const go = findProgram('go');
  if (go === undefined)
    return { available: false, reason: `Go was not found, which builds ${program.name}`, remedy: REMEDY };
  const { stdout } = await run(go, ['env', 'GOVERSION', 'GOTOOLCHAIN'], { cwd: '/', timeoutMs: ASK_MS_MAX });
  const [version = '', toolchain = ''] = stdout.split('\n');
  if (canBuild(version, toolchain)) return { available: true, prepared: false };
  return { available: false, reason: `Go 1.26 or newer is needed, found ${version}`, remedy: REMEDY };
}

/** Path of the program, built now where it is not there. */
export async function buildGoProgram(program: GoProgram, { cache, progress }: Preparation): Promise<string> {
  const { name } = program;
  const folder = await cached(cache, entryOf(program), async (target) => {
    const go = findProgram('go');
    if (go === undefined) throw new Error(`build ${name}: expected go on PATH, got none (${REMEDY})`);
    progress(`${program.package.replace(/^.*@/, `${name} `)}: ${program.cost}`);
    const scratch = join(target, 'scratch');
    mkdirSync(scratch);
    const { stdout } = await mustRun(go, ['env', 'GOMODCACHE', 'GOPROXY'], { cwd: scratch, timeoutMs: ASK_MS_MAX });
    const [modules = '', proxy = ''] = stdout.split('\n');
    // A module cache is itself a proxy (https://go.dev/ref/mod#goproxy-protocol): what is not in it comes from the user's proxy.
    const own = pathToFileURL(join(modules, 'cache/download')).href;
    const parallel = String(Math.min(availableParallelism(), PARALLEL_MAX));
    const flags = ['-modcacherw', '-trimpath', '-p', parallel, '-ldflags', '-s -w'];
    await mustRun(go, ['install', ...flags, program.package], {
      cwd: scratch,
      env: {
        CGO_ENABLED: '0',
        GOBIN: target,
        GOPROXY: [own, proxy].filter((part) => part !== '').join(','),
        GOMODCACHE: join(scratch, 'modules'),
      },
      timeoutMs: BUILD_MS_MAX,
    });
    rmSync(scratch, { recursive: true });
  });
  return join(folder, name);
}
