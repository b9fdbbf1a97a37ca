/**
 * Files that say of themselves that they are no UTF-8, told once for each, however many lanes read it.
 *
 * May import: core, source.
 */
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { SourceFile } from './source-file.ts';

export class ForeignEncodings {
  readonly #told = new WeakSet<SourceFile>();
  readonly #log: Log;
  readonly #metrics: Metrics;

  constructor(options: { log: Log; metrics: Metrics }) {
    this.#log = options.log;
    this.#metrics = options.metrics;
  }

  /** The file begins with the byte order mark of UTF-16 or UTF-32. */
  tell(source: SourceFile): void {
    if (this.#told.has(source)) return;
    this.#told.add(source);
    this.#metrics
      .counter(
        'logtender_utf16_files_total',
        'Files with the byte order mark of UTF-16 or UTF-32, shipped as they are.',
      )
      .add(1);
    this.#log.warn('file is UTF-16 and is shipped as it is: what is no UTF-8 in it becomes U+FFFD', {
      path: source.info.path,
      container: source.info.container,
      hint: 'let the app write UTF-8',
    });
  }
}
