/**
 * Where the file sink writes, and how much it keeps. May import: core, config.
 */
import { BULK_BYTES_MAX, MiB } from '../core/limits.ts';

export interface FileSinkConfig {
  /** The newest file; older ones stand beside it with a number before their extension. */
  readonly path: string;
  /** All files of the sink together. */
  readonly bytesMax: number;
}

/** Files that the bound is shared by: with the oldest goes a quarter of what is kept. */
export const FILE_SINK_FILES = 4;

/** At least two batches to a file, so that a batch never exceeds one; 64 MiB fit a small emptyDir. */
export const FILE_SINK_BYTES = {
  min: 2 * FILE_SINK_FILES * BULK_BYTES_MAX,
  max: 1024 * 1024 * MiB,
  default: 64 * MiB,
} as const;
