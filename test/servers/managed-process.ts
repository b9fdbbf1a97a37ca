/**
 * One server process: start, wait until it answers, halt, start again with the same arguments.
 *
 * Invariants: everything it prints goes to one log file; it never outlives this process (`setpriv --pdeathsig` where the machine has
 * it, an exit hook everywhere); it is stopped by its own process id. May import: node:, src/core.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { errorText } from '../../src/core/errors.ts';
import { systemClock } from '../../src/core/clock.ts';
import { findProgram } from './programs.ts';

const PROBE_INTERVAL_MS = 25;
/** A server that does not end in this time after SIGTERM is killed: its data is throw-away. */
const GRACE_MS_MAX = 10_000;
const LOG_TAIL_LINES = 25;

export interface ProcessSpec {
  /** What messages call it. */
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly logFile: string;
  /** Runs as this user and group; only root can ask for it. */
  readonly uid?: number;
  /** True once the server does its work. A rejection counts as "not yet". */
  readonly ready: () => Promise<boolean>;
  readonly readyMsMax: number;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class ManagedProcess {
  readonly #spec: ProcessSpec;
  #child: ChildProcess | undefined;

  constructor(spec: ProcessSpec) {
    this.#spec = spec;
  }

  /** What messages call it. */
  get name(): string {
    return this.#spec.name;
  }

  /** Process id, undefined while it is halted. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** False before its start and once it has ended, by whatever cause. */
  get isRunning(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Sends a signal that is none to end it: SIGSTOP makes it stand still, SIGCONT go on. Does nothing when it does not run. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    if (this.isRunning) this.#child?.kill(signal);
  }

  /** Starts it and waits until it is ready. Rejects with the end of its log when it ends first or takes too long. */
  async start(): Promise<void> {
    assert(this.#child === undefined, `${this.#spec.name} is started once`);
    const child = launch(this.#spec);
    this.#child = child;
    running.add(child);
    let ended: string | undefined;
    child.once('error', (error) => (ended = errorText(error)));
    child.once('exit', (code, signal) => {
      ended = signal === null ? `exit code ${code}` : signal;
      running.delete(child);
    });
    const deadline = systemClock.monotonic() + this.#spec.readyMsMax;
    for (;;) {
      const ready = await isReady(this.#spec);
      // Looked at after the question: another server on the same port must not pass for this one.
      if (ended !== undefined) {
        this.#child = undefined;
        throw new Error(this.#failure(ended));
      }
      if (ready) return;
      if (systemClock.monotonic() > deadline) {
        await this.halt('SIGKILL');
        throw new Error(this.#failure(`nothing within ${this.#spec.readyMsMax} ms`));
      }
      await systemClock.sleep(PROBE_INTERVAL_MS);
    }
  }

  /** Ends it and waits until it is gone; data and log stay. Does nothing when it does not run. */
  async halt(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    // A process that stands still would take SIGTERM only when it goes on.
    child.kill('SIGCONT');
    child.ref();
    const exited = new Promise<void>((done) => child.once('exit', () => done()));
    child.kill(signal);
    const killer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS_MAX);
    await exited;
    clearTimeout(killer);
  }

  #failure(got: string): string {
    const tail = readFileSync(this.#spec.logFile, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
    return `start ${this.#spec.name}: expected it to answer, got ${got}; the end of ${this.#spec.logFile}:\n${tail}`;
  }
}

async function isReady(spec: ProcessSpec): Promise<boolean> {
  try {
    return await spec.ready();
  } catch {
    return false;
  }
}

function launch(spec: ProcessSpec): ChildProcess {
  const log = openSync(spec.logFile, 'a');
  try {
    const [program, args] = guarded(spec);
    const child = spawn(program, args, {
      cwd: spec.cwd,
      env: { ...process.env, ...spec.env },
      stdio: ['ignore', log, log],
    });
    // A forgotten server must not keep the test run alive; the exit hook ends it.
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

/** The command line that gives up rights and dies with its parent: setpriv(1) of util-linux, then the same process by exec. */
function guarded(spec: ProcessSpec): readonly [program: string, args: readonly string[]] {
  const setpriv = findProgram('setpriv');
  if (setpriv === undefined) {
    assert(spec.uid === undefined, 'changing the user needs setpriv');
    return [spec.program, spec.args];
  }
  const user = spec.uid === undefined ? [] : [`--reuid=${spec.uid}`, `--regid=${spec.uid}`, '--clear-groups'];
  return [setpriv, ['--pdeathsig', 'KILL', ...user, '--', spec.program, ...spec.args]];
}
