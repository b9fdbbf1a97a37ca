/**
 * What a command reads and writes, so that a test can hand it texts instead of files.
 *
 * Invariants: input is bounded and UTF-8; what is not is refused with its name. May import: everything but test.
 */
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';

import { errorText, OperationalError } from '../core/errors.ts';
import { MANIFEST_BYTES_MAX } from './manifest.ts';

export interface CommandIo {
  /** The text of a file; `-` is the standard input. */
  readonly read: (file: string) => Promise<string>;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether `out` is a terminal that shows colours. */
  readonly hasColour: boolean;
}

/** What a shell shows for a process that SIGPIPE ended: 128 and its number. */
const EXIT_PIPE = 141;

/** Files and streams of this process. */
export function processIo(env: Readonly<Record<string, string | undefined>>): CommandIo {
  // A reader that has seen enough (`| head`) is no failure of ours to tell about.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT_PIPE);
    throw error;
  });
  return {
    read: async (file) => (file === '-' ? readStream('(stdin)', process.stdin) : readFile(file)),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    // https://no-color.org
    hasColour: process.stdout.isTTY && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb',
  };
}

async function readFile(file: string): Promise<string> {
  let stream: Readable;
  try {
    const handle = await open(file);
    stream = handle.createReadStream();
  } catch (error) {
    throw notReadable(file, errorText(error));
  }
  return readStream(file, stream);
}

/**
 * A stream to its end.
 *
 * @throws OperationalError MANIFEST_UNREADABLE for more than the bound and for what is no UTF-8
 */
export async function readStream(name: string, stream: AsyncIterable<Buffer | string>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      const buffer = Buffer.from(chunk);
      bytes += buffer.length;
      if (bytes > MANIFEST_BYTES_MAX) throw notReadable(name, `more than ${MANIFEST_BYTES_MAX} bytes`);
      chunks.push(buffer);
    }
  } catch (error) {
    throw error instanceof OperationalError ? error : notReadable(name, errorText(error));
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch {
    throw notReadable(name, 'bytes that are no UTF-8');
  }
}

function notReadable(name: string, found: string): OperationalError {
  return new OperationalError('MANIFEST_UNREADABLE', `read ${name}: expected a manifest in UTF-8, got: ${found}`, {
    hint: 'name a file with -f FILE, or give the manifest to the standard input with -f -',
  });
}
