/**
 * The discard sink's answers, as Elasticsearch gives them.
 */
import assert from 'node:assert/strict';
import { bulkAnswer, infoAnswer } from './bulk-answer.ts';

const OURS = '/logs-x/_bulk?filter_path=errors,items.*.status,items.*.failure_store,items.*.error';
const body = (action: string): Buffer => Buffer.from(`{"${action}":{}}\n{"message":"seq=0000000001"}\n`);

describe('answers of the discard sink', () => {
  it('what is asked for, and no more', () => {
    const answer = { errors: false, items: [{ create: { status: 201 } }, { create: { status: 201 } }] };
    assert.deepEqual(JSON.parse(bulkAnswer(OURS, body('create'), 2)), answer);
  });

  it('no item for no document', () => assert.equal(bulkAnswer(OURS, body('create'), 0), '{"errors":false}'));

  it('whether all went well alone, for who asks for that', () => {
    assert.equal(bulkAnswer('/x/_bulk?filter_path=errors', body('index'), 3), '{"errors":false}');
  });

  it('the index of each item, for who asks for it', () => {
    const { items } = JSON.parse(bulkAnswer(`${OURS},items.*._index`, body('create'), 1));
    assert.match(items[0].create._index, /^\.ds-logs-.*-000001$/);
  });

  for (const action of ['create', 'index']) {
    it(`whole items for who does not say, under the action that was asked for: ${action}`, () => {
      const { errors, items } = JSON.parse(bulkAnswer('/_bulk', body(action), 2));
      assert.equal(errors, false);
      assert.equal(items.length, 2);
      assert.deepEqual(Object.keys(items[1]), [action]);
      assert.equal(items[1][action].status, 201);
      assert.equal(items[1][action].result, 'created');
    });
  }

  it('who it is, at its root', () => {
    assert.equal(JSON.parse(infoAnswer('/')).version.number, '9.5.3');
    assert.equal(infoAnswer('/_cat/health'), '{}');
  });
});
