/**
 * What arrived in Elasticsearch, read back and counted by the numbers in the lines.
 *
 * May import: test.
 */
import assert from 'node:assert/strict';
import { eventually } from '../cluster/installation.ts';
import type { SearchServer } from '../servers/servers.ts';

const PAGE = 10_000;
const LINE = /^(\S+) line (\d{8}) x*$/;
const ARRIVAL_MS_MAX = 120_000;

/** By writer (a pod's name): what its lines came to. */
export interface Arrival {
  readonly lines: number;
  readonly duplicates: number;
  /** Highest number + 1, less the different numbers seen. */
  readonly missing: number;
  /** Of the first lines that are there more often: where each of their documents says that it comes from. */
  readonly twice: readonly string[];
}

/** A line, and what its document says of where it comes from: id, pod, file and offset. */
export interface Arrived {
  readonly message: string;
  readonly home: string;
}

const TWICE_TOLD_MAX = 4;

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
  return counted(await arrivedIn(search, stream));
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
  return (await arrivedIn(search, stream)).map(({ message }) => message);
}

/** All documents of a data stream. */
export async function arrivedIn(search: SearchServer, stream: string): Promise<readonly Arrived[]> {
  interface Page {
    readonly _scroll_id: string;
    readonly hits: {
      readonly hits: ReadonlyArray<{ readonly _id: string; readonly _source: { readonly message: string } }>;
    };
  }
  const found: Arrived[] = [];
  let answer = await search.request('POST', `/${stream}/_search?scroll=1m`, {
    size: PAGE,
    sort: ['_doc'],
    _source: ['@timestamp', 'message', 'log', 'kubernetes.pod', 'event'],
  });
  while (answer.status === 200) {
    const page = answer.body as Page;
    if (page.hits.hits.length === 0) return found;
    for (const { _id: id, _source: source } of page.hits.hits) {
      const { message, ...rest } = source;
      found.push({ message, home: `${id} ${JSON.stringify(rest)}` });
    }
    answer = await search.request('POST', '/_search/scroll', { scroll: '1m', scroll_id: page._scroll_id });
  }
  return found;
}

/** What the lines of each writer came to. */
export function counted(found: readonly Arrived[]): ReadonlyMap<string, Arrival> {
  const writers = Map.groupBy(found, ({ message }) => {
    const match = LINE.exec(message);
    return match?.[1] ?? `no line of ours: ${message.slice(0, 80)}`;
  });
  return new Map(
    [...writers].map(([writer, documents]) => {
      const numbers = Map.groupBy(documents, ({ message }) => Number(LINE.exec(message)?.[2] ?? 0));
      const highest = [...numbers.keys()].reduce((most, number) => Math.max(most, number), -1);
      const twice = [...numbers.values()].filter((list) => list.length > 1).slice(0, TWICE_TOLD_MAX);
      return [
        writer,
        {
          lines: documents.length,
          duplicates: documents.length - numbers.size,
          missing: highest + 1 - numbers.size,
          twice: twice.flatMap((list) => list.map(({ message, home }) => `${message.slice(0, 80)}: ${home}`)),
        },
      ];
    }),
  );
}
