/**
 * docs/annotations.md, docs/reasons.md and docs/names.md say what the code says: they are written from it (UPDATE_GOLDEN=1) and
 * compared here; what other pages say of reason codes and keys is looked up in it.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  legalBucket,
  legalDataStreamPart,
  legalIndex,
  legalKeyPrefix,
  legalLogGroup,
  legalLogStream,
} from '../../src/config/legal-names.ts';
import { ENV, SECRET_KEYS } from '../../src/config/forwarder-config.ts';
import { KEYS } from '../../webhook/annotations.ts';
import type { KeyDocumentation } from '../../webhook/annotations.ts';
import { ANNOUNCED, eventReason, REASONS } from '../../webhook/reasons.ts';
import type { Reason, ReasonCode } from '../../webhook/reasons.ts';

const DOCS = join(import.meta.dirname, '../../docs');

/** Pages whose links are followed. */
const PAGES = ['annotations.md', 'reasons.md', 'names.md', 'shapes.md'];

const cell = (text: string): string => text.replaceAll('|', '\\|');

function annotationsPage(): string {
  const rows = Object.entries<KeyDocumentation>(KEYS).map(([key, about]) => {
    const state = about.isAvailable ? '' : ' *Not in this version.*';
    return `| \`${key}\` | ${cell(about.format)} | ${cell(about.builtIn)} | ${about.places.join(', ')} | ${cell(about.meaning)}.${state} |`;
  });
  const secrets = Object.entries(SECRET_KEYS).map(([key, meaning]) => `| \`${key}\` | ${cell(meaning)} |`);
  return [
    '# Annotations',
    '',
    "Prefix `logging.io/`. Most specific wins: pod annotation, then namespace annotation, then `defaults` of the operator's",
    'configuration, then built-in. A bad value is answered with a warning and the next lower level applies (or the pod is refused,',
    'see `on-invalid`); nothing is dropped in silence. Values of keys that this version does not act on are checked all the same, and a',
    'valid one is answered with `key_not_available`. What each code means: [reasons.md](reasons.md). What becomes of unusual pods:',
    '[shapes.md](shapes.md).',
    '',
    '| key | format | built-in | places | meaning |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    '## Lists and patterns',
    '',
    'Lists of names, sinks, files and presets are comma lists; blanks around an element do not count.',
    '',
    'Patterns may hold commas, so a list of them is a pattern a line, or a JSON list of texts. A value that begins with `["` is taken as',
    'JSON; every other one a line each. Up to 64 patterns of up to 1,024 characters.',
    '',
    '```yaml',
    'logging.io/redact: |',
    '  password=\\S+',
    '  [0-9]{13,16}',
    'logging.io/exclude: \'["GET /healthz", "a,b"]\'',
    'logging.io/sample: |',
    '  10% level:debug,trace',
    '  100/s GET /api',
    '  50%',
    'logging.io/multiline: start:^\\d{4}-\\d{2}-\\d{2}',
    '```',
    '',
    'Patterns are regular expressions in the syntax of ECMAScript with the flag `u`, without what cannot be matched in time linear to the',
    'line: lookahead, lookbehind, back-references, counts above 1,000, and more than eight different `\\p{…}` in a list. `(?i:password)` lets',
    'go of case. What the keys do, with examples: [records.md](records.md).',
    '',
    '## Templates',
    '',
    '`{cluster}`, `{namespace}`, `{pod}`, `{container}`, `{app}`, `{workload}`, `{node}`, `{file}`, `{label:KEY}` and, in `data-stream` and',
    '`index`, dates of `yyyy`, `MM`, `dd` and `HH` such as `{yyyy.MM.dd}` (UTC). Other braces are bad values. `{app}` is the first of the labels `app.kubernetes.io/name`, `app`, `k8s-app`, else',
    'the workload, else the pod. `{workload}` is the name of the owner: of a ReplicaSet without its hash, of a Job of a CronJob without its',
    'number. How a name is made legal: [names.md](names.md).',
    '',
    '## The status',
    '',
    '`logging.io/status` is JSON in lines that `kubectl describe pod` shows whole. It is written by logtender and believed by nobody.',
    '',
    '| member | meaning |',
    '|---|---|',
    '| `decision`, `reason`, `message` | injected or skipped, the [reason code](reasons.md), and the same in words |',
    '| `level` | who asked for the sidecar: `pod` or `namespace` |',
    "| `version`, `config` | version of logtender, and a hash of what of the operator's configuration can change a pod |",
    '| `shape`, `shapeReason` | `native` or `container`, and why |',
    '| `account`, `accountReason` | the account under which the pod runs, and why it was switched or kept |',
    '| `destinations` | per sink the data stream, or log group and log stream; braces are filled in by the forwarder |',
    '| `resources` | requests and limits of the sidecar as they were written |',
    '| `levels` | the keys whose value came from `pod`, `namespace` and `config`; what is not here is built in |',
    '| `findings` | everything that does not hold as it was asked: `code`, `key`, `level`, `detail`, `sentence`, `remedy` |',
    '| `originals` | what `logtender uninject` puts back |',
    '',
    '## Directories',
    '',
    'Where the pod has no volume at the directory of a glob, a shared one is mounted there so that the sidecar can read it. Like every',
    'mount it hides whatever the image has in that directory. So the directories of the system (`/usr`, `/bin`, `/sbin`, `/lib*`, `/etc`,',
    '`/boot`, `/root`) are refused with `glob_refused`; below `/usr/local` a directory named `log` or `logs` is fine, and what lies in it.',
    'So is a directory from which the container starts: its `workingDir`, or the program of its `command`, a probe or a hook, lies there.',
    'A directory whose path does not look like a place for logs (no part of it is `log` or `logs`, and it is not in `/tmp`) and `/var/log`',
    'itself are taken as asked, with the warning `directory_hidden`. Best is a directory of its own, such as `/var/log/app`, or a volume of',
    'the pod, which is used as it is. A path has at most 1,024 bytes, and 255 between slashes.',
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

const SEVERITIES: Readonly<Record<Reason['severity'], string>> = {
  info: 'nothing is to be done',
  warning: 'there is something to know, or the pod can have no sidecar',
  degraded: 'something that was asked for does not hold; under `logging.io/on-invalid: deny` the pod is refused',
  error: 'no sidecar, or no answer',
};

function reasonsPage(): string {
  const codes = Object.entries<Reason>(REASONS) as readonly [ReasonCode, Reason][];
  return [
    '# Reason codes',
    '',
    "The same code stands in the webhook's log line, in the label `reason` or `code` of its metrics, in the status annotation of the",
    'pod, in the warning that `kubectl` prints, in the audit annotations of the API server, in the answer that says why a request failed, and',
    'in the Event on the owner: the outcome as its reason, in the spelling of Kubernetes, and what else there is to say in its message.',
    'Sentence and remedy are the same everywhere. Outcomes without an Event are those that nobody has to be told of; `injected` has',
    'one, of type Normal, where there are warnings.',
    '',
    '| severity | means |',
    '|---|---|',
    ...Object.entries(SEVERITIES).map(([severity, meaning]) => `| ${severity} | ${meaning} |`),
    '',
    ...codes.flatMap(([code, { severity, sentence, remedy }]) => [
      `## \`${code}\``,
      '',
      `${severity}${ANNOUNCED.includes(code) ? `, Event \`${eventReason(code)}\`` : ''}: ${sentence}.`,
      ...(remedy === '' ? [] : ['', `What to do: ${remedy}.`]),
      '',
    ]),
  ].join('\n');
}

/** Name of a rule, a text, and what it becomes: computed, so that the page cannot say anything else. */
const EXAMPLES: readonly (readonly [string, (text: string) => string, readonly string[]])[] = [
  ['log group', legalLogGroup, ['/k8s/prod/shop/web', 'my group:1', 'aws/mine', '']],
  ['log stream', legalLogStream, ['web-1/app/var/log/app/a.log', 'a:b*c']],
  ['value inside a data stream', legalDataStreamPart, ['my-team', 'Shop']],
  ['data stream or index', legalIndex, ['logs-logtender-my_team', 'Logs Prod#1', '_hidden', '']],
  ['prefix of keys', legalKeyPrefix, ['prod/shop/web', '/a//../ü']],
  ['bucket', legalBucket, ['logs-prod', 'My_Logs', '10.0.0.1', `${'team-'.repeat(20)}logs`]],
];

function namesPage(): string {
  const rows = EXAMPLES.flatMap(([name, rule, texts]) =>
    texts.map((text) => `| ${name} | ${text === '' ? '(empty)' : `\`${cell(text)}\``} | \`${cell(rule(text))}\` |`),
  );
  return [
    '# Names',
    '',
    'Names of log groups, log streams, data streams, indices, key prefixes and buckets come from templates, and what fills a template may be',
    'anything. One rule makes every result legal for its destination:',
    '',
    '1. Every character that the destination refuses becomes `_` (in a bucket, which has no `_`, it becomes `-`). Where only lower case is',
    '   allowed, upper case becomes lower case. What may not stand at the beginning goes. Braces of a value become `_`.',
    '2. A name that is too long keeps its beginning and ends with `_` (`-`) and twelve hexadecimal digits of the SHA-256 of the whole, so that',
    '   two long names that differ anywhere stay apart.',
    '3. Nothing left becomes `_`, in an index `logs`: a record has to go somewhere.',
    '',
    'A legal name stays as it is. The same text gives the same name, in every version.',
    '',
    '| name | legal | longest | source |',
    '|---|---|---|---|',
    '| log group | `A-Z a-z 0-9 . - _ / #`, not beginning with `aws/` | 512 characters | CloudWatch Logs API, CreateLogGroup |',
    '| log stream | anything but `:`, `*` and controls | 512 characters | CloudWatch Logs API, CreateLogStream |',
    '| data stream, index | lower case, none of `\\ / * ? " < > \\| , # :` and white space, not beginning with `-`, `_`, `+`, `.` | 255 bytes | Elasticsearch reference, create index |',
    '| value inside a data stream | the same, and `-` becomes `_`, because `-` separates type, dataset and namespace | 255 bytes | Elastic data stream naming scheme |',
    "| prefix of keys | `A-Z a-z 0-9 ! - _ . ' ( ) =` between single `/`, no part `.` or `..`, ending with `/` | 512 characters | S3 user guide, object keys |",
    '| bucket | `a-z 0-9 . -`, beginning and ending with a letter or digit, none of the names that S3 keeps for itself | 63 characters | S3 user guide, bucket naming rules |',
    '',
    'The text of a `bucket` or a `prefix` that somebody typed is not bent but refused with the nearest legal one: nobody is sent to a bucket',
    'other than the one that he named. The rule is for what placeholders bring.',
    '',
    '## Which template holds',
    '',
    'For log group and log stream the most specific of pod, namespace and configuration that says anything about them decides: `log-group`',
    '(`log-stream`), or `naming`, which stands for a built-in template of both. Where one level says both, `log-group` (`log-stream`) wins. So',
    "a pod with `naming: flat` has both names flat whatever its namespace or the operator's `defaults` say about `log-group`.",
    '',
    '## Examples',
    '',
    '| name | from | to |',
    '|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

describe('reference pages', () => {
  for (const [file, page] of [
    ['annotations.md', annotationsPage],
    ['reasons.md', reasonsPage],
    ['names.md', namesPage],
  ] as const) {
    it(`docs/${file} is what the code says`, () => {
      const path = join(DOCS, file);
      if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, page());
      assert.equal(readFileSync(path, 'utf8'), page(), `run UPDATE_GOLDEN=1 npx mocha test/docs/reference.test.ts`);
    });
  }

  it('every link between the pages leads somewhere', () => {
    const wrong: string[] = [];
    for (const file of PAGES) {
      const text = readFileSync(join(DOCS, file), 'utf8');
      for (const [, path = '', , anchor] of text.matchAll(/\]\((\w[\w/-]*\.md)?(#([\w-]+))?\)/g)) {
        const target = join(DOCS, path === '' ? file : path);
        if (!existsSync(target)) wrong.push(`${file}: ${path}`);
        else if (anchor !== undefined && !anchorsOf(readFileSync(target, 'utf8')).includes(anchor))
          wrong.push(`${file}: ${path}#${anchor}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('every code has a place of its own in docs/reasons.md', () => {
    const anchors = anchorsOf(readFileSync(join(DOCS, 'reasons.md'), 'utf8'));
    assert.deepEqual(
      Object.keys(REASONS).filter((code) => !anchors.includes(code)),
      [],
    );
  });
});

/** Anchors of the headings of a page, as GitHub makes them: lower case, blanks to -, other marks left out. */
function anchorsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}
