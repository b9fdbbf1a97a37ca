/**
 * The command itself, as a process: streams, exit codes, help.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { OFFLINE_COMMANDS } from '../../../src/cli/offline-commands.ts';
import { DEPLOYMENT, POD } from './manifests.ts';
import type { CommandRun } from './manifests.ts';

const ENTRY = join(import.meta.dirname, '../../../src/cli/main.ts');

/** Nothing listens on port 1 (tcpmux). */
const NOWHERE = `{clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}], users: [{name: u, user: {}}],
  contexts: [{name: c, context: {cluster: c, user: u}}], current-context: c}`;

async function logtender(args: readonly string[], stdin: string | Buffer = ''): Promise<CommandRun> {
  const child = spawn(process.execPath, [ENTRY, ...args], { stdio: 'pipe' });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  child.stdin.on('error', () => {
    // A command that does not read its input may have ended before.
  });
  child.stdin.end(stdin);
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

describe('logtender as a process', function () {
  this.timeout(60_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-cli-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('pipes: inject, uninject, and back to the same bytes', async () => {
    const there = await logtender(['inject', '-f', '-'], DEPLOYMENT);
    assert.equal(there.code, 0, there.err);
    assert.match(there.err, /^deployment\/web: injected: /);
    assert.equal((await logtender(['uninject', '-f', '-'], there.out)).out, DEPLOYMENT);
  });

  it('reads files, and ends with 1 for what is not given, 2 for what cannot be read', async () => {
    const file = join(folder, 'pod.yaml');
    writeFileSync(file, POD.replace('console', 'kafka'));
    assert.equal((await logtender(['inject', '-f', file])).code, 1);
    assert.equal((await logtender(['lint', '-f', file])).code, 1);
    assert.equal((await logtender(['diff', '-f', file])).code, 1);
    const nowhere = join(folder, 'nowhere');
    writeFileSync(nowhere, NOWHERE);
    const cases: readonly (readonly [args: readonly string[], stdin: string | Buffer, message: RegExp])[] = [
      [['inject', '-f', join(folder, 'none.yaml')], '', /read .*none\.yaml: expected a manifest in UTF-8, got: ENOENT/],
      [['inject', '-f', folder], '', /EISDIR/],
      [['inject', '-f', '-'], Buffer.from([0xff, 0xfe, 0x41]), /no UTF-8/],
      [['inject', '-f', '-'], 'a: [\n', /line 2, column 1: expected YAML or JSON/],
      [['inject', '-f', file, '--config', file], '', /apiVersion: expected a known key/],
      [['inject'], '', /expected -f FILE, got none \(logtender inject -f deployment\.yaml/],
      [['inject', '--nonsense'], '', /^logtender inject: Unknown option '--nonsense' \(logtender help inject\)$/m],
      [['inject', '--namespace-lable', 'a=b'], '', /did you mean --namespace-label\?/],
      [
        ['lint', 'web.yaml'],
        '',
        /^logtender lint: Unexpected argument 'web\.yaml' \(did you mean -f web\.yaml\? logtender help lint\)$/m,
      ],
      [['forward', 'f.yaml'], '', /'f\.yaml' \(did you mean --config f\.yaml\? logtender help forward\)$/m],
      [['list', '--kubeconfig', join(folder, 'none')], '', /read kubeconfig: expected a kubeconfig file, got: ENOENT/],
      [
        ['explain', 'pod/web', '--kubeconfig', nowhere],
        '',
        /expected an answer of the API server, got: .*ECONNREFUSED/,
      ],
      [['help', 'injekt'], '', /did you mean inject\?/],
      [['injekt'], '', /did you mean inject\?/],
    ];
    for (const [args, stdin, message] of cases) {
      const { code, out, err } = await logtender(args, stdin);
      assert.equal(code, 2, `${args.join(' ')}: ${err}`);
      assert.equal(out, '', 'nothing is written');
      assert.match(err, message);
    }
  });

  it('has help for every command', async () => {
    const { out, code } = await logtender(['help']);
    assert.equal(code, 0);
    for (const [name, command] of Object.entries(OFFLINE_COMMANDS)) assert(out.includes(command.usage), name);
    assert.match((await logtender(['help', 'inject'])).out, /^usage: logtender inject -f[\s\S]*--kubelet-version/);
    for (const flag of ['--help', '-h']) {
      const asked = await logtender(['lint', flag]);
      assert.deepEqual([asked.code, asked.err], [0, '']);
      assert.match(asked.out, /^usage: logtender lint /);
    }
  });
});
