/**
 * AdmissionReview bytes: what is refused and with which words, and the scan of their depth.
 */
import assert from 'node:assert/strict';

import type { Json } from '../../webhook/json.ts';
import { isDeeperThan } from '../../webhook/json-depth.ts';
import { decodeReview } from '../../webhook/review.ts';
import { seededRandom, testSeed } from '../fakes/seeded-random.ts';
import type { SeededRandom } from '../fakes/seeded-random.ts';
import { ask, reviewOf, testWebhook } from '../fakes/webhook.ts';

const POD = { metadata: { annotations: { 'logging.io/inject': 'true' } }, spec: { containers: [{ name: 'app' }] } };
const GOOD = reviewOf(POD);
const REQUEST = GOOD['request'] as Record<string, never>;

/** What is posted, and a part of the text that comes back. */
const BAD: readonly (readonly [string, string, RegExp])[] = [
  ['nothing', '', /body: expected JSON, got an empty body/],
  ['text', 'hello', /body: expected JSON, got 5 bytes that are not JSON/],
  ['a list', '[]', /body: expected an object, got \[\]/],
  ['null', 'null', /body: expected an object, got null/],
  ['a pod', JSON.stringify({ kind: 'Pod', apiVersion: 'v1' }), /kind: expected "AdmissionReview", got "Pod"/],
  [
    'v1beta1',
    JSON.stringify({ ...GOOD, apiVersion: 'admission.k8s.io/v1beta1' }),
    /apiVersion: expected "admission.k8s.io\/v1", got "admission.k8s.io\/v1beta1"/,
  ],
  ['no request', JSON.stringify({ ...GOOD, request: undefined }), /request: expected an object, got nothing/],
  ['no uid', JSON.stringify({ ...GOOD, request: { ...REQUEST, uid: '' } }), /request.uid: expected a text, got ""/],
  [
    'no operation',
    JSON.stringify({ ...GOOD, request: { ...REQUEST, operation: 1 } }),
    /request.operation: expected a text, got 1/,
  ],
  [
    'an object that is none',
    JSON.stringify({ ...GOOD, request: { ...REQUEST, object: 'x' } }),
    /request.object: expected an object, got "x"/,
  ],
  ['too deep', '['.repeat(100_000), /at most 64 levels/],
];

describe('AdmissionReview', () => {
  for (const [name, body, want] of BAD) {
    it(`refuses ${name} and says why`, async () => {
      const answer = await ask(testWebhook().handler, Buffer.from(body));
      assert.equal(answer.status, 400);
      assert.match(answer.body, want);
      assert.match(answer.body, /^logtender: (review_invalid|body_too_deep): read .*; the body is .*: send /);
    });
  }

  it('reads the parts', () => {
    const decoded = decodeReview(Buffer.from(JSON.stringify(reviewOf(POD, 'team-a', true))));
    assert(decoded.ok);
    const { uid, kind, operation, namespace, dryRun } = decoded.request;
    assert.deepEqual(
      [uid, kind, operation, namespace, dryRun],
      ['c0ffee00-0000-4000-8000-000000000001', 'Pod', 'CREATE', 'team-a', true],
    );
  });

  it('lets other kinds and operations pass untouched', async () => {
    const { handler } = testWebhook();
    const other = await ask(handler, { ...GOOD, request: { ...REQUEST, kind: { kind: 'Service' } } });
    assert.deepEqual([other.allowed, other.reason, other.operations], [true, 'not_a_pod', []]);
    const update = await ask(handler, { ...GOOD, request: { ...REQUEST, operation: 'UPDATE' } });
    assert.deepEqual([update.allowed, update.reason, update.operations], [true, 'not_a_create', []]);
    const empty = await ask(
      handler,
      reviewOf({ metadata: { annotations: { 'logging.io/inject': 'true' } }, spec: {} }),
    );
    assert.deepEqual([empty.allowed, empty.reason], [true, 'not_a_pod']);
  });
});

describe('depth of JSON bytes', () => {
  const TABLE: readonly (readonly [string, number, boolean])[] = [
    ['[[]]', 2, false],
    ['[[]]', 1, true],
    ['[[],[],[]]', 2, false],
    ['{"a":{"b":[]}}', 2, true],
    ['["[[[["]', 1, false],
    ['["\\"[[[["]', 1, false],
    ['["\\\\",[[]]]', 2, true],
    ['"no end [[[', 0, false],
    ['', 0, false],
  ];
  for (const [text, max, want] of TABLE)
    it(`${text} deeper than ${max}: ${want}`, () => assert.equal(isDeeperThan(Buffer.from(text), max), want));

  it('says of any JSON what its values say', () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    for (let n = 0; n < 3_000; n += 1) {
      const value = nested(random, 6);
      const depth = depthOf(value);
      const bytes = Buffer.from(JSON.stringify(value, undefined, n % 3));
      const about = `seed ${seed}: ${bytes.toString()}`;
      assert.equal(isDeeperThan(bytes, depth), false, about);
      assert.equal(depth > 0 && isDeeperThan(bytes, depth - 1), depth > 0, about);
    }
  });
});

/** Characters that a scan could take for something else. */
const WORDS = ['"', '\\', '[', '{', ']', '}', 'a', 'é', '\n', 'long '.repeat(13)];

/** Strings of all lengths about the one from which their end is searched for in another way. */
function randomText(random: SeededRandom): string {
  let text = 'x'.repeat(random.below(80));
  for (let n = random.below(8); n > 0; n -= 1) text += WORDS[random.below(WORDS.length)] ?? '';
  return text;
}

function nested(random: SeededRandom, levels: number): Json {
  const kind = random.next();
  if (levels === 0 || kind < 0.3) return kind < 0.02 ? null : randomText(random);
  const items = Array.from({ length: random.below(4) }, () => nested(random, levels - 1));
  return kind < 0.6 ? items : Object.fromEntries(items.map((item) => [randomText(random), item]));
}

function depthOf(value: Json): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}
