/**
 * Where a forwarder soak sends to and counts: the destination in memory, or a real server that is read back at the end.
 *
 * May import: src/core, test/bench, test/servers, test/soak.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { LineCounter, numbersOf } from '../bench/numbered-lines.ts';
import { defaultPreparation } from '../servers/cache.ts';
import type { CloudWatchServer, S3Server, SearchServer } from '../servers/servers.ts';
import { SERVERS, startElasticsearch, startOpenSearch } from '../servers/servers.ts';
import { CountingDestination } from './counting-destination.ts';
import type { StoredCounts } from './counting-destination.ts';

/**
 * Millions of lines are read back from a node of 256 MiB: what waits for its collector is no reason to refuse a page (Elasticsearch and
 * OpenSearch reference, parent circuit breaker).
 */
const COUNTING_HEAP = { 'indices.breaker.total.use_real_memory': 'false' } as const;
/** Documents of a page: half a megabyte. */
const PAGE = 2_000;

export const SOAK_SINKS = ['memory', 'elasticsearch', 'opensearch', 'cloudwatch', 's3'] as const;
export type SoakSink = (typeof SOAK_SINKS)[number];

export interface SoakDestination {
  readonly sink: 'elasticsearch' | 'cloudwatch' | 's3';
  /** Keys of an AWS identity that the destination knows; any will do where it asks for none. */
  readonly keys?: { readonly accessKeyId: string; readonly secretAccessKey: string };
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
  if (name === 's3') return objects(await SERVERS.s3.start(defaultPreparation()), lines);
  const start = name === 'elasticsearch' ? startElasticsearch : startOpenSearch;
  return search(await start(COUNTING_HEAP), lines);
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
  const first = { size: PAGE, sort: ['_doc'], _source: ['message'] };
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

/** Objects are read from the disk of the server; their names are the ranges of the files, so their order is that of the lines. */
function objects(server: S3Server, lines: number): SoakDestination {
  const bucket = 'soak';
  const folder = server.createBucket(bucket);
  return {
    sink: 's3',
    keys: server.credentials,
    isIdempotent: true,
    env: {
      S3_ENDPOINT: server.url,
      S3_BUCKET: bucket,
      AWS_REGION: server.region,
      S3_OBJECT_AGE: '1s',
      S3_OBJECT_BYTES: String(1024 * 1024),
    },
    halt: () => server.halt('SIGKILL'),
    resume: () => server.resume(),
    counts: async () => {
      const counter = new LineCounter(lines);
      let outOfOrder = 0;
      for (const key of server.keys(bucket)) {
        const body = gunzipSync(readFileSync(join(folder, key)));
        counter.count(body);
        let before = -1;
        for (const number of numbersOf(body)) {
          if (number < before) outOfOrder += 1;
          before = number;
        }
      }
      return { lost: counter.lost, duplicates: counter.duplicates, outOfOrder };
    },
    stop: () => server.stop(),
  };
}
