/**
 * Every branch of the choice of the service account.
 */
import assert from 'node:assert/strict';

import type { ServiceAccountMode } from '../../src/config/webhook-config.ts';
import type { JsonObject } from '../../webhook/json.ts';
import { readPod } from '../../webhook/pod.ts';
import { decideAccount, isAutomaticTokenVolume, needsAccount } from '../../webhook/service-account.ts';

const AUTOMATIC = {
  name: 'kube-api-access-ab1c2',
  projected: { sources: [{ serviceAccountToken: {} }, { configMap: {} }, { downwardAPI: {} }] },
};
const OWN = { name: 'tokens', projected: { sources: [{ serviceAccountToken: { audience: 'vault' } }] } };
const OURS = {
  name: 'logtender',
  volumeMounts: [
    { name: 'logtender-state', mountPath: '/logtender/state' },
    { name: 'logtender-token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
  ],
};

const OPENSHIFT = {
  ...AUTOMATIC,
  projected: { sources: [...AUTOMATIC.projected.sources, { configMap: { name: 'openshift-service-ca.crt' } }] },
};
const SWITCHED = { serviceAccountName: 'f', automountServiceAccountToken: false, initContainers: [OURS] };

interface Case {
  readonly spec?: JsonObject;
  readonly named?: string;
  readonly mode?: ServiceAccountMode;
  readonly exists?: boolean;
  readonly original?: string;
}

/** What, case, expected: `action account reason`, and whether the cluster is asked for the account. */
const TABLE: readonly (readonly [string, Case, string, boolean])[] = [
  ['nothing named', {}, 'keep default account_none_named', false],
  ['named and there', { named: 'f' }, 'switch f account_switched', true],
  ['named and absent', { named: 'f', exists: false }, 'keep default account_not_found', true],
  ['default spelt out', { named: 'f', spec: { serviceAccountName: 'default' } }, 'switch f account_switched', true],
  ['only the old alias', { named: 'f', spec: { serviceAccount: 'web' } }, 'keep web account_pod_names_own', false],
  ['in use already', { named: 'f', spec: { serviceAccountName: 'f' } }, 'keep f account_in_use', false],
  ['mode never', { named: 'f', mode: 'never' }, 'keep default account_mode_never', false],
  [
    'in use wins over never',
    { named: 'f', mode: 'never', spec: { serviceAccountName: 'f' } },
    'keep f account_in_use',
    false,
  ],
  [
    'the pod names its own',
    { named: 'f', spec: { serviceAccountName: 'web' } },
    'keep web account_pod_names_own',
    false,
  ],
  [
    'require replaces it',
    { named: 'f', mode: 'require', spec: { serviceAccountName: 'web' } },
    'switch f account_replaced',
    true,
  ],
  ['require, from default', { named: 'f', mode: 'require' }, 'switch f account_switched', true],
  ['require, absent', { named: 'f', mode: 'require', exists: false }, 'keep default account_not_found', true],
  [
    'the pod wants its token',
    { named: 'f', spec: { automountServiceAccountToken: true } },
    'keep default account_token_wanted',
    false,
  ],
  [
    'require does not take a token that is wanted',
    { named: 'f', mode: 'require', spec: { automountServiceAccountToken: true } },
    'keep default account_token_wanted',
    false,
  ],
  [
    'the pod wants none',
    { named: 'f', spec: { automountServiceAccountToken: false } },
    'switch f account_switched',
    true,
  ],
  ['the automatic token is no wish', { named: 'f', spec: { volumes: [AUTOMATIC] } }, 'switch f account_switched', true],
  [
    'a token volume of its own',
    { named: 'f', spec: { volumes: [AUTOMATIC, OWN] } },
    'keep default account_token_volume',
    false,
  ],
  [
    'require and a token volume of its own',
    { named: 'f', mode: 'require', spec: { volumes: [OWN] } },
    'keep default account_token_volume',
    false,
  ],
  [
    'shared processes: no token could be kept from the app',
    { named: 'f', spec: { shareProcessNamespace: true } },
    'keep default account_processes_shared',
    false,
  ],
  [
    'processes of the node: not even by require',
    { named: 'f', mode: 'require', spec: { serviceAccountName: 'web', hostPID: true } },
    'keep web account_processes_shared',
    false,
  ],
  [
    'the network of the node is no obstacle',
    { named: 'f', spec: { hostNetwork: true } },
    'switch f account_switched',
    true,
  ],
  [
    'processes that are not shared',
    { named: 'f', spec: { shareProcessNamespace: false } },
    'switch f account_switched',
    true,
  ],
  [
    'never and the named one in use by its old alias',
    { named: 'f', mode: 'never', spec: { serviceAccount: 'f' } },
    'keep f account_in_use',
    false,
  ],
  [
    'a token volume that has the name of ours',
    { named: 'f', spec: { volumes: [{ ...OWN, name: 'logtender-token' }] } },
    'switch f account_switched',
    true,
  ],
  [
    'switched before: stays, the cluster is not asked',
    {
      named: 'f',
      exists: false,
      spec: { serviceAccountName: 'f', automountServiceAccountToken: false, initContainers: [OURS] },
    },
    'switch f account_switched',
    false,
  ],
  [
    'switched before by require',
    {
      named: 'f',
      original: 'web',
      spec: { serviceAccountName: 'f', automountServiceAccountToken: false, initContainers: [OURS] },
    },
    'switch f account_replaced',
    false,
  ],
  [
    'switched before, and then a token for the app',
    {
      named: 'f',
      spec: {
        ...SWITCHED,
        containers: [{ name: 'app', volumeMounts: [{ name: 'tokens', mountPath: '/t' }] }],
        volumes: [OWN],
      },
    },
    'switch f account_exposed',
    false,
  ],
  [
    'switched before, and then a token for ours alone',
    { named: 'f', spec: { ...SWITCHED, volumes: [OWN] } },
    'switch f account_switched',
    false,
  ],
  [
    'switched before, and then shared processes',
    { named: 'f', spec: { ...SWITCHED, shareProcessNamespace: true } },
    'switch f account_exposed',
    false,
  ],
  [
    "OpenShift's automatic token is no wish",
    { named: 'f', spec: { volumes: [OPENSHIFT] } },
    'switch f account_switched',
    true,
  ],
  [
    'our container alone is no switch',
    { named: 'f', spec: { serviceAccountName: 'web', initContainers: [OURS] } },
    'keep web account_pod_names_own',
    false,
  ],
];

describe('decideAccount', () => {
  for (const [name, { spec = {}, named, mode = 'if-default', exists = true, original }, want, asks] of TABLE) {
    it(name, () => {
      const pod = readPod({ spec: { containers: [{ name: 'app' }], ...spec } });
      const decision = decideAccount(pod, { named, mode, exists, original });
      assert.equal(`${decision.action} ${decision.account} ${decision.reason}`, want);
      assert.equal(needsAccount(pod, { named, mode }), asks);
    });
  }

  it('knows the automatic volume by name and shape', () => {
    const { volumes } = readPod({
      spec: {
        volumes: [
          AUTOMATIC,
          OPENSHIFT,
          { ...AUTOMATIC, name: 'kube-api-access-mine' },
          { ...OWN, name: 'kube-api-access-ab1c2' },
          { ...AUTOMATIC, projected: { sources: [...AUTOMATIC.projected.sources, { serviceAccountToken: {} }] } },
          { ...AUTOMATIC, projected: { sources: [...AUTOMATIC.projected.sources, { secret: {} }] } },
        ],
      },
    });
    assert.deepEqual(volumes.map(isAutomaticTokenVolume), [true, true, false, false, false, false]);
  });
});
