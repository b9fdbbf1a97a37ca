/**
 * The JDKs of this machine.
 *
 * May import: node:, test/servers/programs.ts.
 */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { findProgramHome } from './programs.ts';

export interface Jdk {
  readonly home: string;
  /** 17, 21, 25. */
  readonly major: number;
}

/** Folders that hold one JDK each: Debian and Fedora, macOS, SDKMAN. */
const PARENTS: readonly string[] = [
  '/usr/lib/jvm',
  '/usr/java',
  '/opt/java',
  '/Library/Java/JavaVirtualMachines',
  join(homedir(), '.sdkman/candidates/java'),
];

/** JDKs with a compiler, each once, oldest first. A runtime without `javac` is left out. */
export function findJdks(env: Readonly<Record<string, string | undefined>> = process.env): readonly Jdk[] {
  const homes: string[] = [];
  const add = (home: string): void => {
    if (existsSync(join(home, 'bin/javac'))) homes.push(realpathSync(home));
  };
  if (env['JAVA_HOME'] !== undefined) add(env['JAVA_HOME']);
  const compiler = findProgramHome('javac');
  if (compiler !== undefined) add(dirname(dirname(compiler)));
  for (const parent of PARENTS) {
    if (!existsSync(parent)) continue;
    for (const name of readdirSync(parent)) {
      add(join(parent, name));
      add(join(parent, name, 'Contents/Home'));
    }
  }
  return [...new Set(homes)]
    .flatMap((home) => {
      const major = majorOf(home);
      return major === undefined ? [] : [{ home, major }];
    })
    .toSorted((a, b) => a.major - b.major);
}

/** Every JDK since 9 carries a `release` file with JAVA_VERSION (JEP 220). */
function majorOf(home: string): number | undefined {
  try {
    const version = /^JAVA_VERSION="(\d+)/m.exec(readFileSync(join(home, 'release'), 'utf8'));
    return version === null ? undefined : Number(version[1]);
  } catch {
    return undefined;
  }
}
