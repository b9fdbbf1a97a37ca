/**
 * diff: hunks that turn the old text into the new one, and the exit codes of diff.
 */
import assert from 'node:assert/strict';

import { runDiff } from '../../../src/cli/diff.ts';
import { runInject } from '../../../src/cli/inject.ts';
import { coloured } from '../../../src/cli/unified-diff.ts';
import { DEPLOYMENT, POD, runCommand } from './manifests.ts';

/** Applies a unified diff as patch(1) does, without fuzz. */
function patched(text: string, diff: string): string {
  const old = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const out: string[] = [];
  let at = 0;
  const lines = diff.split('\n');
  for (const [i, line] of lines.entries()) {
    const isOpen = lines[i + 1]?.startsWith('\\') === true;
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)/.exec(line);
    const end = isOpen ? '' : '\n';
    if (hunk !== null) {
      const start = Number(hunk[1]) - (hunk[2] === '0' ? 0 : 1);
      out.push(...old.slice(at, start));
      at = start;
      assert.equal(out.length, Number(hunk[3]) - 1, 'the hunk says where it begins in the new text');
    } else if (/^(?:---|\+\+\+|\\)/.test(line) || line === '') continue;
    else if (line.startsWith('+')) out.push(line.slice(1) + end);
    else {
      assert.equal(old[at], line.slice(1) + end, 'context and removed lines stand in the old text');
      if (line.startsWith(' ')) out.push(line.slice(1) + end);
      at += 1;
    }
  }
  return [...out, ...old.slice(at)].join('');
}

describe('logtender diff', () => {
  const texts = [
    DEPLOYMENT,
    DEPLOYMENT.trimEnd(),
    `${DEPLOYMENT}---\n${POD}---\nkind: Service\n---\n${POD}`,
    POD.replace('  containers:', '  volumes: []\n  containers:'),
    '{"kind":"Pod",\n "metadata":{"annotations":{"logging.io/inject":"true"}},\n "spec":{"containers":[{"name":"a"}]}}',
  ];
  for (const [i, text] of texts.entries()) {
    it(`${i}: its hunks give what inject gives, exit 1`, async () => {
      const { out, code } = await runCommand(runDiff, ['-f', 'm.yaml'], { 'm.yaml': text });
      assert.equal(code, 1);
      assert(out.startsWith('--- m.yaml\n+++ m.yaml (injected)\n@@ -'));
      assert.equal(patched(text, out), (await runCommand(runInject, ['-f', 'm.yaml'], { 'm.yaml': text })).out);
    });
  }

  it('says nothing and ends with 0 where nothing changes', async () => {
    const { out, code, err } = await runCommand(runDiff, ['-f', '-'], { '-': POD.replace('"true"', '"false"') });
    assert.deepEqual([out, code], ['', 0]);
    assert.match(err, /^pod\/web-1: disabled_by_pod/);
  });

  it('has colours for terminals', () => {
    assert.equal(
      coloured('--- a\n@@ -1 +1 @@\n-x\n+y\n z\n'),
      '\u001b[1m--- a\u001b[0m\n\u001b[36m@@ -1 +1 @@\u001b[0m\n\u001b[31m-x\u001b[0m\n\u001b[32m+y\u001b[0m\n z\n',
    );
  });
});
