/**
 * A tar archive as bytes that depend on its entries alone: no time, no user, no order of a file system.
 *
 * Format: POSIX.1-1988 ustar (https://www.gnu.org/software/tar/manual/html_node/Standard.html), 512-byte blocks, two empty ones at the
 * end. Pure. May import: node:.
 */
import assert from 'node:assert/strict';

export interface TarEntry {
  /** Path without a slash at its start; that of a folder ends with a slash. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  /** Absent for a folder. */
  readonly content?: Buffer;
}

const BLOCK_BYTES = 512;
const NAME_BYTES_MAX = 100;
const PREFIX_BYTES_MAX = 155;
const CHECKSUM_AT = 148;

/** The archive. Entries stand in the order of their paths; owner is root, the time is the epoch. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  const sorted = entries.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const parts = sorted.flatMap(({ path, mode, content }) => {
    assert(!path.startsWith('/') && path.endsWith('/') === (content === undefined), `tar path ${path}`);
    const padding = content === undefined ? 0 : -content.length & (BLOCK_BYTES - 1);
    return [header(path, mode, content?.length), content ?? Buffer.alloc(0), Buffer.alloc(padding)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK_BYTES)]);
}

/** Every folder on the way to the files, once, readable by everybody. */
export function withFolders(files: readonly TarEntry[]): readonly TarEntry[] {
  const folders = new Set<string>();
  for (const { path } of files) {
    for (let end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1)) folders.add(path.slice(0, end + 1));
  }
  const given = new Set(files.map(({ path }) => path));
  return [...files, ...[...folders].filter((path) => !given.has(path)).map((path) => ({ path, mode: 0o755 }))];
}

function header(path: string, mode: number, size: number | undefined): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const [prefix, name] = split(path);
  block.write(name, 0);
  block.write(octal(mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(size ?? 0, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(size === undefined ? '5' : '0', 156);
  block.write('ustar\x0000', 257);
  block.write(prefix, 345);
  // The checksum is the sum of all bytes, its own field taken as blanks.
  block.write(' '.repeat(8), CHECKSUM_AT);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, CHECKSUM_AT);
  return block;
}

function octal(value: number, width: number): string {
  const digits = value.toString(8).padStart(width - 1, '0');
  assert(digits.length < width, `tar field of ${width} bytes holds ${value}`);
  return `${digits}\0`;
}

/** A long path is cut at a slash into prefix and name. */
function split(path: string): readonly [prefix: string, name: string] {
  if (Buffer.byteLength(path) <= NAME_BYTES_MAX) return ['', path];
  const at = path.indexOf('/', path.length - NAME_BYTES_MAX - 1);
  const prefix = path.slice(0, Math.max(at, 0));
  assert(at > 0 && Buffer.byteLength(prefix) <= PREFIX_BYTES_MAX, `tar path too long: ${path}`);
  return [prefix, path.slice(at + 1)];
}
