/**
 * What arrived in Elasticsearch, read back and counted by the numbers in the lines.
 *
 * May import: test.
 */
import assert from 'node:assert/strict';
import { eventually } from '../cluster/installation.ts';
import type { SearchServer } from '../servers/servers.ts';

const PAGE = 10_000;
const ARRIVAL_MS_MAX = 120_000;

/** By writer (a pod's name): what its lines came to. */
export interface Arrival {
  readonly lines: number;
  readonly duplicates: number;
  /** Highest number + 1, less the different numbers seen. */
  readonly missing: number;
}

/** The data stream of a namespace under the built-in template. */
export const streamOf = (namespace: string): string => `logs-logtender-${namespace.replaceAll('-', '_')}`;

/** Waits until that many documents are there, then reads all of them. More than expected is found out by the counts. */
export async function arrivals(
  search: SearchServer,
  namespace: string,
  expected: number,
): Promise<ReadonlyMap<string, Arrival>> {
  const stream = streamOf(namespace);
  let seen = 0;
  try {
    await eventually(
      `${expected} lines in ${stream}`,
      async () => {
        await search.request('POST', `/${stream}/_refresh`);
        const { body } = await search.request('GET', `/${stream}/_count`);
        seen = (body as { readonly count?: number }).count ?? 0;
        return seen >= expected ? true : undefined;
      },
      ARRIVAL_MS_MAX,
    );
  } catch {
    // The counts below say what is missing, better than a deadline does.
    process.stderr.write(`${stream}: ${seen} of ${expected} lines after ${ARRIVAL_MS_MAX / 1000} s\n`);
  }
  return counted(await messagesOf(search, stream));
}

/** Asserts that each of so many writers' lines is there once, from 0 on, and nothing else. */
export function assertEachOnce(found: ReadonlyMap<string, Arrival>, writers: number, lines: number): void {
  const wrong = [...found].filter(
    ([, { lines: n, duplicates, missing }]) => n !== lines || duplicates > 0 || missing > 0,
  );
  assert.deepEqual(wrong, []);
  assert.equal(found.size, writers, [...found.keys()].join(', '));
}

/** The messages of all documents of a data stream. */
export async function messagesOf(search: SearchServer, stream: string): Promise<readonly string[]> {
  interface Page {
    readonly _scroll_id: string;
    readonly hits: { readonly hits: ReadonlyArray<{ readonly _source: { readonly message: string } }> };
  }
  const messages: string[] = [];
  let answer = await search.request('POST', `/${stream}/_search?scroll=1m`, {
    size: PAGE,
    sort: ['_doc'],
    _source: ['message'],
  });
  while (answer.status === 200) {
    const page = answer.body as Page;
    if (page.hits.hits.length === 0) return messages;
    messages.push(...page.hits.hits.map((hit) => hit._source.message));
    answer = await search.request('POST', '/_search/scroll', { scroll: '1m', scroll_id: page._scroll_id });
  }
  return messages;
}

/** What the lines of each writer came to. */
export function counted(messages: readonly string[]): ReadonlyMap<string, Arrival> {
  const numbers = new Map<string, number[]>();
  for (const message of messages) {
    const match = /^(\S+) line (\d{8}) x*$/.exec(message);
    const writer = match?.[1] ?? `no line of ours: ${message.slice(0, 80)}`;
    const list = numbers.get(writer) ?? [];
    numbers.set(writer, list);
    list.push(Number(match?.[2] ?? 0));
  }
  return new Map(
    [...numbers].map(([writer, list]) => {
      const different = new Set(list).size;
      const highest = list.reduce((most, number) => Math.max(most, number), -1);
      return [writer, { lines: list.length, duplicates: list.length - different, missing: highest + 1 - different }];
    }),
  );
}
