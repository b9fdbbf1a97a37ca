/**
 * lint: one manifest a fault, each with its place, code and severity; and a manifest without any.
 */
import assert from 'node:assert/strict';

import { runLint } from '../../../src/cli/lint.ts';
import type { LintFinding } from '../../../src/cli/lint-finding.ts';
import { DEPLOYMENT, POD, runCommand } from './manifests.ts';

async function lint(text: string, ...more: readonly string[]): Promise<readonly LintFinding[]> {
  const { out } = await runCommand(runLint, ['-f', '-', '-o', 'json', ...more], { '-': text });
  return JSON.parse(out) as readonly LintFinding[];
}

const SECRET = 'kind: Secret\nmetadata: {name: logtender-sink}\nstringData: ';

/** Text to replace in the Pod, and what has to be found: `line:column severity code key`. */
const IN_POD: readonly (readonly [name: string, find: string, put: string, want: string])[] = [
  ['a misspelt key', 'logging.io/sink:', 'logging.io/snk:', '8:5 error unknown_key logging.io/snk'],
  ['a misspelt prefix', 'logging.io/sink:', 'loging.io/sink:', '8:5 error unknown_key loging.io/sink'],
  ['a prefix without a slash', 'logging.io/sink:', 'logging.io.sink:', '8:5 error unknown_key logging.io.sink/'],
  ['a value that is not valid', 'console', 'consol', '8:5 error invalid_value logging.io/sink'],
  ['a value that is no text', '"true"', 'true', '6:5 error value_no_text logging.io/inject'],
  ['an account of which nothing is known', '"off"', 'api', '9:5 warning stdio_account_unsure logging.io/stdout'],
  ['what the operator has not allowed', '"off"', 'node', '9:5 error stdio_node_not_allowed logging.io/stdout'],
  ['stdout that nobody ships', '    logging.io/stdout: "off"\n', '', '5:3 warning stdio_not_shipped logging.io/stdout'],
  ['an unknown container', '/var/log/app', 'ap:/var/log/app', '7:5 error unknown_container logging.io/files'],
  ['a glob that is refused', '/var/log/app/*.log', '/etc/*.log', '7:5 error glob_refused logging.io/files'],
  [
    'a glob that hides the image',
    '/var/log/app/*.log',
    '/srv/web/*.log',
    '7:5 warning directory_hidden logging.io/files',
  ],
  ['a glob that no mount matches', 'nothing', 'nothing', '7:5 info directory_shared logging.io/files'],
  ['a name that is taken', 'name: app', 'name: logtender', '5:3 error conflict_container undefined'],
  ['a pod for Windows', '  containers:', '  os: {name: windows}\n  containers:', '5:3 warning windows_pod undefined'],
  [
    'a namespace whose pods are never seen',
    'name: web-1',
    'name: web-1\n  namespace: kube-system',
    '6:3 error namespace_excluded undefined',
  ],
  ['nobody asks', '    logging.io/inject: "true"\n', '', '6:5 info not_asked logging.io/files'],
  ['no pods at all', 'containers', 'container', '1:1 error manifest_invalid undefined'],
  ['a sink without a Secret to look at', 'console', 'elasticsearch', '8:5 info sink_unchecked logging.io/sink'],
];

const seen = (findings: readonly LintFinding[]): readonly string[] =>
  findings.map(({ line, column, severity, code, key }) => `${line}:${column} ${severity} ${code} ${key}`);

describe('logtender lint', () => {
  for (const [name, find, put, want] of IN_POD) {
    it(`finds ${name}`, async () => {
      const found = seen(await lint(POD.replace(find, put)));
      assert(found.includes(want), found.join('\n'));
    });
  }

  it('finds words on the workload itself, and says where they belong', async () => {
    const text = DEPLOYMENT.replace(
      '  name: web   # the name',
      '  name: web\n  annotations: {logging.io/inject: "true"}\n  labels: {logging.io/sink: console}',
    );
    const found = (await lint(text)).filter(({ code }) => code === 'wrong_place');
    assert.deepEqual(seen(found), [
      '6:17 error wrong_place logging.io/inject',
      '7:12 error wrong_place logging.io/sink',
    ]);
    assert.match(found[0]?.detail ?? '', /expected it in spec\.template\.metadata\.annotations/);
  });

  it('finds words between a CronJob and its pods', async () => {
    const text = `kind: CronJob
metadata: {name: a}
spec:
  jobTemplate:
    metadata: {annotations: {logging.io/inject: "true"}}
    spec: {template: {spec: {containers: [{name: a}]}}}
`;
    assert.deepEqual(seen(await lint(text)), ['5:30 error wrong_place logging.io/inject']);
  });

  it('tells labels from annotations on pods, namespaces and everything else', async () => {
    const label = POD.replace('  annotations:', '  labels: {logging.io/inject: "true"}\n  annotations:');
    assert(seen(await lint(label)).includes('5:12 error wrong_place logging.io/inject'));
    const namespace = `kind: Namespace
metadata:
  name: shop
  labels:
    logging.io/inject: "yes"
    logging.io/sink: console
    logging.io/failure-policy: fails
  annotations:
    logging.io/inject: "true"
    logging.io/flush-interval: "5"
    logging.io/fils: /x
`;
    assert.deepEqual(seen(await lint(namespace)), [
      '5:5 error invalid_value logging.io/inject',
      '6:5 error wrong_place logging.io/sink',
      '7:5 error invalid_value logging.io/failure-policy',
      '9:5 error wrong_place logging.io/inject',
      '10:5 error invalid_value logging.io/flush-interval',
      '11:5 error unknown_key logging.io/fils',
    ]);
    const service =
      'kind: Service\nmetadata: {name: a, annotations: {logging.io/files: /x, logging.io/rotate: leaf}}\n';
    assert.deepEqual(seen(await lint(service)), ['2:35 error wrong_place logging.io/files']);
  });

  it('looks into the Secret of the sink', async () => {
    const text = (keys: string): string =>
      `${POD.replace('console', 'elasticsearch,cloudwatch')}---\n${SECRET}${keys}\n`;
    const about = async (keys: string): Promise<readonly string[]> =>
      (await lint(text(keys)))
        .filter(({ key }) => key === 'logging.io/sink')
        .map(({ code, detail }) => `${code}: ${detail}`);
    assert.deepEqual(await about('{elasticsearch-url: x}'), []);
    assert.deepEqual(await about('{aws-access-key-id: x}'), [
      'sink_incomplete: sink elasticsearch: expected elasticsearch-url in Secret logtender-sink, got aws-access-key-id',
      'sink_incomplete: sink cloudwatch: expected both aws-access-key-id and aws-secret-access-key in Secret logtender-sink, got aws-access-key-id',
    ]);
  });

  it('never shows a value of a Secret', async () => {
    const text = `${POD.replace('console', 'elasticsearch')}---\n${SECRET}{aws-access-key-id: canary}\n`;
    const { out, err } = await runCommand(runLint, ['-f', '-'], { '-': text });
    assert(!`${out}${err}`.includes('canary'));
  });

  it('says places inside Lists and JSON', async () => {
    const list = `kind: List\nitems:\n- kind: Service\n${POD.replace('console', 'kafka').replace(/^/gm, '  ').replace('  ', '- ').trimEnd()}\n`;
    assert(seen(await lint(list)).includes('11:7 error invalid_value logging.io/sink'));
    const json =
      '{"kind":"Pod",\n "metadata":{"annotations":{"logging.io/inject":"true",\n  "logging.io/sink":"kafka"}},\n "spec":{"containers":[{"name":"a"}]}}';
    assert(seen(await lint(`${json}\n${json}`)).includes('7:3 error invalid_value logging.io/sink'));
  });

  it('ends with 0, 1 for errors, and with --strict 1 for warnings', async () => {
    const run = async (text: string, ...args: readonly string[]): Promise<number> =>
      (await runCommand(runLint, ['-f', '-', ...args], { '-': text })).code;
    assert.equal(await run(DEPLOYMENT, '--strict'), 0);
    assert.equal(await run(POD.replace('console', 'kafka')), 1);
    const hidden = POD.replace('/var/log/app/*.log', '/srv/web/*.log');
    assert.equal(await run(hidden), 0);
    assert.equal(await run(hidden, '--strict'), 1);
  });

  it('writes a line a finding, with file, line, column, object, key, code, sentence and remedy', async () => {
    const { out, err } = await runCommand(runLint, ['-f', 'pod.yaml'], {
      'pod.yaml': POD.replace('console', 'consol'),
    });
    assert.match(
      out,
      /^pod\.yaml:8:5: error invalid_value: pod\/web-1: logging\.io\/sink: expected .*, got "consol", did you mean console\?; the next lower level applies: correct the value$/m,
    );
    assert.equal(err, '1 errors, 0 warnings in 1 files\n');
  });
});
