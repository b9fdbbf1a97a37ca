/**
 * `logtender lint`: what is wrong with the words of logtender in manifests, each finding with file, line and column.
 *
 * Exit 0; 1 when there is an error (with --strict: or a warning); 2 for a command line or an input that cannot be read.
 * May import: everything but test.
 */
import { parseArgs } from 'node:util';

import type { CommandIo } from './command-io.ts';
import { lintFinding } from './lint-finding.ts';
import type { LintFinding, LintPlace } from './lint-finding.ts';
import { lintTemplate } from './lint-templates.ts';
import { lintWords } from './lint-words.ts';
import { outputFormat } from './manifest-output.ts';
import { placesIn } from './manifest.ts';
import type { Manifest } from './manifest.ts';
import { OFFLINE_OPTIONS, offlineFacts, readManifests } from './offline-facts.ts';
import type { OfflineFacts } from './offline-facts.ts';
import { decideTemplate, invalidObjects } from './offline-injection.ts';
import { objectsOf, templatesOf } from './pod-templates.ts';
import type { ManifestObject } from './pod-templates.ts';
import { objectName, printable, templateName } from './workload-lines.ts';

/**
 * Runs the command.
 *
 * @returns the exit code
 * @throws OperationalError USAGE, MANIFEST_UNREADABLE, CONFIG_INVALID: exit code 2
 */
export async function runLint(args: readonly string[], io: CommandIo): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...OFFLINE_OPTIONS,
      output: { type: 'string', short: 'o' },
      strict: { type: 'boolean', default: false },
    },
  });
  const format = outputFormat('lint', values.output, ['text', 'json']) ?? 'text';
  const manifests = await readManifests('lint', values.filename, io);
  const facts = await offlineFacts('lint', values, { manifests, io });
  const findings = lintManifests(manifests, facts);
  io.out(format === 'json' ? `${JSON.stringify(findings, null, 2)}\n` : findings.map(lintLine).join(''));
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const warnings = findings.filter(({ severity }) => severity === 'warning').length;
  io.err(`${errors} errors, ${warnings} warnings in ${manifests.length} files\n`);
  return errors > 0 || (values.strict && warnings > 0) ? 1 : 0;
}

/** All findings, in the order of files and lines. */
export function lintManifests(manifests: readonly Manifest[], facts: OfflineFacts): readonly LintFinding[] {
  const secrets = manifests
    .flatMap(({ documents }) => documents.flatMap(({ value }) => objectsOf(value)))
    .filter(({ kind }) => kind === 'Secret');
  return manifests.flatMap(({ name, text, documents }) => {
    const locate = placesIn(text);
    return documents
      .flatMap((document) => lintDocument({ file: name, locate, document }, { facts, secrets }))
      .toSorted((a, b) => a.line - b.line || a.column - b.column);
  });
}

function lintDocument(
  about: Pick<LintPlace, 'file' | 'locate' | 'document'>,
  { facts, secrets }: { readonly facts: OfflineFacts; readonly secrets: readonly ManifestObject[] },
): readonly LintFinding[] {
  const objects = objectsOf(about.document.value);
  const place = (path: LintPlace['path'], object: string): LintPlace => ({ ...about, path, object });
  const invalid = invalidObjects(objects)
    // Words that are no texts are found where they stand (lint-words.ts).
    .filter(({ code }) => code === 'manifest_invalid')
    .map(({ object, code, detail }) => lintFinding(place(object.path, objectName(object)), { code, detail }));
  const words = objects.flatMap((object) => {
    const templates = templatesOf(object);
    return [
      ...lintWords(object, templates, facts).map(({ finding, path }) =>
        lintFinding(place(path, objectName(object)), finding),
      ),
      ...templates.flatMap((template) =>
        lintTemplate(decideTemplate(template, facts), facts, secrets).map(({ finding, path, severity }) =>
          lintFinding(place(path, templateName(template)), finding, severity),
        ),
      ),
    ];
  });
  return [...invalid, ...words];
}

/** `FILE:LINE:COLUMN: error unknown_key: deployment/web: logging.io/fils: …`. */
function lintLine(finding: LintFinding): string {
  const { file, line, column, object, key, code, severity, detail, sentence, remedy } = finding;
  const parts = [
    `${file}:${line}:${column}: ${severity} ${code}: ${object}`,
    ...(key === undefined ? [] : [key]),
    [...(detail === undefined ? [] : [detail]), sentence].join('; '),
    ...(remedy === '' ? [] : [remedy]),
  ];
  return `${printable(parts.join(': '))}\n`;
}
