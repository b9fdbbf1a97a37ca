/**
 * Maven as a downloader: its dependency plugin, by its own settings, mirrors and checksums.
 *
 * May import: test/servers/programs.ts.
 */
import { tmpdir } from 'node:os';
import { findProgram, mustRun } from './programs.ts';

const PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';
/** 162 MB over a slow line. */
const DOWNLOAD_MS_MAX = 20 * 60_000;

export const MAVEN_REMEDY = {
  reason: 'Maven was not found, which downloads the server from Maven Central',
  remedy: 'apt-get install maven, or https://maven.apache.org/download.cgi',
} as const;

/** Runs one goal of the dependency plugin, quietly; rejects with what Maven said. */
export async function mavenPlugin(goal: string, args: readonly string[]): Promise<void> {
  const maven = findProgram('mvn');
  if (maven === undefined) throw new Error(`download: expected mvn on PATH, got none (${MAVEN_REMEDY.remedy})`);
  // Away from the checkout: Maven would read a pom.xml of the current folder.
  await mustRun(maven, ['-B', '-q', `${PLUGIN}:${goal}`, ...args], { cwd: tmpdir(), timeoutMs: DOWNLOAD_MS_MAX });
}
