/**
 * Whose end is ours: for a plain sidecar of a pod that is meant to end (a Job), as the webhook writes it into env.
 *
 * May import: core, config.
 */
import type { Reader } from './fields.ts';
import { ACCOUNT_TOKEN_DIR } from './stdio-config.ts';

export const END_ENV = {
  containers: 'END_WITH',
  tokenDir: 'END_TOKEN_DIR',
} as const;

export interface EndConfig {
  /** When all of these have ended for good, the forwarder ships what is left and ends too. */
  readonly containers: readonly string[];
  /** Folder with `token` and `ca.crt` for the API server, which tells of it. */
  readonly tokenDir: string;
}

/** Reads it; undefined for a sidecar that is ended by others. */
export function readEndConfig(reader: Reader): EndConfig | undefined {
  const containers = reader.list(END_ENV.containers, []);
  const tokenDir = reader.text(END_ENV.tokenDir, ACCOUNT_TOKEN_DIR);
  return containers.length === 0 ? undefined : { containers, tokenDir };
}
