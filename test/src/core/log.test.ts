/** Our own log: one JSON object a line, whatever the fields hold. */
import assert from 'node:assert/strict';
import { createLog } from '../../../src/core/log.ts';

function capture(level: 'debug' | 'info' | 'warn' | 'error'): { lines: string[]; log: ReturnType<typeof createLog> } {
  const lines: string[] = [];
  const clock = { now: () => 1_700_000_000_000, monotonic: () => 0, sleep: async () => {} };
  return { lines, log: createLog({ clock, level, write: (line) => lines.push(line) }) };
}

describe('createLog', () => {
  it('writes one JSON object per line with time, level and message', () => {
    const { lines, log } = capture('info');
    log.with({ sink: 'console' }).warn('sink slow', { waitMs: 3 });
    assert.deepEqual(lines, [
      '{"time":"2023-11-14T22:13:20.000Z","level":"warn","message":"sink slow","sink":"console","waitMs":3}\n',
    ]);
  });

  it('lets no field forge a second line', () => {
    const { lines, log } = capture('info');
    log.info('seen', { name: 'a\n{"level":"error"}\r\u001b[31m' });
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.indexOf('\n'), (lines[0]?.length ?? 0) - 1);
    assert.equal(JSON.parse(lines[0] ?? '').name, 'a\n{"level":"error"}\r\u001b[31m');
  });

  it('shows what a terminal or a viewer would obey as its number, and a reader of JSON gets it back', () => {
    const { lines, log } = capture('info');
    const name = 'a\u009b31m\u007f\u2028\u2029\u202e\u2066 é漢🙂 %s';
    log.info('seen', { name });
    assert.match(lines[0] ?? '', /a\\u009b31m\\u007f\\u2028\\u2029\\u202e\\u2066 é漢🙂 %s/);
    assert.equal(JSON.parse(lines[0] ?? '').name, name);
  });

  it('drops what is below its level', () => {
    const { lines, log } = capture('warn');
    log.info('quiet');
    log.debug('quieter');
    log.error('loud');
    assert.equal(lines.length, 1);
  });
});
