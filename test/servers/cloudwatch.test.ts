/**
 * moto behind the strict proxy: what is put can be read, every limit holds on the way to it, and faults are what they say.
 */
import assert from 'node:assert/strict';
import type { Answer } from './http-json.ts';
import { LIMIT_CASES } from './cloudwatch/limit-cases.ts';
import { requireServer } from './require-server.ts';
import type { CloudWatchServer } from './servers.ts';

/** On two cores that also compile, a call of 10,000 events takes seconds. */
const TEST_MS_MAX = 60_000;

const typeOf = (answer: Answer): unknown => (answer.body as { readonly __type?: unknown }).__type;

describe('server cloudwatch', function () {
  this.timeout(TEST_MS_MAX);
  let server: CloudWatchServer;
  const call = (action: string, input: unknown): Promise<Answer> => server.call(action, input);
  const put = (logEvents: unknown): Promise<Answer> =>
    call('PutLogEvents', { logGroupName: 'g', logStreamName: 's', logEvents });

  before(async function () {
    server = await requireServer(this, 'cloudwatch');
  });
  beforeEach(async () => {
    await server.reset();
    assert.equal((await call('CreateLogGroup', { logGroupName: 'g' })).status, 200);
    assert.equal((await call('CreateLogStream', { logGroupName: 'g', logStreamName: 's' })).status, 200);
  });

  it('gives back what was put, in order', async () => {
    const now = Date.now();
    const events = Array.from({ length: 5 }, (_, i) => ({ timestamp: now + Math.floor(i / 2), message: `line ${i}` }));
    assert.equal((await put(events)).status, 200);
    const read = await server.readEvents('g', 's');
    assert.deepEqual(
      read.map(({ timestamp, message }) => ({ timestamp, message })),
      events,
    );
    assert.deepEqual(await server.logStreams('g'), ['s']);
    assert.deepEqual(await server.logStreams('absent'), []);
  });

  it('reads back more than a page', async () => {
    const now = Date.now();
    for (const batch of [0, 1, 2]) {
      const events = Array.from({ length: 9_000 }, (_, i) => ({ timestamp: now, message: String(batch * 9_000 + i) }));
      assert.equal((await put(events)).status, 200);
    }
    const numbers = (await server.readEvents('g', 's')).map(({ message }) => Number(message));
    assert.equal(numbers.length, 27_000);
    assert.ok(numbers.every((number, i) => number === i));
  });

  for (const { name, action, rule, passes, refused } of LIMIT_CASES) {
    it(`${name}: one beyond the limit is refused and does not arrive, the limit itself passes`, async () => {
      const wrong = await call(action, refused(Date.now()));
      assert.equal(wrong.status, 400, JSON.stringify(wrong.body));
      assert.deepEqual(server.proxy.refusals(), [{ action, rule }]);
      assert.deepEqual(await server.readEvents('g', 's'), []);
      const right = await call(action, passes(Date.now()));
      assert.equal(right.status, 200, JSON.stringify(right.body));
    });
  }

  it('answers for what does not exist and what exists already', async () => {
    const missing = await call('PutLogEvents', {
      logGroupName: 'g',
      logStreamName: 'x',
      logEvents: [{ timestamp: Date.now(), message: 'x' }],
    });
    assert.deepEqual([missing.status, typeOf(missing)], [400, 'ResourceNotFoundException']);
    const twice = await call('CreateLogGroup', { logGroupName: 'g' });
    assert.deepEqual([twice.status, typeOf(twice)], [400, 'ResourceAlreadyExistsException']);
  });

  it('rejects events that are too old or too new with the documented indexes, and stores the others', async () => {
    const now = Date.now();
    const day = 24 * 60 * 60 * 1000;
    const at = (offset: number): unknown => ({ timestamp: now + offset * day, message: String(offset) });
    const { status, body } = await put([at(-16), at(-15), at(0), at(1), at(2)]);
    assert.equal(status, 200);
    const { rejectedLogEventsInfo } = body as { readonly rejectedLogEventsInfo: unknown };
    assert.deepEqual(rejectedLogEventsInfo, { tooOldLogEventEndIndex: 2, tooNewLogEventStartIndex: 3 });
    assert.deepEqual(
      (await server.readEvents('g', 's')).map(({ message }) => message),
      ['0'],
    );
  });

  it('stores a call whose answer is lost, and not one that is dropped before', async () => {
    const events = [{ timestamp: Date.now(), message: 'x' }];
    server.order({ fault: 'drop-before', count: 1, action: 'PutLogEvents' });
    await assert.rejects(put(events), { code: 'ECONNRESET' });
    assert.equal((await server.readEvents('g', 's')).length, 0);
    server.order({ fault: 'drop-after', count: 1, action: 'PutLogEvents' });
    await assert.rejects(put(events), { code: 'ECONNRESET' });
    assert.equal((await server.readEvents('g', 's')).length, 1);
    assert.deepEqual(server.proxy.counts('PutLogEvents'), { received: 2, refused: 0, faulted: 2, forwarded: 1 });
  });

  it('is away after a halt and back with the same address and data', async () => {
    const events = [{ timestamp: Date.now(), message: 'x' }];
    assert.equal((await put(events)).status, 200);
    const { url } = server;
    await server.halt();
    await assert.rejects(put(events), { code: 'ECONNREFUSED' });
    await server.resume();
    assert.equal(server.url, url);
    assert.equal((await put(events)).status, 200);
    assert.equal((await server.readEvents('g', 's')).length, 2);
  });
});
