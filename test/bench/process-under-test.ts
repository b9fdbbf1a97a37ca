/**
 * The life of a process that is measured: it never outlives this one, its early end is told, and its stop is bounded.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

const END_MS_MAX = 30_000;

export interface ProcessUnderTest {
  readonly pid: number;
  /** Rejects when it ends before `stop`. */
  readonly endedEarly: Promise<never>;
  /** Resolves when it is gone, for whatever reason: its exit code, or undefined when a signal ended it. */
  readonly ended: Promise<number | undefined>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, and SIGKILL for one that does not end. */
  stop(): Promise<void>;
}

/** @param name what messages call it */
export function underTest(child: ChildProcess, name: string): ProcessUnderTest {
  const ended = once(child, 'exit');
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const endedEarly = ended.then(([code, signal]) =>
    Promise.reject(new Error(`${name} ended early with ${String(signal ?? code)}`)),
  );
  endedEarly.catch(() => {});
  return {
    pid: child.pid ?? 0,
    endedEarly,
    ended: ended.then(([code]) => (typeof code === 'number' ? code : undefined)),
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
      process.off('exit', kill);
    },
    stop: async () => {
      await end(child, ended);
      process.off('exit', kill);
    },
  };
}

async function end(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS_MAX);
  await ended;
  clearTimeout(timer);
}

/**
 * In a server that measurements fork: ends it with its parent, or when that lets go of it.
 *
 * By SIGKILL, for there is nothing to lose, and an exit may hang: Node joins V8's helper threads while one of them, compiling, waits for a garbage
 * collection by the thread that joins (nodejs/node#54918; seen here in 5 of 14 exits after full speed, Node 24.21).
 */
export function endWithParent(): void {
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
}
