/**
 * Every rule of the strict proxy as a table: at the limit it passes, one over it is refused by that rule.
 */
import assert from 'node:assert/strict';
import { LIMIT_CASES, NOW_MS } from '../servers/cloudwatch/limit-cases.ts';
import { checkCall, correctRejected } from '../servers/cloudwatch/rules.ts';

describe('rules of CloudWatch Logs', () => {
  for (const { name, action, rule, passes, refused } of LIMIT_CASES) {
    it(`${name}: passes at the limit`, () => assert.equal(checkCall(action, passes(NOW_MS), NOW_MS), undefined));
    it(`${name}: refused beyond it`, () => assert.equal(checkCall(action, refused(NOW_MS), NOW_MS)?.rule, rule));
  }

  it('lets actions without a rule pass', () => {
    assert.equal(checkCall('DescribeLogGroups', {}, NOW_MS), undefined);
  });

  it('names the type that AWS answers', () => {
    const { type } = checkCall('PutRetentionPolicy', { logGroupName: 'g', retentionInDays: 2 }, NOW_MS) ?? {};
    assert.equal(type, 'InvalidParameterException');
  });
});

describe('rejectedLogEventsInfo', () => {
  const day = 24 * 60 * 60 * 1000;
  const at = (...days: readonly number[]): readonly { timestamp: number; message: string }[] =>
    days.map((offset) => ({ timestamp: NOW_MS + offset * day, message: 'x' }));

  it('turns the last too old index into an exclusive end', () => {
    assert.deepEqual(correctRejected({ tooOldLogEventEndIndex: 1 }, at(-20, -15, 0), NOW_MS), {
      tooOldLogEventEndIndex: 2,
    });
  });
  it('turns the last too new index into the first', () => {
    assert.deepEqual(correctRejected({ tooNewLogEventStartIndex: 2 }, at(0, 1, 2), NOW_MS), {
      tooNewLogEventStartIndex: 1,
    });
  });
  it('keeps what the other clock said when ours sees nothing too new', () => {
    assert.deepEqual(correctRejected({ tooNewLogEventStartIndex: 1 }, at(0, 0), NOW_MS), {
      tooNewLogEventStartIndex: 1,
    });
  });
  it('adds nothing that was not answered', () => {
    assert.deepEqual(correctRejected({}, at(-20, 20), NOW_MS), {});
  });
});
