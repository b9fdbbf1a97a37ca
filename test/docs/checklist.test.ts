/**
 * The checklist of docs/evidence.md names tests that are there: each row a file and a title of it, every point that is promised a row.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
/** Points of the security checklist that are promised. */
const POINTS = [
  ...Array.from({ length: 23 }, (_, i) => i + 1),
  ...[24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38],
  ...[40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 52, 53, 56, 57, 58, 59, 60],
];

interface Row {
  readonly point: number;
  readonly tests: readonly (readonly [file: string, title: string])[];
}

function rows(): readonly Row[] {
  const page = readFileSync(join(ROOT, 'docs/evidence.md'), 'utf8');
  return [...page.matchAll(/^\| (\d+) \| [^|]+ \| ([^|]+) \| [^|]+ \|$/gm)].map(([, point = '', tests = '']) => ({
    point: Number(point),
    tests: [...tests.matchAll(/([\w/-]+): \*(.+?)\*(?=; |$)/g)].map(
      ([, file = '', title = '']) => [file, title] as const,
    ),
  }));
}

describe('the checklist of docs/evidence.md', () => {
  it('has a row for every point', () => {
    assert.deepEqual(
      rows().map(({ point }) => point),
      POINTS,
    );
  });

  for (const { point, tests } of rows()) {
    it(`${point}: its tests are there, and one of them bears the number`, () => {
      assert(tests.length > 0 && tests.some(([, title]) => title.includes(`(B8 ${point})`)), JSON.stringify(tests));
      for (const [file, title] of tests) {
        const source = readFileSync(join(ROOT, 'test', `${file}.test.ts`), 'utf8');
        assert(source.includes(title), `${file}: ${title}`);
      }
    });
  }
});
