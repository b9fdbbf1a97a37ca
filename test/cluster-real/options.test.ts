/**
 * The command line of `npm run cluster`.
 */
import assert from 'node:assert/strict';
import { lineNumberOf } from './example.ts';
import { parseOptions } from './options.ts';

describe('npm run cluster', () => {
  const image = 'registry.example:5000/team/logtender:0.1.0';
  for (const [args, expected] of [
    [[], { once: false, own: undefined }],
    [['--once'], { once: true, own: undefined }],
    [['--context', 'prod', '--image', image], { once: false, own: { context: 'prod', image } }],
  ] as const)
    it(`takes ${args.join(' ') || 'nothing'}`, () =>
      assert.deepEqual(parseOptions(args), { kind: 'run', options: expected }));

  for (const [args, text] of [
    [['--context', 'prod'], /--context needs --image/],
    [['--image', image], /--image goes with --context/],
    [['--context', 'prod', '--image', 'logtender'], /expected NAME:TAG .* got logtender/],
    [['--twice'], /--twice/],
  ] as const)
    it(`refuses ${args.join(' ')}`, () => {
      const parsed = parseOptions(args);
      assert.ok(parsed.kind === 'say' && parsed.code === 2);
      assert.match(parsed.text, text);
    });

  it('knows a line of the example in a record, and nothing else', () => {
    assert.equal(lineNumberOf('{"message":"2026-11-28T12:00:00.000Z order 000042 accepted"}'), 42);
    assert.equal(lineNumberOf('{"level":"info","msg":"forwarder started"}'), undefined);
  });
});
