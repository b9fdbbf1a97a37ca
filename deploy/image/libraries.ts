/**
 * The shared libraries that the pinned Node loads, as the dynamic loader of this machine resolves them, and the packages they come from.
 *
 * Why from this machine and not downloaded: they are the very files with which the tests ran this Node, no network and no root are
 * needed, and the loader itself says which they are (ldd(1)), so none can be missing. The price: they carry this machine's patches, so
 * what is published is built on a current Debian or Ubuntu LTS, or with the Dockerfile. May import: node:.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Library {
  /** Where the loader looks for it. */
  readonly path: string;
  /** The file with links resolved. */
  readonly file: string;
  readonly origin: Origin | undefined;
}

/** The package of the machine's package manager that a file belongs to. */
export interface Origin {
  readonly name: string;
  readonly version: string;
}

/** Loaded by glibc itself when names are resolved; part of libc.so.6 since glibc 2.34, files of their own before. */
const NAME_SERVICES = ['libresolv.so.2', 'libnss_files.so.2', 'libnss_dns.so.2'];

/** Libraries of a program, the loader included, in the order of their paths. */
export function librariesOf(program: string): readonly Library[] {
  const paths = new Set(parseLdd(execFileSync('ldd', [program], { encoding: 'utf8' })));
  const libc = [...paths].find((path) => path.endsWith('/libc.so.6'));
  if (libc === undefined)
    throw new Error(`read libraries of ${program}: expected glibc (libc.so.6) from ldd, got none`);
  for (const name of NAME_SERVICES) {
    const path = join(dirname(libc), name);
    if (existsSync(path)) paths.add(path);
  }
  return [...paths].toSorted().map((path) => {
    const file = realpathSync(path);
    return { path, file, origin: originOf(path) ?? originOf(file) };
  });
}

/** Absolute paths in the output of ldd; the kernel's own (linux-vdso) has none. Rejects what was not found. */
export function parseLdd(output: string): readonly string[] {
  const missing = /^\s*(\S+) => not found/m.exec(output);
  if (missing !== null) throw new Error(`read libraries: expected ${missing[1]} on this machine, got "not found"`);
  return [...output.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map((match) => match[1] ?? '');
}

/** Asks dpkg, where it is there. */
function originOf(path: string): Origin | undefined {
  try {
    const stdio = ['ignore', 'pipe', 'ignore'] as const;
    const owner = execFileSync('dpkg-query', ['-S', path], { encoding: 'utf8', stdio: [...stdio] });
    const name = owner.slice(0, owner.indexOf(': '));
    const show = ['-W', '-f', '${Package}\t${Version}', name];
    const [source = '', version = ''] = execFileSync('dpkg-query', show, { encoding: 'utf8', stdio: [...stdio] }).split(
      '\t',
    );
    return { name: source, version };
  } catch {
    return undefined;
  }
}
