/**
 * The sidecar of an admitted pod, run as a process with what the pod says: start, SIGKILL, start again, drain.
 *
 * May import: src/core, src/cli, test.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.ts';
import { prepareSidecar } from '../../src/cli/sidecar-process.ts';
import type { RunnablePod, SidecarProcess } from '../../src/cli/sidecar-process.ts';
import { bundleOf } from '../bundles.ts';
import { plainEnv } from '../plain-env.ts';

/** Node and its modules on a machine that does much else; whoever needs longer fails by what comes after. */
const START_MS_MAX = 30_000;
/** A search server that was killed and whose Java is cold takes some seconds for each bulk. */
const CATCH_UP_MS_MAX = 90_000;
/** The pod's grace is 30 s; a drain that takes longer has failed. */
const DRAIN_MS_MAX = 45_000;

export class AdmittedForwarder {
  readonly #sidecar: SidecarProcess;
  readonly #logFile: string;
  #starts = 0;
  #child: ChildProcess | undefined;

  private constructor(sidecar: SidecarProcess, logFile: string) {
    this.#sidecar = sidecar;
    this.#logFile = logFile;
  }

  /** @param secret files of the sink Secret, as the kubelet would mount them */
  static async of(
    pod: RunnablePod,
    root: string,
    secret: Readonly<Record<string, string>>,
  ): Promise<AdmittedForwarder> {
    const sidecar = await prepareSidecar(pod, root, bundleOf('forwarder'));
    const folder = sidecar.locate('logtender', '/logtender/secret');
    mkdirSync(folder, { recursive: true });
    for (const [name, value] of Object.entries(secret)) writeFileSync(join(folder, name), value);
    return new AdmittedForwarder(sidecar, join(root, 'forwarder.log'));
  }

  /** Where the app's folder stands on this machine. */
  appFolder(container: string, path: string): string {
    return this.#sidecar.locate(container, path);
  }

  log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  start(): void {
    this.#starts += 1;
    const log = openSync(this.#logFile, 'a');
    this.#child = spawn(process.execPath, [...this.#sidecar.args], {
      env: { ...plainEnv(), ...this.#sidecar.env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
  }

  /** Waits until the process that was started last has begun to work: on a busy machine Node alone takes more than a second. */
  async started(): Promise<void> {
    const end = systemClock.monotonic() + START_MS_MAX;
    const begun = (): number => this.log().split('"message":"forwarder starts"').length - 1;
    while (begun() < this.#starts && this.#child?.exitCode === null && systemClock.monotonic() < end)
      await systemClock.sleep(20);
  }

  /** Waits until its notes say that so many lines were read and nothing is left: what comes after is about the end, not about speed. */
  async caughtUp(lines: number): Promise<void> {
    const end = systemClock.monotonic() + CATCH_UP_MS_MAX;
    const isThrough = (): boolean => {
      const notes = existsSync(this.#sidecar.terminationMessagePath)
        ? readFileSync(this.#sidecar.terminationMessagePath, 'utf8')
        : '';
      const read = Number(/read=(\d+)/.exec(notes)?.[1] ?? 0);
      return read >= lines && notes.includes(' pending=0 ') && notes.includes('unread_bytes=0');
    };
    while (!isThrough() && this.#child?.exitCode === null && systemClock.monotonic() < end)
      await systemClock.sleep(100);
  }

  /** Kills it without a word, as soon as it works, and waits until it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    // One that never began would count as a kill and show nothing.
    await this.started();
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  /** SIGTERM as the kubelet sends it; gives exit code and termination message. */
  async drain(): Promise<{ readonly code: number | null; readonly summary: string }> {
    const child = this.#child;
    if (child === undefined) throw new Error('drain forwarder: expected one that runs, got none');
    // Before it has a handler SIGTERM ends it without a word.
    await this.started();
    const exited = once(child, 'exit');
    const timer = setTimeout(() => child.kill('SIGKILL'), DRAIN_MS_MAX);
    child.kill('SIGTERM');
    await exited;
    clearTimeout(timer);
    return { code: child.exitCode, summary: readFileSync(this.#sidecar.terminationMessagePath, 'utf8') };
  }
}
