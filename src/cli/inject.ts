/**
 * `logtender inject`: manifests in, the same with sidecars out, and a line for every workload that says what became of it and why.
 *
 * Exit 0; 1 when something that was asked for is not given or an object is invalid (the stream is written all the same); 2 with nothing
 * written for a command line or an input that cannot be read. May import: everything but test.
 */
import { parseArgs } from 'node:util';

import type { CommandIo } from './command-io.ts';
import { outputFormat, writeStream } from './manifest-output.ts';
import { OFFLINE_OPTIONS, offlineFacts, readManifests } from './offline-facts.ts';
import { decideManifest, inDocument, isRefused } from './offline-injection.ts';
import type { DecidedDocument } from './offline-injection.ts';
import { injectionLines, invalidLine } from './workload-lines.ts';

const FORMATS = ['yaml', 'json', 'patch'] as const;

/**
 * Runs the command.
 *
 * @returns the exit code
 * @throws OperationalError USAGE, MANIFEST_UNREADABLE, CONFIG_INVALID: exit code 2
 */
export async function runInject(args: readonly string[], io: CommandIo): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { ...OFFLINE_OPTIONS, output: { type: 'string', short: 'o' } },
  });
  const format = outputFormat('inject', values.output, FORMATS);
  const manifests = await readManifests('inject', values.filename, io);
  const facts = await offlineFacts('inject', values, { manifests, io });
  const decided = manifests.map((manifest) => [manifest, decideManifest(manifest, facts)] as const);
  if (format === 'patch') io.out(decided.map(([manifest, documents]) => patchLines(manifest.name, documents)).join(''));
  else {
    const stream = writeStream(
      decided.map(([manifest, documents]) => [manifest, documents.map(({ value }) => value)]),
      format,
    );
    io.out(stream.text);
    for (const name of stream.rewritten) io.err(`${name}: a document was written anew, without its comments\n`);
  }
  const documents = decided.flatMap(([, all]) => all);
  for (const { templates, invalid } of documents) {
    for (const object of invalid) io.err(invalidLine(object));
    for (const template of templates) io.err(injectionLines(template, facts));
  }
  const isWrong = documents.some(
    ({ templates, invalid }) => invalid.length > 0 || templates.some(({ outcome }) => isRefused(outcome)),
  );
  return isWrong ? 1 : 0;
}

/** One JSON object a workload; `patch` is RFC 6902, its paths begin at the document. */
function patchLines(file: string, documents: readonly DecidedDocument[]): string {
  return documents
    .flatMap(({ templates }, document) =>
      templates.map(({ template, namespace, outcome }) => {
        const { kind, name } = template.object;
        const patch = inDocument(template.path, outcome.operations);
        return `${JSON.stringify({ file, document, kind, namespace, name, reason: outcome.reason, patch })}\n`;
      }),
    )
    .join('');
}
