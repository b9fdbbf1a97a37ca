/**
 * Several manifests as one stream of the format that was asked for.
 *
 * Pure. Invariant: a stream can be given to `kubectl apply -f -` whatever its parts were. May import: everything but test.
 */
import type { Json } from '../../webhook/json.ts';
import { OperationalError } from '../core/errors.ts';
import type { Manifest } from './manifest.ts';
import { rewrite } from './manifest-write.ts';
import { documentText } from './manifest-style.ts';

export type OutputFormat = 'yaml' | 'json';

/**
 * The format that was named; undefined for each manifest's own.
 *
 * @throws OperationalError USAGE
 */
export function outputFormat<T extends string>(
  command: string,
  name: string | undefined,
  known: readonly T[],
): T | undefined {
  if (name === undefined) return undefined;
  const found = known.find((format) => format === name);
  if (found !== undefined) return found;
  throw new OperationalError('USAGE', `logtender ${command}: -o: expected ${known.join(' or ')}, got ${name}`, {
    hint: 'leave it out to get the format of the input',
  });
}

export interface WrittenStream {
  readonly text: string;
  /** Names of manifests of which a document had to be written anew, without its comments. */
  readonly rewritten: readonly string[];
}

/**
 * The stream, with the wanted values of each manifest's documents.
 *
 * @throws OperationalError MANIFEST_UNREADABLE where a number would be changed
 */
export function writeStream(
  manifests: readonly (readonly [manifest: Manifest, values: readonly Json[]])[],
  format: OutputFormat | undefined,
): WrittenStream {
  const rewritten: string[] = [];
  const parts = manifests.map(([manifest, values]): readonly [OutputFormat, string] => {
    const wanted = format ?? manifest.format;
    if (wanted !== manifest.format) {
      refuseRounding(manifest.name, values);
      return [wanted, converted(values, wanted)];
    }
    const written = rewrite(manifest, values);
    refuseRounding(
      manifest.name,
      written.rewritten.map((i) => values[i] ?? null),
    );
    if (written.rewritten.length > 0) rewritten.push(manifest.name);
    return [wanted, written.text];
  });
  return { text: joined(parts), rewritten };
}

/** A number that JavaScript has not got would be another one in what is written anew; in place it keeps its bytes. */
function refuseRounding(name: string, values: readonly Json[]): void {
  if (!values.some(holdsForeignNumber)) return;
  throw new OperationalError(
    'MANIFEST_UNREADABLE',
    `convert ${name}: expected whole numbers up to ${Number.MAX_SAFE_INTEGER}, got one that would be changed`,
    { hint: 'leave out -o: what does not change keeps its bytes' },
  );
}

function holdsForeignNumber(value: Json): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value);
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsForeignNumber);
}

function converted(values: readonly Json[], format: OutputFormat): string {
  const written = values.filter((value) => value !== null);
  if (format === 'json') return written.map((value) => `${JSON.stringify(value, null, 2)}\n`).join('');
  return written.map((value) => documentText(value)).join('---\n');
}

function joined(parts: readonly (readonly [OutputFormat, string])[]): string {
  let stream = '';
  for (const [format, text] of parts) {
    if (text === '') continue;
    if (stream !== '') {
      if (!stream.endsWith('\n')) stream += '\n';
      if (format === 'yaml' && !/^(?:---|%)/.test(text)) stream += '---\n';
    }
    stream += text;
  }
  return stream;
}
