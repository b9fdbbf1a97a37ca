/**
 * Where a forwarder soak sends to and counts: the destination in memory, or a real server that is read back at the end.
 *
 * May import: src/core, test/bench, test/servers, test/soak.
 */
import { LineCounter } from '../bench/numbered-lines.ts';
import { defaultPreparation } from '../servers/cache.ts';
import type { CloudWatchServer, SearchServer } from '../servers/servers.ts';
import { SERVERS } from '../servers/servers.ts';
import { CountingDestination } from './counting-destination.ts';
import type { StoredCounts } from './counting-destination.ts';

export const SOAK_SINKS = ['memory', 'elasticsearch', 'opensearch', 'cloudwatch'] as const;
export type SoakSink = (typeof SOAK_SINKS)[number];

export interface SoakDestination {
  readonly sink: 'elasticsearch' | 'cloudwatch';
  /** A resend is recognised there, so that nothing may be stored twice. */
  readonly isIdempotent: boolean;
  /** Variables of the forwarder that name it. */
  readonly env: Readonly<Record<string, string>>;
  halt(): Promise<void>;
  resume(): Promise<void>;
  /** What is stored, counted by the numbers of the lines. */
  counts(): Promise<StoredCounts>;
  stop(): Promise<void>;
}

/** @param files line n is in file n modulo this */
export async function openDestination(name: SoakSink, lines: number, files: number): Promise<SoakDestination> {
  if (name === 'memory') return inMemory(new CountingDestination(lines, files));
  if (name === 'cloudwatch') return cloudWatch(await SERVERS.cloudwatch.start(defaultPreparation()), lines);
  return search(await SERVERS[name].start(defaultPreparation()), lines);
}

async function inMemory(destination: CountingDestination): Promise<SoakDestination> {
  await destination.resume();
  return {
    sink: 'elasticsearch',
    isIdempotent: true,
    env: { ELASTICSEARCH_URL: `http://127.0.0.1:${destination.port}` },
    halt: () => destination.halt(),
    resume: () => destination.resume(),
    counts: async () => destination.counts(),
    stop: () => destination.halt(),
  };
}

function search(server: SearchServer, lines: number): SoakDestination {
  return {
    sink: 'elasticsearch',
    isIdempotent: true,
    env: { ELASTICSEARCH_URL: server.url },
    halt: () => server.halt('SIGKILL'),
    resume: () => server.resume(),
    counts: () => readIndex(server, lines),
    stop: () => server.stop(),
  };
}

interface Page {
  readonly _scroll_id: string;
  readonly hits: { readonly hits: ReadonlyArray<{ readonly _source: { readonly message: string } }> };
}

/** Every document of the data stream; the order of storing is not kept there. */
async function readIndex(server: SearchServer, lines: number): Promise<StoredCounts> {
  const counter = new LineCounter(lines);
  await server.request('POST', '/logs-logtender-*/_refresh');
  const first = { size: 10_000, sort: ['_doc'], _source: ['message'] };
  let answer = await server.request('POST', '/logs-logtender-*/_search?scroll=5m', first);
  for (;;) {
    if (answer.status !== 200) throw new Error(`read back: expected 200, got ${JSON.stringify(answer)}`);
    const page = answer.body as Page;
    if (page.hits.hits.length === 0) return { lost: counter.lost, duplicates: counter.duplicates, outOfOrder: 0 };
    counter.count(Buffer.from(page.hits.hits.map((hit) => hit._source.message).join('\n')));
    answer = await server.request('POST', '/_search/scroll', { scroll: '5m', scroll_id: page._scroll_id });
  }
}

function cloudWatch(server: CloudWatchServer, lines: number): SoakDestination {
  return {
    sink: 'cloudwatch',
    isIdempotent: false,
    env: { CLOUDWATCH_ENDPOINT: server.url, AWS_REGION: server.region, LOG_GROUP: 'soak' },
    halt: () => server.halt(),
    resume: () => server.resume(),
    counts: async () => {
      const counter = new LineCounter(lines);
      let outOfOrder = 0;
      for (const stream of await server.logStreams('soak')) {
        let highest = -1;
        for (const { message } of await server.readEvents('soak', stream)) {
          const before = counter.distinct;
          counter.count(Buffer.from(message));
          const number = Number(/seq=(\d+)/.exec(message)?.[1]);
          if (counter.distinct > before && number < highest) outOfOrder += 1;
          highest = Math.max(highest, number);
        }
      }
      return { lost: counter.lost, duplicates: counter.duplicates, outOfOrder };
    },
    stop: () => server.stop(),
  };
}
