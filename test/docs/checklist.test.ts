/**
 * The checklists of docs/evidence.md name tests that are there: each row a file and a title of it, every point that is promised a row.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

interface Row {
  readonly point: string;
  readonly tests: readonly (readonly [file: string, title: string])[];
}

/** The rows of the table below a heading. */
function rowsOf(heading: string): readonly Row[] {
  const page = readFileSync(join(ROOT, 'docs/evidence.md'), 'utf8');
  const [, after = ''] = page.split(`\n## ${heading}\n`);
  const [section = ''] = after.split('\n## ');
  return [...section.matchAll(/^\| ([\d.]+) \| [^|]+ \| ([^|]+) \| [^|]+ \|$/gm)].map(([, point = '', tests = '']) => ({
    point,
    tests: [...tests.matchAll(/([\w/-]+): \*(.+?)\*(?=; |$)/g)].map(
      ([, file = '', title = '']) => [file, title] as const,
    ),
  }));
}

/** The file of tests, or the suite that several of them run. */
function sourceOf(file: string): string {
  const path = join(ROOT, 'test', `${file}.test.ts`);
  return readFileSync(existsSync(path) ? path : join(ROOT, 'test', `${file}.ts`), 'utf8');
}

/** Points from `first` to `last` of a chapter. */
const chapter = (number: number, last: number): readonly string[] =>
  Array.from({ length: last }, (_, i) => `${number}.${i + 1}`);

/** Points of the security checklist that are promised. */
const SECURITY_POINTS = [
  ...Array.from({ length: 23 }, (_, i) => i + 1),
  ...[24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38],
  ...[40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 52, 53, 56, 57, 58, 59, 60],
].map(String);

/** Elasticsearch and OpenSearch, CloudWatch Logs, S3, dead letter and local sinks, check, policies, and what all of them must survive. */
const SINK_POINTS = [
  ...[...chapter(1, 14), ...chapter(2, 12), ...chapter(3, 8)],
  ...[...chapter(4, 6), ...chapter(5, 2), ...chapter(6, 1), ...chapter(7, 10)],
];

/** Files, the file as queue, positions, records, pipeline, ledger, the end, configuration, lean, and what is seen at the end. */
const FORWARDER_POINTS = [
  ...[...chapter(1, 9), ...chapter(2, 3), ...chapter(3, 3), ...chapter(4, 5), ...chapter(5, 3)],
  ...[...chapter(6, 3), ...chapter(7, 2), ...chapter(8, 3), ...chapter(9, 2), ...chapter(10, 5)],
];

/** Image, install, stdout by both ways, the cluster in a command, and what is seen on a real node. */
const REAL_POD_POINTS = [
  ...[...chapter(1, 1), ...chapter(2, 3), ...chapter(3, 1), ...chapter(4, 2), ...chapter(5, 1), ...chapter(6, 8)],
];

for (const { heading, points, mark } of [
  {
    heading: 'The security checklist, point by point',
    points: SECURITY_POINTS,
    /** What the title of one of the tests bears. */
    mark: (point: string): string => `(B8 ${point})`,
  },
  { heading: 'The sinks, point by point', points: SINK_POINTS, mark: () => '' },
  { heading: 'The forwarder, point by point', points: FORWARDER_POINTS, mark: () => '' },
  { heading: 'Real pods, point by point', points: REAL_POD_POINTS, mark: () => '' },
]) {
  describe(`docs/evidence.md: ${heading}`, () => {
    const rows = rowsOf(heading);

    it('has a row for every point', () => {
      assert.deepEqual(
        rows.map(({ point }) => point),
        points,
      );
    });

    for (const { point, tests } of rows) {
      it(`${point}: its tests are there, and one of them bears the number where numbers are borne`, () => {
        assert(tests.length > 0 && tests.some(([, title]) => title.includes(mark(point))), JSON.stringify(tests));
        for (const [file, title] of tests) assert(sourceOf(file).includes(title), `${file}: ${title}`);
      });
    }
  });
}
