/**
 * `logtender uninject`: takes the sidecar out of manifests again, those of `kubectl get -o yaml` included.
 *
 * Exit 0, and 2 with nothing written for a command line or an input that cannot be read. Objects without anything of ours pass as
 * they are. May import: everything but test.
 */
import { parseArgs } from 'node:util';

import { uninject } from '../../webhook/uninjection.ts';
import type { CommandIo } from './command-io.ts';
import { outputFormat, writeStream } from './manifest-output.ts';
import { readManifests } from './offline-facts.ts';
import { patchedAt } from './offline-injection.ts';
import { objectsOf, templatesOf } from './pod-templates.ts';
import { templateName } from './workload-lines.ts';

const SAID = {
  injected: 'restored: the sidecar and all that came with it was taken out',
  explained: 'restored: the status that said why there is no sidecar was taken out',
  bare: 'unchanged: there is no sidecar of logtender in it',
} as const;

/**
 * Runs the command.
 *
 * @returns the exit code
 * @throws OperationalError USAGE, MANIFEST_UNREADABLE: exit code 2
 */
export async function runUninject(args: readonly string[], io: CommandIo): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { filename: { type: 'string', short: 'f', multiple: true }, output: { type: 'string', short: 'o' } },
  });
  const format = outputFormat('uninject', values.output, ['yaml', 'json']);
  const manifests = await readManifests('uninject', values.filename, io);
  const lines: string[] = [];
  const restored = manifests.map((manifest) => {
    const documents = manifest.documents.map(({ value }) =>
      objectsOf(value)
        .flatMap(templatesOf)
        .reduce((document, template) => {
          const { found, operations } = uninject(template.value);
          lines.push(`${templateName(template)}: ${SAID[found]}\n`);
          return patchedAt(document, template.path, operations);
        }, value),
    );
    return [manifest, documents] as const;
  });
  const stream = writeStream(restored, format);
  io.out(stream.text);
  for (const name of stream.rewritten) io.err(`${name}: a document was written anew, without its comments\n`);
  io.err(lines.join(''));
  return 0;
}
