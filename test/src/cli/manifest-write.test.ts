/**
 * Changing values in texts: whatever is added, removed or replaced, the text is read as what was wanted, and additions leave no trace
 * when they are taken away again.
 */
import assert from 'node:assert/strict';

import fc from 'fast-check';
import { stringify } from 'yaml';

import { readManifest } from '../../../src/cli/manifest.ts';
import { applyEdits, rewrite } from '../../../src/cli/manifest-write.ts';
import { unifiedDiff } from '../../../src/cli/unified-diff.ts';
import { textAt } from '../../../webhook/json.ts';
import type { Json } from '../../../webhook/json.ts';
import { testSeed } from '../../fakes/seeded-random.ts';

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 1_000) / 2;

const KEYS = ['name', 'a', 'b', 'spec', 'yes', '0644', '~', 'x/y', '- d', '# c', '__proto__', 'a: b'];
const TEXTS = [
  '',
  ' ',
  'a',
  'true',
  'no',
  '0644',
  '1:30',
  'two\nlines',
  'two\nlines\n',
  '# c',
  '- d',
  ' lead',
  'é😀',
  '\t',
  '"',
  "'",
  'x: y',
  '{',
  '\u001b',
  'null',
  '~',
];

const value: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'medium' },
    fc.constantFrom<Json>(null, true, false, 0, 1, -7, 1.5),
    fc.constantFrom<Json>(...TEXTS),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(fc.constantFrom(...KEYS), tie('value')), { maxLength: 4 }).map(ownMembers),
  ),
})).value;

function ownMembers(entries: readonly (readonly [string, Json])[]): Json {
  const object: Record<string, Json> = {};
  for (const [key, item] of entries)
    Object.defineProperty(object, key, { value: item, enumerable: true, writable: true, configurable: true });
  return object;
}

/** Kubernetes has no list of lists; one that begins on the line of another is written anew when it changes. */
function hasListInList(item: Json): boolean {
  if (Array.isArray(item)) return (item as readonly Json[]).some((one) => Array.isArray(one) || hasListInList(one));
  return typeof item === 'object' && item !== null && Object.values(item).some((one) => hasListInList(one));
}

/** A value with a few members and elements more. */
function grown(before: Json, additions: readonly Json[], at: { next: number }): Json {
  const take = (): Json | undefined => additions[at.next++];
  if (Array.isArray(before)) {
    // An element that changes is known again by its name, as in the lists of Kubernetes.
    const items = (before as readonly Json[]).map((item) =>
      textAt(item, 'name') === undefined ? item : grown(item, additions, at),
    );
    const more = take();
    if (items.length === 0 || more === undefined) return items;
    // An element of its own name, so that it is told apart from those that stand there.
    const added = { name: `added-${at.next}`, value: more };
    return at.next % 2 === 0 ? [added, ...items] : [...items, added];
  }
  if (typeof before !== 'object' || before === null) return before;
  const entries = Object.entries(before).map(([key, item]) => [key, grown(item, additions, at)] as const);
  const more = take();
  return ownMembers(entries.length === 0 || more === undefined ? entries : [...entries, [`added-${at.next}`, more]]);
}

const style = fc.record({
  indent: fc.constantFrom(2, 4),
  indentSeq: fc.boolean(),
  eol: fc.constantFrom('\n', '\r\n'),
  isOpen: fc.boolean(),
  isFlow: fc.boolean(),
  isJson: fc.boolean(),
});

function written(
  documents: readonly Json[],
  how: { indent: number; indentSeq: boolean; eol: string; isOpen: boolean; isFlow: boolean; isJson: boolean },
): string {
  const text = documents
    .map((document) =>
      how.isJson
        ? `${JSON.stringify(document, null, how.isFlow ? 0 : how.indent)}\n`
        : stringify(document, {
            version: '1.1',
            indent: how.indent,
            indentSeq: how.indentSeq,
            lineWidth: 0,
            aliasDuplicateObjects: false,
            collectionStyle: how.isFlow ? 'flow' : 'any',
          }),
    )
    .join(how.isJson ? '' : '---\n');
  const open = how.isOpen ? text.replace(/\n$/, '') : text;
  return open.replaceAll('\n', how.eol);
}

describe('rewrite', function () {
  this.timeout(600_000);
  const seed = testSeed();
  const map = value.filter((item) => typeof item === 'object' && item !== null && !Array.isArray(item));

  const flat = map.filter((item) => !hasListInList(item));

  it(`turns any documents into any others (seed ${seed}, ${RUNS} runs)`, () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(map, map), { minLength: 1, maxLength: 3 }), style, (pairs, how) => {
        const text = written(
          pairs.map(([before]) => before),
          how,
        );
        const manifest = readManifest('m', text);
        fc.pre(manifest.documents.length === pairs.length);
        const result = rewrite(
          manifest,
          pairs.map(([, after]) => after),
        );
        assert.deepEqual(
          readManifest('m', result.text).documents.map((document) => document.value),
          pairs.map(([, after]) => after),
        );
        assert.equal(applyEdits(text, result.edits), result.text);
      }),
      { seed: seed | 0, numRuns: RUNS },
    );
  });

  it(`additions leave no trace when they are taken away (seed ${seed}, ${RUNS} runs)`, () => {
    fc.assert(
      fc.property(flat, fc.array(value, { minLength: 1, maxLength: 6 }), style, (before, additions, how) => {
        // Block texts at the end of an open text gain a line break, which their value may not show.
        fc.pre(!how.isOpen || !/[|>][-+0-9]*\r?\n/.test(written([before], how)));
        const text = written([before], how);
        const manifest = readManifest('m', text);
        fc.pre(manifest.documents.length === 1);
        const value = manifest.documents[0]?.value ?? null;
        const there = rewrite(manifest, [grown(value, additions, { next: 0 })]);
        assert.deepEqual(there.rewritten, []);
        assert.equal(rewrite(readManifest('m', there.text), [value]).text, text);
      }),
      { seed: seed | 0, numRuns: RUNS },
    );
  });

  it('keeps what it does not understand out of the way', () => {
    const text = 'a: 1   # one\nb: # two\n  - x # three\n  # four\n  - y\nc: !foo bar\nd: 0x1F\n';
    const manifest = readManifest('m', text);
    const before = manifest.documents[0]?.value as Record<string, Json>;
    const { text: after } = rewrite(manifest, [{ ...before, b: ['x', 'z', 'y'], e: true }]);
    assert.equal(
      after,
      'a: 1   # one\nb: # two\n  - x # three\n  - z\n  # four\n  - y\nc: !foo bar\nd: 0x1F\ne: true\n',
    );
  });
});

describe('unifiedDiff', () => {
  const cases: readonly (readonly [
    name: string,
    text: string,
    edits: Parameters<typeof unifiedDiff>[2],
    want: string,
  ])[] = [
    ['nothing', 'a\nb\n', [], ''],
    [
      'an insertion',
      'a\nb\n',
      [{ start: 2, end: 2, text: 'x\n' }],
      '--- f\n+++ f (injected)\n@@ -1,2 +1,3 @@\n a\n+x\n b\n',
    ],
    ['at the start', 'a\n', [{ start: 0, end: 0, text: 'x\n' }], '--- f\n+++ f (injected)\n@@ -1 +1,2 @@\n+x\n a\n'],
    ['at the end', 'a\n', [{ start: 2, end: 2, text: 'x\n' }], '--- f\n+++ f (injected)\n@@ -1 +1,2 @@\n a\n+x\n'],
    ['inside a line', 'abc\n', [{ start: 1, end: 2, text: 'X' }], '--- f\n+++ f (injected)\n@@ -1 +1 @@\n-abc\n+aXc\n'],
    [
      'no line break at the end',
      'a',
      [{ start: 1, end: 1, text: '\nb' }],
      '--- f\n+++ f (injected)\n@@ -1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n\\ No newline at end of file\n',
    ],
    [
      'a deletion',
      'a\nb\nc\n',
      [{ start: 2, end: 4, text: '' }],
      '--- f\n+++ f (injected)\n@@ -1,3 +1,2 @@\n a\n-b\n c\n',
    ],
    [
      'two hunks',
      'x\n'.repeat(10),
      [
        { start: 0, end: 0, text: 'a\n' },
        { start: 18, end: 18, text: 'b\n' },
      ],
      '--- f\n+++ f (injected)\n@@ -1,3 +1,4 @@\n+a\n x\n x\n x\n@@ -7,4 +8,5 @@\n x\n x\n x\n+b\n x\n',
    ],
  ];
  for (const [name, text, edits, want] of cases) it(name, () => assert.equal(unifiedDiff('f', text, edits), want));
});
