/**
 * Holds the ledger against the files of the file sink: `records.ndjson` and its older ones.
 *
 * A record says container, path and offset, and not which generation of the path it is of: generations of one path are compared together.
 * May import: everything but test.
 */
import { createReadStream, statSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { FILE_SINK_FILES } from '../config/file-sink-config.ts';
import type { ForwarderConfig } from '../config/forwarder-config.ts';
import { errorText, OperationalError } from '../core/errors.ts';
import { rotatedName } from '../sinks/file/rotating-file.ts';
import { GroupBook } from './verify-group.ts';
import type { GroupLine, GroupVerdict } from './verify-group.ts';
import { recordOffsets } from './verify-ledger.ts';
import type { Ledger } from './verify-ledger.ts';

/**
 * @param files where the file of a source is now; sources whose file is gone are absent
 * @throws OperationalError SINK_UNREACHABLE when the files cannot be read
 */
export async function* fileVerdicts(
  config: ForwarderConfig,
  ledger: Ledger,
  files: ReadonlyMap<string, string>,
): AsyncGenerator<GroupVerdict> {
  const books = new Map(
    [...Map.groupBy(ledger.sources, ({ container, path }) => `${container}:${path}`)].map(([name, sources]) => [
      name,
      new GroupBook({ name, sources, files: ledger.linesAreRecords ? files : undefined, linesOf: offsetsOf }),
    ]),
  );
  const kept = await keptFiles(config.fileSink.path);
  for (const path of kept) {
    for await (const { container, file, offset } of recordsOf(path))
      books.get(`${container}:${file}`)?.addFound(String(offset));
  }
  for (const book of books.values()) {
    const verdict = book.verdict();
    // The oldest may have made room for newer ones, and nobody notes which records that were.
    const isFull = kept.length === FILE_SINK_FILES && verdict.missing > 0;
    // What is sent again is stored again, after a kill for instance, and not counted beforehand.
    const about = { ...verdict, twice_max: Number.MAX_SAFE_INTEGER };
    if (!isFull) yield about;
    else
      yield {
        ...about,
        missing: 0,
        undecided: `${verdict.missing} are missing, or made room for newer ones (file.bytesMax)`,
      };
  }
}

function* offsetsOf(path: string): Generator<GroupLine> {
  for (const offset of recordOffsets(path, statSync(path).size)) yield { offset, text: String(offset) };
}

/** The files that are there, oldest first. */
async function keptFiles(path: string): Promise<readonly string[]> {
  const kept: string[] = [];
  for (let number = FILE_SINK_FILES - 1; number >= 0; number -= 1) {
    const name = rotatedName(path, number);
    const isThere = await access(name).then(
      () => true,
      () => false,
    );
    if (isThere) kept.push(name);
  }
  if (kept.length === 0) throw unreadable(`no file ${path}`);
  return kept;
}

interface FoundInFile {
  readonly container: string;
  readonly file: string;
  readonly offset: number;
}

async function* recordsOf(path: string): AsyncGenerator<FoundInFile> {
  try {
    for await (const line of createInterface({ input: createReadStream(path) })) {
      const record = JSON.parse(line) as Readonly<Record<string, unknown>>;
      const container = at(record, 'kubernetes', 'container', 'name');
      const offset = at(record, 'log', 'offset');
      if (typeof offset !== 'number') throw new Error('records without log.offset (metadata: none)');
      yield { container: String(container), file: String(at(record, 'log', 'file', 'path')), offset };
    }
  } catch (error) {
    throw unreadable(`${path}: ${errorText(error)}`);
  }
}

/** A member by its path, whether its parents are objects or stand in its name with dots. */
function at(value: unknown, ...names: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null) return names.length === 0 ? value : undefined;
  for (let length = names.length; length > 0; length -= 1) {
    const member = (value as Readonly<Record<string, unknown>>)[names.slice(0, length).join('.')];
    const found = length === names.length ? member : at(member, ...names.slice(length));
    if (found !== undefined) return found;
  }
  return undefined;
}

function unreadable(found: string): OperationalError {
  return new OperationalError('SINK_UNREACHABLE', `read back from the file sink: expected records, got ${found}`, {
    hint: 'name the file of the sink in the configuration (file.path), or run where its volume is mounted',
  });
}
