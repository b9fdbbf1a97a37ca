/**
 * Programs of this machine: finding them, and running one to its end with bounded memory.
 *
 * May import: node:.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What is kept of a program's output: kubectl of a large list is the largest that a test reads. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

export interface Outcome {
  /** Exit code; a signal counts as 128. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Goes to stdin; without it stdin is empty. */
  readonly input?: string | Buffer;
  readonly timeoutMs: number;
}

/** Absolute path of a program on PATH with links resolved, else undefined. */
export function findProgram(name: string): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    if (folder === '') continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** The same with links resolved: where a program's own files stand. */
export function findProgramHome(name: string): string | undefined {
  const path = findProgram(name);
  return path === undefined ? undefined : realpathSync(path);
}

/** Runs a program to its end. Rejects only when it cannot be started; its exit code is a value. */
export async function run(program: string, args: readonly string[], options: RunOptions): Promise<Outcome> {
  const child = spawn(program, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs,
    killSignal: 'SIGKILL',
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  // A program that does not read its input closes the pipe: that is its own affair.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const code = await new Promise<number>((done, fail) => {
    child.once('error', fail);
    child.once('close', (exit, signal) => done(signal === null ? (exit ?? 128) : 128));
  });
  return { code, stdout: stdout(), stderr: stderr() };
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= OUTPUT_BYTES_MAX) chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

/** Runs a program and rejects with the end of its output unless it exits with 0. */
export async function mustRun(program: string, args: readonly string[], options: RunOptions): Promise<Outcome> {
  const outcome = await run(program, args, options);
  if (outcome.code === 0) return outcome;
  const said = `${outcome.stdout}\n${outcome.stderr}`.trim().split('\n').slice(-20).join('\n');
  throw new Error(`run ${program} ${args[0] ?? ''}: expected exit code 0, got ${outcome.code}\n${said}`);
}
