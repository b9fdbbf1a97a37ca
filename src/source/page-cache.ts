/**
 * Gives back what log files hold of the page cache once every sink has acknowledged it.
 *
 * Pages that were read once and are read no more are charged to the control group that read them. Under a hard limit they push out pages of the
 * program itself, which then come from the disk again and again (docs/performance.md). posix_fadvise(POSIX_FADV_DONTNEED) says that they are
 * not needed: clean pages are dropped, dirty ones stay and are written out soon (posix_fadvise(2)). It is advice: nothing depends on its success.
 *
 * Node has no call of its own for it, but its WASI does (fd_advise, WASI preview 1): an instance whose standard input is the file.
 * May import: core, source, node:.
 */
import type { WASI } from 'node:wasi';
import type { Clock } from '../core/clock.ts';
import { errorText } from '../core/errors.ts';
import { FRESH_PAGES_BYTES, FRESH_PAGES_MS, PAGES_BYTES_AGAIN, PAGES_BYTES_MIN } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { SourceFile } from './source-file.ts';

/** WASI preview 1, `advice`: the application expects that it will not access the data in the near future. */
const DONT_NEED = 4;
/** Standard input in WASI. */
const STDIN = 0;
/** As many files are rarely made up for at once. */
const KEPT_MAX = 8;
/** What of the WebAssembly JavaScript interface (W3C, core 2) is used here; TypeScript has it only together with the DOM. */
interface WasmPlatform {
  readonly Memory: new (descriptor: { readonly initial: number; readonly maximum: number }) => object;
}

/** Gives back `bytes` from an offset on; an errno of WASI, 0 for success. */
type Advise = (from: number, bytes: number) => number;

export class PageCache {
  readonly #clock: Clock;
  readonly #log: Log;
  /** Everything before it was given back; infinite where that cannot be done. Most files are too small to be here. */
  readonly #from = new WeakMap<SourceFile, number>();
  /** By descriptor, the last few: one takes 16 KiB. It holds a number and nothing open, so that it stays right whatever has that number. */
  readonly #advise = new Map<number, Advise>();
  /** Wanted by WASI, and not looked at by fd_advise: one for all files. */
  #memory: object | undefined;
  #isSaid = false;

  constructor({ clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Takes note that everything before an offset is acknowledged by all, and gives pages back when there are enough of them.
   *
   * @param to offset in bytes
   */
  release(source: SourceFile, to: number): void {
    const { fd } = source;
    if (fd === undefined) return;
    const from = this.#from.get(source) ?? 0;
    const end = to - (to % PAGES_BYTES_MIN);
    if (end <= from || this.#isFresh(source, to)) return;
    // Once more what is before it: a piece of the cache that a range holds in part, and what was not on the disk yet, was left.
    const begin = Math.max(0, from - PAGES_BYTES_AGAIN);
    try {
      const errno = this.#adviceFor(fd)(begin, end - begin);
      if (errno !== 0) throw new Error(`fd_advise: errno ${errno} of WASI`);
      this.#from.set(source, end);
    } catch (error) {
      // Nothing depends on it, and another file may be on another file system.
      this.#from.set(source, Number.POSITIVE_INFINITY);
      this.#say(source, error);
    }
  }

  #say(source: SourceFile, error: unknown): void {
    if (this.#isSaid) return;
    this.#isSaid = true;
    const { path } = source.info;
    const what = 'pages of a log file cannot be given back, they stay until the kernel needs them';
    this.#log.info(what, { path, error: errorText(error) });
  }

  /** Who keeps up reads what was just written: those pages are not on the disk yet, and not charged to us. */
  #isFresh({ size, mtimeMs }: SourceFile, to: number): boolean {
    return size - to < FRESH_PAGES_BYTES && this.#clock.now() - mtimeMs < FRESH_PAGES_MS;
  }

  /** @throws where this Node has no such WASI, or the descriptor is none */
  #adviceFor(fd: number): Advise {
    const known = this.#advise.get(fd);
    if (known !== undefined) return known;
    const wasi = new (loadWasi())({ version: 'preview1', stdin: fd });
    this.#memory ??= onePage();
    wasi.finalizeBindings({ exports: {} }, { memory: this.#memory });
    // The types of Node leave the calls of WASI open; this is their form in preview 1.
    const { fd_advise: call } = wasi.wasiImport as {
      fd_advise: (fd: number, offset: bigint, length: bigint, advice: number) => number;
    };
    const advise: Advise = (from, bytes) => call(STDIN, BigInt(from), BigInt(bytes), DONT_NEED);
    const [oldest] = this.#advise.keys();
    if (oldest !== undefined && this.#advise.size >= KEPT_MAX) this.#advise.delete(oldest);
    this.#advise.set(fd, advise);
    return advise;
  }
}

/** @throws where there is no WebAssembly (`--jitless`) */
function onePage(): object {
  const { WebAssembly: platform } = globalThis as { readonly WebAssembly?: WasmPlatform };
  if (platform === undefined) throw new Error('no WebAssembly on this platform');
  return new platform.Memory({ initial: 1, maximum: 1 });
}

/** Its warning (experimental) would stand among the lines of our log; what we use of it a test looks at. */
function loadWasi(): typeof WASI {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule('node:wasi').WASI;
  } finally {
    process.emitWarning = emitWarning;
  }
}
