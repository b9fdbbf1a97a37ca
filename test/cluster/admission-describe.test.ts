/**
 * docs/describe.md: what `kubectl describe` says of an injected, a degraded, a refused, a skipped and a bare pod, taken from a real API
 * server and compared here with a fresh run. `UPDATE_GOLDEN=1` writes the page.
 *
 * No kubelet runs here, so the pods stay Pending; what changes from run to run (times, ids, random names) is made stable.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { requireServer } from '../servers/require-server.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { eventually, install } from './installation.ts';
import type { Installation } from './installation.ts';
import { ASKS, createNamespace, podOf } from './pods.ts';
import type { Fields } from './pods.ts';

const PAGE = resolve(import.meta.dirname, '../../docs/describe.md');
const REPORT = resolve(import.meta.dirname, '../../deploy/policy/report');
const NAMESPACE = 'web-shop';
const COMMAND = 'UPDATE_GOLDEN=1 npx mocha test/cluster/admission-describe.test.ts';
const SHIPS = { ...ASKS, 'logging.io/sink': 'elasticsearch', 'logging.io/stdout': 'off' };
/** Nobody binds them to a node: that text would depend on the moment. */
const SPEC = { schedulerName: 'nobody' };

/** What differs from run to run -> what stands on the page. */
const VOLATILE: ReadonlyArray<readonly [pattern: RegExp, stable: string]> = [
  [/kube-api-access-[a-z0-9]{5}/g, 'kube-api-access-xxxxx'],
  [/[ \t]+$/gm, ''],
];

describe('kubectl describe', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let installed: Installation;

  before(async function () {
    plane = await requireServer(this, 'control-plane');
    await plane.registerNode();
    installed = await install(plane, {
      webhook: 'cluster: prod\nelasticsearchUrl: https://elasticsearch.example:9200\n',
    });
    await createNamespace(plane, NAMESPACE);
  });
  after(async function () {
    this.timeout(60_000);
    await plane?.kubectl(['delete', '-k', REPORT, '--ignore-not-found']);
    await installed?.uninstall();
  });

  const kubectl = (...args: readonly string[]): Promise<string> => plane.kubectl([...args, '-n', NAMESPACE]);
  /** What the user sees who creates it: warnings and refusals. */
  const create = async (input: Fields): Promise<string> => {
    const { stdout, stderr } = await plane.kubectlOutcome(['create', '-n', NAMESPACE, '-f', '-'], { input });
    return `${stderr}${stdout}`.replaceAll('"STDIN"', '"pod.yaml"');
  };
  const describePod = async (
    name: string,
    annotations: Readonly<Record<string, string>>,
    spec: Fields = {},
  ): Promise<string> => {
    const said = await create(podOf(name, annotations, { ...SPEC, ...spec }));
    return session([
      ['kubectl create -f pod.yaml', said],
      [`kubectl describe pod ${name}`, await kubectl('describe', 'pod', name)],
    ]);
  };

  it('says on the page of the documentation what it says of a fresh pod', async () => {
    const invalid = { 'logging.io/files': '/var/log/app/*.log,/etc/app/*.log', 'logging.io/flush-interval': '5' };
    const sections = [
      ['Injected', 'Everything that was asked for holds.', await describePod('injected', SHIPS)],
      [
        'Degraded',
        'The sidecar is there, and the findings say what does not hold, what applies instead and what to do.',
        await describePod('degraded', { ...SHIPS, ...invalid }),
      ],
      [
        'Refused',
        'With `logging.io/on-invalid: deny` there is no pod: who creates it is told, and so is who looks at its owner.',
        await refused({ ...SHIPS, ...invalid, 'logging.io/on-invalid': 'deny' }),
      ],
      [
        'Left alone',
        'The pod asked and logtender decided against it, with a reason.',
        await describePod('left-alone', SHIPS, { os: { name: 'windows' } }),
      ],
      [
        'Bare',
        'The pod asked and has no `logging.io/status`: logtender was not there when it was created, and its namespace says `ignore`. ' +
          'The warning is that of the [policy](policy.md).',
        await bare(),
      ],
    ] as const;
    const page = [
      '# What kubectl describe says',
      '',
      'Written by a test from a real API server (`npm run -s docs:describe`). No node runs these pods, so they are Pending.',
      'Every code is explained in [reasons.md](reasons.md).',
      ...sections.flatMap(([title, text, session]) => ['', `## ${title}`, '', text, '', '```console', session, '```']),
      '',
    ].join('\n');
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(PAGE, page);
    assert.equal(readFileSync(PAGE, 'utf8'), page, `run ${COMMAND}`);
  });

  async function refused(annotations: Readonly<Record<string, string>>): Promise<string> {
    const said = await create(podOf('refused', annotations, SPEC));
    const { spec } = podOf('refused', annotations, SPEC);
    const labels = { app: 'refused' };
    await plane.kubectl(['create', '-n', NAMESPACE, '-f', '-'], {
      input: {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        metadata: { name: 'refused' },
        spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels, annotations }, spec } },
      },
    });
    const text = await eventually('the Events of the ReplicaSet', async () => {
      const described = await kubectl('describe', 'replicaset', 'refused');
      return described.includes('InvalidValues') && described.includes('FailedCreate ') ? described : undefined;
    });
    return session([
      ['kubectl create -f pod.yaml', said],
      ['kubectl describe replicaset refused', withStableEvents(text)],
    ]);
  }

  async function bare(): Promise<string> {
    await plane.kubectl(['apply', '-k', REPORT]);
    await installed.webhook.halt('SIGKILL');
    try {
      const args = ['create', '--dry-run=server', '-n', NAMESPACE, '-f', '-'];
      await eventually('the policy', async () => {
        const { stderr } = await plane.kubectlOutcome(args, { input: podOf('probe', SHIPS, SPEC) });
        return stderr.includes('logtender-sidecar') ? true : undefined;
      });
      return await describePod('bare', SHIPS);
    } finally {
      await installed.webhook.start();
    }
  }
});

/** The table of Events with each Event once, ages left out and columns of one width. */
function withStableEvents(text: string): string {
  const [before = '', table = ''] = text.split(/^Events:\n/m);
  const rows = table.split('\n').flatMap((line) => {
    const [, type, reason, from, message] = /^ {2}(Normal|Warning) +(\S+) .*? (\S+-\S+) {2,}(.*)$/.exec(line) ?? [];
    return type === undefined ? [] : [`  ${type}  ${reason}  ${from}  ${message}`];
  });
  assert.ok(rows.length > 0, text);
  return `${before}Events:\n  Type     Reason  From  Message\n${[...new Set(rows)].toSorted().join('\n')}\n`;
}

/** Commands with what they print, stable. */
function session(steps: ReadonlyArray<readonly [command: string, output: string]>): string {
  const text = steps.map(([command, output]) => `$ ${command}\n${output.trimEnd()}`).join('\n');
  return VOLATILE.reduce((stable, [pattern, replacement]) => stable.replaceAll(pattern, replacement), text);
}
