/**
 * deploy/iam allows what the sink calls and nothing else: judged by an evaluator of its own, for the default names of groups and streams.
 * Those for OpenSearch Service stand before a front that judges by them in test/conformance/opensearch-domain.test.ts.
 * The same policies stand before a server that enforces actions in test/cluster/cloudwatch.test.ts.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { callContext } from '../../src/sinks/cloudwatch-logs/arns.ts';
import type { LogsAction } from '../../src/sinks/cloudwatch-logs/arns.ts';
import { logDestination } from '../../src/sinks/cloudwatch-logs/request.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { isAllowed, readPolicy } from './iam-policy.ts';

const IAM = join(import.meta.dirname, '../../deploy/iam');
const ACCOUNT = '111122223333';
const policy = (name: string): ReturnType<typeof readPolicy> => readPolicy(join(IAM, name));

/** ARN of what a call of our sink acts on, in the account of the files. */
function arnOf(action: LogsAction, env: Readonly<Record<string, string>> = {}, region = 'eu-central-1'): string {
  const destination = logDestination(forwarderConfig({ CLUSTER_NAME: 'prod', ...env }), sourceInfo());
  return callContext(action, destination, region).resource.replace(':*:', `:${ACCOUNT}:`);
}

const NEEDS: Readonly<Record<string, readonly LogsAction[]>> = {
  'cloudwatch-logs-write.json': ['PutLogEvents', 'CreateLogStream'],
  'cloudwatch-logs-create.json': ['CreateLogGroup', 'PutRetentionPolicy', 'TagResource'],
  'cloudwatch-logs-confirm.json': ['GetLogEvents'],
};
const ALL = Object.values(NEEDS).flat();

describe('deploy/iam', () => {
  for (const [name, actions] of Object.entries(NEEDS)) {
    it(`${name} allows ${actions.join(', ')} on our groups alone, and no other action`, () => {
      for (const action of ALL) {
        const mayBe = actions.includes(action);
        const allowed = (resource: string): boolean => isAllowed(policy(name), `logs:${action}`, resource);
        assert.equal(allowed(arnOf(action)), mayBe, action);
        // The older form of a group's ARN, which some actions are still checked with.
        if (!arnOf(action).includes(':log-stream:')) assert.equal(allowed(`${arnOf(action)}:*`), mayBe, action);
        assert.equal(allowed(arnOf(action, { CLUSTER_NAME: 'other' })), false);
        assert.equal(allowed(arnOf(action, {}, 'us-east-1')), false);
        assert.equal(allowed(arnOf(action).replace(ACCOUNT, '444455556666')), false);
      }
      for (const action of ['DeleteLogGroup', 'DescribeLogGroups', 'PutSubscriptionFilter', 'FilterLogEvents'])
        assert.equal(isAllowed(policy(name), `logs:${action}`, arnOf('CreateLogGroup')), false);
    });
  }

  it('every file for CloudWatch Logs and OpenSearch Service is a policy of known members, with a Sid for each statement', () => {
    const ours = readdirSync(IAM).filter((file) =>
      /^(?:cloudwatch-logs|kms-key-for-log-groups|opensearch-domain|trust)\b.*\.json$/.test(file),
    );
    assert.equal(ours.length, 10);
    for (const name of ours) {
      const { statements } = policy(name);
      assert(statements.length > 0, name);
      for (const { sid, actions } of statements) {
        assert.match(sid, /^[A-Za-z0-9]+$/, name);
        assert(!actions.includes('*'), name);
      }
    }
  });
});
