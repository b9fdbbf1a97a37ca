/**
 * The strict fakes held against the real servers: both are asked the same, and have to answer alike.
 *
 * Compared are status, shape (members and the types of their values) and type of an error; not its words, and not what a real server tells
 * beside the type (root cause, index, shard). May import: src, test.
 */
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { FakeElasticsearch } from '../fakes/elasticsearch-server.ts';
import { ask } from './http-json.ts';
import type { Answer } from './http-json.ts';
import type { SearchServer } from './servers.ts';

/** An answer without its words. */
export interface Shape {
  readonly status: number;
  readonly body: unknown;
}

/** @param body parsed JSON, or a text */
export function shapeOf({ status, body }: Pick<Answer, 'status' | 'body'>): Shape {
  return { status, body: shapeOfValue(body) };
}

function shapeOfValue(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => shapeOfValue(item));
  if (typeof value !== 'object' || value === null)
    return key === 'status' || key === 'type' || key === 'errors' ? value : typeof value;
  const members = Object.entries(value as Readonly<Record<string, unknown>>);
  const isError = key === 'error';
  const kept = isError ? members.filter(([name]) => name === 'type' || name === 'reason') : members;
  return Object.fromEntries(kept.toSorted().map(([name, member]) => [name, shapeOfValue(member, name)]));
}

const FILTER = 'filter_path=errors,items.*.status,items.*.failure_store,items.*.error';
const FILTER_INDEX = 'filter_path=errors,items.*._index,items.*.status,items.*.failure_store,items.*.error';
const NDJSON = { 'content-type': 'application/x-ndjson' };

interface BulkQuestion {
  readonly name: string;
  /** Lines of the body; the last newline is added unless `isCut`. */
  readonly lines: readonly string[];
  readonly isCut?: boolean;
  readonly filter?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly isGzip?: boolean;
  /** What the sink never reads of such an answer. */
  readonly isStatusOnly?: boolean;
  /** Brings the real server to what the fake is told by `itemStatuses`. */
  readonly settings?: object;
  readonly itemStatuses?: readonly number[];
}

const create = (id: string, document = '{"message":"x"}', index?: string): readonly [string, string] => [
  JSON.stringify({ create: { ...(index === undefined ? {} : { _index: index }), _id: id } }),
  document,
];
const LARGE = create('large', JSON.stringify({ message: 'x'.repeat(300_000) }));
const BLOCKED = { 'index.blocks.read_only_allow_delete': true };

/** Each rule of the fake, asked in this order of one index; the limit of a body is that of SMALL_BODIES. */
const BULK: readonly BulkQuestion[] = [
  { name: 'new records', lines: [...create('a'), ...create('b')] },
  { name: 'a resend beside a new record', lines: [...create('b'), ...create('c')] },
  { name: 'the names of indices', lines: [...create('d'), ...create('d')], filter: FILTER_INDEX },
  { name: 'an id of 512 bytes', lines: create('é'.repeat(256)) },
  { name: 'an id of 513 bytes', lines: create(`x${'é'.repeat(256)}`) },
  { name: 'an action that is none', lines: ['{"creatX":{"_id":"e"}}', '{}'] },
  { name: 'no newline at the end', lines: create('f'), isCut: true },
  { name: 'a document that is no JSON', lines: [...create('g', '{"message":'), ...create('h')] },
  {
    name: 'a document that the mapping refuses',
    lines: [...create('i', '{"n":"one"}'), ...create('j')],
    itemStatuses: [400],
  },
  { name: 'another content type', lines: create('k'), headers: { 'content-type': 'text/plain' } },
  { name: 'another method', lines: create('l'), method: 'DELETE' },
  { name: 'a body that is too large', lines: LARGE, isStatusOnly: true },
  { name: 'a body that is too large when it is unpacked', lines: LARGE, isGzip: true, isStatusOnly: true },
  { name: 'a compressed body', lines: create('m'), isGzip: true },
  { name: 'an index that is blocked', lines: create('n'), settings: BLOCKED, itemStatuses: [429] },
];

/** Registers the tests; the server has SMALL_BODIES. */
export function testFakeElasticsearch(flavour: 'elasticsearch' | 'opensearch', server: () => SearchServer): void {
  describe(`its fake (${flavour})`, () => {
    const index = `fake-${process.pid}`;
    let fake: FakeElasticsearch;
    before(async () => {
      fake = new FakeElasticsearch();
      fake.flavour = flavour;
      fake.bodyBytesMax = 256 * 1024;
      await fake.server.start();
      const mappings = { properties: { n: { type: 'integer' } } };
      assert.equal((await server().request('PUT', `/${index}`, { mappings })).status, 200);
    });
    after(() => fake.server.stop());

    const both = async (question: BulkQuestion, into = index): Promise<readonly [real: Answer, fake: Answer]> => {
      const text = question.lines.join('\n') + (question.isCut === true ? '' : '\n');
      const isGzip = question.isGzip === true;
      const body = isGzip ? gzipSync(text) : Buffer.from(text);
      const encoding = isGzip ? { 'content-encoding': 'gzip' } : {};
      const headers = { ...NDJSON, 'content-length': String(body.length), ...question.headers, ...encoding };
      const path = `/${into}/_bulk?${question.filter ?? FILTER}`;
      const asked = { method: question.method ?? 'POST', headers, body };
      return [await ask(`${server().url}${path}`, asked), await ask(`${fake.server.url}${path}`, asked)];
    };

    for (const question of BULK) {
      it(`answers alike: ${question.name}`, async () => {
        if (question.settings !== undefined)
          assert.equal((await server().request('PUT', `/${index}/_settings`, question.settings)).status, 200);
        fake.itemStatuses.push(...(question.itemStatuses ?? []));
        const [real, own] = (await both(question)).map(shapeOf);
        if (question.isStatusOnly === true) assert.equal(own?.status, real?.status);
        else assert.deepEqual(own, real);
      });
    }

    it('answers alike: a data stream before and after a rollover', async () => {
      const stream = `logs-fake-${process.pid}`;
      const template = { index_patterns: ['logs-fake-*'], data_stream: {}, priority: 200 };
      assert.equal((await server().request('PUT', '/_index_template/fake-answers', template)).status, 200);
      const question = { name: '', lines: create('a', '{"@timestamp":"2026-01-01T00:00:00Z"}'), filter: FILTER_INDEX };
      for (const [generation, status] of [
        [1, 201],
        [1, 409],
        [2, 201],
      ] as const) {
        if (generation !== (fake.generation ?? 1))
          assert.equal((await server().request('POST', `/${stream}/_rollover`)).status, 200);
        fake.generation = generation;
        for (const { body } of await both(question, stream)) {
          const [item] = (
            body as { readonly items: ReadonlyArray<{ readonly create: { _index?: string; status: number } }> }
          ).items;
          assert.equal(item?.create.status, status);
          // Where it is there already, the index is that of the refusal.
          assert.match(item.create._index ?? '', new RegExp(`^\\.ds-${stream}-.*00000${generation}$`));
        }
      }
      fake.generation = undefined;
    });
  });
}
