/**
 * Lines to a file descriptor, many in one write, so that what is logged of a request costs it no system call and never blocks it.
 *
 * Invariants: lines keep their order; one write is under way at a time; a reader that is slow or gone costs at most
 * `PENDING_CHARS_MAX` of memory, and then lines, which are counted and told as soon as there is room; `end` writes what is left, for
 * the moment when the process ends: lines that are being written just then may come twice, and a process that is killed with SIGKILL
 * loses those of its last GATHER_MS.
 * Sources: Node.js documentation, "A note on process I/O" (its stderr writes synchronously to files and pipes); write(2), EAGAIN.
 * May import: core.
 */
import { write, writeSync } from 'node:fs';

import type { Clock } from './clock.ts';
import { MiB } from './limits.ts';

/** Where bytes go. */
export interface LineOutput {
  /** Writes some of the bytes; `written` is how many. An error leaves all of them unwritten. */
  write(bytes: Buffer, done: (error: Error | null, written: number) => void): void;
  /** The same at once. Throws what goes wrong. */
  writeSync(bytes: Buffer): number;
}

export interface LineWriter {
  /** Takes a line with its newline. */
  write(line: string): void;
  /** Writes what is left, as far as that can be done at once. */
  end(): void;
}

/** Long enough to gather what a busy loop logs, short enough for whoever follows the log. */
const GATHER_MS = 10;
/** As much as a pipe takes at once (pipe(7), capacity): more is not left to gather. */
const GATHERED_CHARS = 64 * 1024;
/** Lines of ten thousand requests: what a webhook under full load says in two seconds. */
const PENDING_CHARS_MAX = 4 * MiB;
/** A full pipe is tried again after this time; it is not an error. */
const AGAIN_MS = 50;

/** The descriptor of a file, pipe or terminal. */
export function descriptorOutput(descriptor: number): LineOutput {
  return {
    write: (bytes, done) => write(descriptor, bytes, done),
    writeSync: (bytes) => writeSync(descriptor, bytes),
  };
}

/** @param options.lost makes the line that tells how many were lost, with its newline */
export function createLineWriter(options: {
  readonly output: LineOutput;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly lost: (lines: number) => string;
}): LineWriter {
  return new GatheringWriter(options);
}

class GatheringWriter implements LineWriter {
  readonly #options: Parameters<typeof createLineWriter>[0];
  #pending = '';
  /** What is being written. */
  #bytes: Buffer = Buffer.alloc(0);
  #isRunning = false;
  #lost = 0;
  #wake = (): void => {};

  constructor(options: Parameters<typeof createLineWriter>[0]) {
    this.#options = options;
  }

  write(line: string): void {
    if (this.#pending.length + line.length > PENDING_CHARS_MAX) {
      this.#lost += 1;
      return;
    }
    this.#pending += line;
    if (!this.#isRunning) {
      this.#isRunning = true;
      void this.#run();
    } else if (this.#pending.length > GATHERED_CHARS) {
      this.#wake();
    }
  }

  end(): void {
    for (const bytes of [this.#bytes, Buffer.from(this.#taken())]) {
      try {
        for (let from = 0; from < bytes.length;) from += this.#options.output.writeSync(bytes.subarray(from));
      } catch {
        // Nobody reads, and there is no time left to wait for somebody.
        return;
      }
    }
    this.#bytes = Buffer.alloc(0);
  }

  async #run(): Promise<void> {
    while (this.#pending !== '' || this.#lost > 0) {
      await this.#gathered();
      this.#bytes = Buffer.from(this.#taken());
      while (this.#bytes.length > 0) await this.#step();
    }
    this.#isRunning = false;
  }

  /** Waits for more lines, but not when there are many. */
  #gathered(): Promise<void> {
    if (this.#pending.length > GATHERED_CHARS) return Promise.resolve();
    const enough = new AbortController();
    this.#wake = (): void => enough.abort('enough');
    return this.#options.clock.sleep(GATHER_MS, enough.signal);
  }

  #taken(): string {
    const text = this.#lost === 0 ? this.#pending : this.#pending + this.#options.lost(this.#lost);
    this.#pending = '';
    this.#lost = 0;
    return text;
  }

  async #step(): Promise<void> {
    const written = await new Promise<number>((resolve) => {
      this.#options.output.write(this.#bytes, (error, count) => resolve(error === null ? count : 0));
    });
    this.#bytes = this.#bytes.subarray(written);
    if (written === 0) await this.#options.clock.sleep(AGAIN_MS);
  }
}
