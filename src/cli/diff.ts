/**
 * `logtender diff`: what an injection would change in manifests, as a unified diff.
 *
 * Exit 0 without a difference, 1 with one (as diff and kubectl diff do), 2 for a command line or an input that cannot be read.
 * May import: everything but test.
 */
import { parseArgs } from 'node:util';

import type { CommandIo } from './command-io.ts';
import { rewrite } from './manifest-write.ts';
import { OFFLINE_OPTIONS, offlineFacts, readManifests } from './offline-facts.ts';
import { decideManifest } from './offline-injection.ts';
import { coloured, unifiedDiff } from './unified-diff.ts';
import { injectionLines, invalidLine, printable } from './workload-lines.ts';

/**
 * Runs the command.
 *
 * @returns the exit code
 * @throws OperationalError USAGE, MANIFEST_UNREADABLE, CONFIG_INVALID: exit code 2
 */
export async function runDiff(args: readonly string[], io: CommandIo): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OFFLINE_OPTIONS });
  const manifests = await readManifests('diff', values.filename, io);
  const facts = await offlineFacts('diff', values, { manifests, io });
  let isDifferent = false;
  for (const manifest of manifests) {
    const documents = decideManifest(manifest, facts);
    const { edits } = rewrite(
      manifest,
      documents.map(({ value }) => value),
    );
    const diff = unifiedDiff(printable(manifest.name), manifest.text, edits);
    if (diff !== '') isDifferent = true;
    io.out(io.hasColour ? coloured(diff) : diff);
    for (const { templates, invalid } of documents) {
      for (const object of invalid) io.err(invalidLine(object));
      for (const template of templates) io.err(injectionLines(template, facts));
    }
  }
  return isDifferent ? 1 : 0;
}
