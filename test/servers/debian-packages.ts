/**
 * Programs from Debian's packages, unpacked into a folder. Nothing is installed on the machine.
 *
 * apt-get works on lists of its own here, so neither old lists of the machine nor their absence matter, and no right is needed.
 * May import: node:, test/servers/programs.ts.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, mustRun } from './programs.ts';

const DOWNLOAD_MS_MAX = 5 * 60_000;
/** Libraries that every Debian has and that its loader belongs to. */
const BASE_LIBRARIES: readonly string[] = ['libc6', 'libgcc-s1'];

export interface MissingTool {
  readonly reason: string;
  readonly remedy: string;
}

/** What is in the way of fetching packages on this machine, if anything; `purpose` names what they bring. */
export function missingForDebianPackages(purpose: string): MissingTool | undefined {
  for (const program of ['apt-get', 'dpkg-deb']) {
    if (findProgram(program) === undefined)
      return {
        reason: `${program} was not found, which fetches ${purpose}`,
        remedy: 'use Debian 12 or newer, or Ubuntu 24.04 or newer',
      };
  }
  return undefined;
}

/** For cache keys: packages of one release do not suit another. */
export function debianRelease(): string {
  try {
    return /^VERSION_ID=.*$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[0] ?? '';
  } catch {
    return '';
  }
}

/**
 * Downloads the packages and unpacks them under `root/` of the folder. Throws what apt-get or dpkg-deb said.
 *
 * @param libraries `add` brings every library that they need besides, as if the machine had none of its own but the C library's
 */
export async function unpackDebianPackages(
  target: string,
  packages: readonly string[],
  libraries: 'none' | 'add' = 'none',
): Promise<void> {
  const apt = join(target, 'apt');
  for (const name of ['state/lists/partial', 'cache/archives/partial', 'debs'])
    mkdirSync(join(apt, name), { recursive: true });
  // Nothing is installed, by this list: what the machine has makes no difference to what is fetched.
  writeFileSync(join(apt, 'status'), '');
  const own = [
    ...['-o', `Dir::State=${join(apt, 'state')}`, '-o', `Dir::Cache=${join(apt, 'cache')}`],
    ...['-o', `Dir::State::status=${join(apt, 'status')}`],
    ...['-o', 'Acquire::Languages=none', '-o', 'APT::Sandbox::User=', '-o', 'Acquire::Retries=3', '-q'],
  ];
  const options = { cwd: join(apt, 'debs'), timeoutMs: DOWNLOAD_MS_MAX };
  await mustRun('apt-get', [...own, 'update'], options);
  const added =
    libraries === 'none'
      ? []
      : librariesIn((await mustRun('apt-get', [...own, '--simulate', ...INSTALL, ...packages], options)).stdout);
  await mustRun('apt-get', [...own, 'download', ...new Set([...packages, ...added])], options);
  for (const name of readdirSync(join(apt, 'debs')))
    await mustRun('dpkg-deb', ['-x', join(apt, 'debs', name), join(target, 'root')], options);
  rmSync(apt, { recursive: true });
}

const INSTALL = ['--no-install-recommends', 'install'];

/** The libraries in what `apt-get --simulate install` says it would install ("Inst NAME (VERSION ...)"). */
export function librariesIn(simulated: string): readonly string[] {
  return [...simulated.matchAll(/^Inst (lib[a-z0-9.+-]+)/gm)]
    .flatMap(([, name]) => (name === undefined ? [] : [name]))
    .filter((name) => !BASE_LIBRARIES.includes(name));
}
