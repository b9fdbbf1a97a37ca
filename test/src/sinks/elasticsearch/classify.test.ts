/**
 * Every answer of `_bulk` and what it means. Bodies as Elasticsearch 8, 9 and OpenSearch 2 send them.
 */
import assert from 'node:assert/strict';
import { classifyBulk, firstIndex, placesOf, saysNoErrors } from '../../../../src/sinks/elasticsearch/classify.ts';
import type { Delivery } from '../../../../src/sinks/sink.ts';

const selection = [2, 5, 9];
const sent = {
  count: 3,
  indexAt: (position: number): number => selection[position] ?? -1,
  sentBefore: (index: number): boolean => index === 5,
};

function classify(
  status: number,
  body: unknown,
  more: { retryAfter?: string; location?: string; awsService?: 'es' | 'aoss' } = {},
): Delivery {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const { retryAfter, location, awsService } = more;
  return classifyBulk({ status, retryAfter, location, body: Buffer.from(text), awsService }, sent);
}

function items(...results: ReadonlyArray<readonly [status: number, type?: string]>): unknown {
  return {
    errors: true,
    items: results.map(([status, type]) => ({
      create:
        type === undefined
          ? { status }
          : { status, error: { type, reason: 'because', caused_by: { reason: 'of it' } } },
    })),
  };
}

const nothing = { duplicates: 0, retry: [], retryReason: 'throttled', rejected: [], conflicts: [] } as const;

const ITEMS: ReadonlyArray<readonly [name: string, body: unknown, want: Delivery]> = [
  ['all stored', '{"errors":false,"items":[{"create":{"status":201}},{"crea', { status: 'delivered', duplicates: 0 }],
  ['stored, but an older answer form', items([201], [201], [200]), { status: 'delivered', duplicates: 0 }],
  [
    'a duplicate that was sent before',
    items([201], [409, 'version_conflict_engine_exception'], [201]),
    { status: 'delivered', duplicates: 1 },
  ],
  [
    'a conflict that was never sent',
    items([409, 'version_conflict_engine_exception'], [201], [201]),
    { status: 'partial', ...nothing, conflicts: [2] },
  ],
  [
    'throttled items',
    items([201], [429, 'es_rejected_execution_exception'], [429, 'x']),
    { status: 'partial', ...nothing, retry: [5, 9] },
  ],
  [
    'no shard left in the cluster, told item by item',
    items([400, 'validation_exception'], [400, 'validation_exception'], [201]),
    { status: 'partial', ...nothing, retry: [2, 5] },
  ],
  [
    'a closed index, told item by item',
    items([400, 'index_closed_exception'], [201], [201]),
    { status: 'partial', ...nothing, retry: [2], retryReason: 'not_found' },
  ],
  [
    'a failed shard',
    items([503, 'unavailable_shards_exception'], [201], [201]),
    { status: 'partial', ...nothing, retry: [2], retryReason: 'server_error' },
  ],
  [
    'a read-only block of Elasticsearch 7',
    items([403, 'cluster_block_exception'], [201], [201]),
    { status: 'partial', ...nothing, retry: [2] },
  ],
  [
    'an ingest pipeline that fails for one document',
    items([500, 'fail_processor_exception'], [201], [500, 'some_exception']),
    {
      status: 'partial',
      ...nothing,
      retry: [9],
      retryReason: 'server_error',
      rejected: [{ index: 2, reason: 'rejected_by_sink', text: '500 fail_processor_exception: because: of it' }],
    },
  ],
  [
    'a missing privilege',
    items([403, 'security_exception'], [201], [201]),
    { status: 'partial', ...nothing, retry: [2], retryReason: 'credentials' },
  ],
  [
    'no index and none may be made',
    items([404, 'index_not_found_exception'], [201], [201]),
    { status: 'partial', ...nothing, retry: [2], retryReason: 'not_found' },
  ],
  [
    'an item without status',
    { errors: true, items: [{ create: {} }, { create: { status: 201 } }, { create: { status: 201 } }] },
    { status: 'partial', ...nothing, retry: [2], retryReason: 'server_error' },
  ],
  [
    'a mapping conflict',
    items([400, 'document_parsing_exception'], [201], [409, 'version_conflict_engine_exception']),
    {
      status: 'partial',
      ...nothing,
      conflicts: [9],
      rejected: [{ index: 2, reason: 'rejected_by_sink', text: '400 document_parsing_exception: because: of it' }],
    },
  ],
];

const WHOLE: ReadonlyArray<
  readonly [status: number, body: unknown, want: readonly [status: Delivery['status'], reason?: string], words?: RegExp]
> = [
  [301, '', ['retryable', 'not_found'], /redirects \(to https:\/\/other\/\) are not followed/],
  [
    400,
    { error: { type: 'illegal_argument_exception', reason: 'Malformed action/metadata line' } },
    ['refused', 'rejected_by_sink'],
    /Malformed/,
  ],
  [
    400,
    { error: { type: 'invalid_index_name_exception', reason: 'Invalid index name' } },
    ['retryable', 'not_found'],
    /data-stream/,
  ],
  // A page of something in between says nothing about the records.
  [400, '<html>The plain HTTP request was sent to HTTPS port</html>', ['retryable', 'not_found'], /http for https/],
  [400, '', ['retryable', 'not_found'], /does not lead to Elasticsearch/],
  [
    400,
    { error: { type: 'validation_exception', reason: 'Validation Failed: 1: this action would add [2] shards' } },
    ['retryable', 'throttled'],
    /limits of the cluster/,
  ],
  [
    401,
    { error: { type: 'security_exception', reason: 'missing authentication credentials' } },
    ['retryable', 'credentials'],
    /elasticsearch-api-key/,
  ],
  [
    403,
    { error: { type: 'security_exception', reason: 'action is unauthorized' } },
    ['retryable', 'credentials'],
    /create_doc/,
  ],
  [
    403,
    { message: 'The security token included in the request is expired' },
    ['retryable', 'credentials'],
    /security token included in the request is expired/,
  ],
  [403, { Message: 'User: anonymous is not authorized' }, ['retryable', 'credentials'], /anonymous is not authorized/],
  [403, { error: { type: 'cluster_block_exception', reason: 'read-only' } }, ['retryable', 'throttled']],
  [
    404,
    { error: { type: 'index_not_found_exception', reason: 'no such index' } },
    ['retryable', 'not_found'],
    /the index$/,
  ],
  [407, '', ['retryable', 'credentials'], /proxy/],
  [404, 'nginx', ['retryable', 'not_found'], /nginx.*does not lead to Elasticsearch/],
  [405, '', ['retryable', 'not_found']],
  [406, '', ['retryable', 'not_found']],
  [408, '', ['retryable', 'timeout']],
  [413, '', ['too_large']],
  [
    429,
    { error: { type: 'es_rejected_execution_exception', reason: 'rejected' }, status: 429 },
    ['retryable', 'throttled'],
  ],
  [418, '', ['retryable', 'server_error']],
  [500, '', ['retryable', 'server_error']],
  [502, '<html>', ['retryable', 'server_error'], /502: <html>/],
  [503, 'OpenSearch Security not initialized.', ['retryable', 'server_error'], /not initialized/],
  [200, 'not json', ['retryable', 'server_error'], /is it Elasticsearch/],
  [200, { errors: true, items: [{ create: { status: 201 } }] }, ['retryable', 'server_error'], /1 items for 3 records/],
  [200, {}, ['retryable', 'server_error'], /no list of items/],
];

describe('classifyBulk', () => {
  for (const [name, body, want] of ITEMS) {
    it(name, () => {
      const { retryText, ...delivery } = { retryText: undefined, ...classify(200, body) };
      assert.deepEqual(delivery, want);
      // What is sent again says why, in the server's words.
      const retries = want.status === 'partial' && want.retry.length > 0;
      assert.equal(retryText !== undefined, retries);
    });
  }

  it('tells what the server said of a record that is sent again', () => {
    const delivery = classify(200, items([403, 'security_exception'], [201], [201]));
    assert(delivery.status === 'partial');
    assert.equal(delivery.retryText, '403 security_exception: because: of it');
  });

  it('a 403 with a message is that of AWS only where requests are signed, and names the right of domain or collection', () => {
    for (const [awsService, says] of [
      [undefined, /what stands before the cluster refuses/],
      ['es', /allow es:ESHttpPost on the index .*opensearch-domain-write/],
      ['aoss', /allow aoss:APIAccessAll .*data access policy/],
    ] as const) {
      const delivery = classify(403, { message: 'Forbidden' }, awsService === undefined ? {} : { awsService });
      assert(delivery.status === 'retryable' && delivery.reason === 'credentials');
      assert.match(delivery.text, says);
      assert.equal(/es:ESHttp|aoss:/.test(delivery.text), awsService !== undefined);
    }
    const ofCluster = classify(403, { error: { type: 'security_exception' } }, { awsService: 'es' });
    assert(ofCluster.status === 'retryable');
    assert.match(ofCluster.text, /create_doc/);
  });

  it('names the index that has a record, and whether it is new there', () => {
    const answer = Buffer.from(
      '{"errors":true,"items":[{"create":{"_index":".ds-a-000002","status":201}},{"create":{"_index":".ds-a-000002","status":409}},{"create":{"status":201}},{"create":{"_index":".ds-a-000002","status":429}}]}',
    );
    const [created, known] = [true, false].map((isNew) => ({ index: '.ds-a-000002', isNew }));
    assert.deepEqual(placesOf(answer), [created, known, undefined, undefined]);
    assert.equal(firstIndex(answer.subarray(0, 80)), '.ds-a-000002');
    assert.equal(firstIndex(Buffer.from('{"errors":false,"items":[{"create":{"status":201}}]}')), undefined);
    assert.deepEqual(placesOf(Buffer.from('<html>')), []);
  });

  for (const [status, body, [want, reason], words] of WHOLE) {
    it(`${status} ${JSON.stringify(body)} is ${want} ${reason ?? ''}`, () => {
      const delivery = classify(status, body, { location: 'https://other/' });
      assert.equal(delivery.status, want);
      if (reason !== undefined)
        assert(('reason' in delivery ? delivery.reason : undefined) === reason, JSON.stringify(delivery));
      if (words !== undefined) assert.match('text' in delivery ? delivery.text : '', words);
    });
  }

  const waits: ReadonlyArray<readonly [header: string, want: number]> = [
    ['7', 7000],
    ['0', 0],
    ['-5', 0],
    ['999999', 300_000],
    ['Fri, 31 Dec 1999 23:59:59 GMT', 0],
  ];
  for (const [header, want] of waits) {
    it(`Retry-After: ${header} waits ${want} ms`, () => {
      const delivery = classify(429, '', { retryAfter: header });
      assert.equal(delivery.status === 'retryable' ? delivery.retryAfterMs : undefined, want);
    });
  }

  it('cuts the words of a server', () => {
    const delivery = classify(200, items([400, 'x'.repeat(5000)], [201], [201]));
    assert(delivery.status === 'partial' && delivery.rejected[0]?.text.length === 1024);
  });

  it('knows an answer without errors only by its first bytes', () => {
    assert(saysNoErrors(Buffer.from('{"errors":false}'), 1));
    assert(!saysNoErrors(Buffer.from('{"errors":fals'), 1));
    assert(!saysNoErrors(Buffer.from('{"errors":true,"x":{"errors":false}}'), 1));
    const items = (count: number, last: string): Buffer =>
      Buffer.from(
        `{"errors":false,"items":[${[...Array<string>(count - 1).fill('{"create":{"status":201}}'), last].join(',')}]}`,
      );
    for (const count of [1, 2, 8_000]) {
      assert(saysNoErrors(items(count, '{"create":{"status":201}}'), count));
      assert(!saysNoErrors(items(count, '{"create":{"status":201,"failure_store":"used"}}'), count));
      assert(saysNoErrors(items(count, '{"create":{"_index":"used","status":201}}'), count));
    }
  });

  it('takes a record in the failure store for rejected, and its index for no write index', () => {
    const index = '.fs-logs-a-2026.11.28-000002';
    const stored = { create: { _index: '.ds-logs-a-000001', status: 201 } };
    const body = {
      errors: false,
      items: [{ create: { _index: index, status: 201, failure_store: 'used' } }, stored, stored],
    };
    const delivery = classify(200, body);
    assert(delivery.status === 'partial');
    assert.deepEqual(
      delivery.rejected.map(({ index: record, reason }) => [record, reason]),
      [[2, 'rejected_by_sink']],
    );
    assert.match(delivery.rejected[0]?.text ?? '', /failure store/);
    const bytes = Buffer.from(JSON.stringify(body));
    const place = { index: '.ds-logs-a-000001', isNew: true };
    assert.deepEqual(placesOf(bytes), [undefined, place, place]);
    assert.equal(firstIndex(bytes), '.ds-logs-a-000001');
  });
});
