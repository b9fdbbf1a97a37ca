/**
 * By which way stdout and stderr are shipped, and the words where they are not: a table over the operator's switch, the namespace's Pod
 * Security, and the account.
 */
import assert from 'node:assert/strict';

import type { JsonObject } from '../../webhook/json.ts';
import { listAt, textAt } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import { ask, reviewOf, testWebhook } from '../fakes/webhook.ts';
import type { ClusterCase } from '../fakes/webhook.ts';

const ENFORCE = 'pod-security.kubernetes.io/enforce';
const ACCOUNT = 'logtender-forwarder';
const NODE_ALLOWED = { stdoutNode: true };
const WITH_ACCOUNT: ClusterCase = {
  accounts: [ACCOUNT],
  annotations: { 'logging.io/service-account': ACCOUNT },
};

interface Case {
  readonly name: string;
  readonly asked: 'auto' | 'api' | 'node' | 'off';
  readonly cluster?: ClusterCase;
  readonly way: 'api' | 'node' | undefined;
  /** In a warning. */
  readonly code?: string;
}

const TABLE: readonly Case[] = [
  { name: 'node where the operator allows it', asked: 'node', cluster: { config: NODE_ALLOWED }, way: 'node' },
  { name: 'node without the operator’s word', asked: 'node', way: undefined, code: 'stdio_node_not_allowed' },
  ...['baseline', 'restricted'].map((level): Case => ({
    name: `node in a namespace that enforces ${level}, which forbids hostPath`,
    asked: 'node',
    cluster: { config: NODE_ALLOWED, labels: { [ENFORCE]: level } },
    way: undefined,
    code: 'stdio_node_forbidden',
  })),
  {
    name: 'node in a namespace that enforces privileged',
    asked: 'node',
    cluster: { config: NODE_ALLOWED, labels: { [ENFORCE]: 'privileged' } },
    way: 'node',
  },
  { name: 'auto under the account that may read logs', asked: 'auto', cluster: WITH_ACCOUNT, way: 'api' },
  { name: 'auto without it', asked: 'auto', way: undefined, code: 'stdio_not_shipped' },
  { name: 'api under another account', asked: 'api', way: 'api', code: 'stdio_account_unsure' },
  { name: 'off', asked: 'off', cluster: WITH_ACCOUNT, way: undefined },
];

describe('stdout and stderr, by which way', () => {
  for (const { name, asked, cluster, way, code } of TABLE)
    it(name, async () => {
      const pod: JsonObject = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: 'p',
          annotations: {
            'logging.io/inject': 'true',
            'logging.io/files': '/var/log/app/*.log',
            'logging.io/stdout': asked,
          },
        },
        spec: { containers: [{ name: 'app', image: 'app:1' }] },
      };
      const answer = await ask(testWebhook(cluster).handler, reviewOf(pod));
      assert.equal(answer.allowed, true);
      const injected = applyPatch(pod, answer.operations);
      const sidecar = listAt(injected, 'spec', 'initContainers').find((item) => textAt(item, 'name') === 'logtender');
      const stdio = listAt(sidecar, 'env').find((item) => textAt(item, 'name') === 'STDIO');
      assert.equal(textAt(stdio, 'value'), way);
      const paths = listAt(injected, 'spec', 'volumes').flatMap((volume) => textAt(volume, 'hostPath', 'path') ?? []);
      assert.deepEqual(paths, way === 'node' ? ['/var/log/pods'] : []);
      const group = listAt(injected, 'spec', 'initContainers').map((item) => JSON.stringify(item))[0] ?? '';
      assert.equal(group.includes('"runAsGroup":0'), way === 'node');
      const mount = listAt(sidecar, 'volumeMounts').find((item) => textAt(item, 'name') === 'logtender-stdio');
      assert.equal(
        textAt(mount, 'subPathExpr'),
        way === 'node' ? '$(POD_NAMESPACE)_$(POD_NAME)_$(POD_UID)' : undefined,
        'of all directories this pod’s alone',
      );
      const status = textAt(injected, 'metadata', 'annotations', 'logging.io/status') ?? '';
      const said = `${status}\n${answer.warnings.join('\n')}`;
      if (code === undefined) assert.doesNotMatch(said, /stdio_/);
      else assert.ok(said.includes(code), said);
    });
});
