/**
 * docs/annotations.md and docs/reasons.md say what the code says: they are written from it (UPDATE_GOLDEN=1) and compared here.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ENV, SECRET_KEYS } from '../../src/config/forwarder-config.ts';
import { KEYS } from '../../webhook/annotations.ts';
import type { KeyDocumentation } from '../../webhook/annotations.ts';
import { REASONS } from '../../webhook/reasons.ts';

const DOCS = join(import.meta.dirname, '../../docs');

const cell = (text: string): string => text.replaceAll('|', '\\|');

function annotationsPage(): string {
  const rows = Object.entries<KeyDocumentation>(KEYS).map(([key, about]) => {
    const state = about.parse === undefined ? ' *Not in this version.*' : '';
    return `| \`${key}\` | ${cell(about.format)} | ${cell(about.builtIn)} | ${about.places.join(', ')} | ${cell(about.meaning)}.${state} |`;
  });
  const secrets = Object.entries(SECRET_KEYS).map(([key, meaning]) => `| \`${key}\` | ${cell(meaning)} |`);
  return [
    '# Annotations',
    '',
    "Prefix `logging.io/`. Most specific wins: pod annotation, then namespace annotation, then `defaults` of the operator's",
    'configuration, then built-in. A bad value is answered with a warning and the next lower level applies (or the pod is refused,',
    'see `on-invalid`); nothing is dropped in silence.',
    '',
    '| key | format | built-in | places | meaning |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    '## Directories',
    '',
    'Where the pod has no volume at the directory of a glob, a shared one is mounted there so that the sidecar can read it. Like every',
    'mount it hides whatever the image has in that directory. So the directories of the system (`/usr`, `/bin`, `/sbin`, `/lib*`, `/etc`,',
    '`/boot`, `/root`) are refused with `glob_refused`; below `/usr/local` a directory named `log` or `logs` is fine, and what lies in it.',
    'A directory whose path does not look like a place for logs (no part of it is or ends with `log` or `logs`, and it is not in `/var/log`',
    'or `/tmp`) is taken as asked, with the warning `directory_hidden`. Best is a directory of its own, such as `/var/log/app`, or a volume',
    'of the pod, which is used as it is.',
    '',
    '## Resources',
    '',
    'Memory below 32Mi and a CPU limit below 20m would keep the sidecar from starting and are bad values. Where the pod has resources of',
    'its own (`spec.resources`), the sidecar lives within them and has neither request nor limit for what they name.',
    '',
    '## Keys of the sink Secret',
    '',
    '| key | meaning |',
    '|---|---|',
    ...secrets,
    '',
    '## Env of the sidecar',
    '',
    `${Object.values(ENV)
      .map((name) => `\`${name}\``)
      .join(', ')}: written by the webhook, shown by \`kubectl describe pod\`.`,
    '',
  ].join('\n');
}

function reasonsPage(): string {
  const rows = Object.entries(REASONS).map(
    ([code, reason]) => `| \`${code}\` | ${reason.severity} | ${cell(reason.sentence)} | ${cell(reason.remedy)} |`,
  );
  return [
    '# Reason codes',
    '',
    "The same code stands in the webhook's log line, in the label `reason` or `code` of its metrics, in the status annotation of the",
    'pod, in the warning that `kubectl` prints and in the Event on the owner.',
    '',
    '| code | severity | what it says | what to do |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

describe('reference pages', () => {
  for (const [file, page] of [
    ['annotations.md', annotationsPage],
    ['reasons.md', reasonsPage],
  ] as const) {
    it(`docs/${file} is what the code says`, () => {
      const path = join(DOCS, file);
      if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, page());
      assert.equal(readFileSync(path, 'utf8'), page(), `run UPDATE_GOLDEN=1 npx mocha test/docs/reference.test.ts`);
    });
  }
});
