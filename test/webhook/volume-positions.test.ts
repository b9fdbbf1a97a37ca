/**
 * Where positions of files on persistent volumes are kept, by the shape of the pod.
 */
import assert from 'node:assert/strict';

import { fileList } from '../../webhook/annotation-values.ts';
import type { JsonObject } from '../../webhook/json.ts';
import { planLogs } from '../../webhook/log-plan.ts';
import { readPod } from '../../webhook/pod.ts';
import { positionsDir } from '../../webhook/volume-positions.ts';
import type { VolumePart } from '../../webhook/volume-positions.ts';

const VOLUMES: readonly JsonObject[] = [
  { name: 'claim', persistentVolumeClaim: { claimName: 'c' } },
  { name: 'again', persistentVolumeClaim: { claimName: 'c' } },
  { name: 'again-read', persistentVolumeClaim: { claimName: 'c', readOnly: true } },
  { name: 'other', persistentVolumeClaim: { claimName: 'd' } },
  { name: 'read', persistentVolumeClaim: { claimName: 'e', readOnly: true } },
  { name: 'host', hostPath: { path: '/logs' } },
  { name: 'empty', emptyDir: {} },
  { name: 'ephemeral', ephemeral: { volumeClaimTemplate: {} } },
];

const app = (...volumeMounts: readonly JsonObject[]): JsonObject => ({
  name: 'app',
  env: [{ name: 'ME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
  volumeMounts,
});

const on = (volume: string, subPath?: string, subPathExpr?: string): VolumePart => ({
  volume,
  part: { subPath, subPathExpr },
});

type PlanCase = readonly [
  name: string,
  files: string,
  mounts: readonly JsonObject[],
  /** What our container mounts for writing. */
  parts: readonly VolumePart[],
  /** By glob, the volume that has the folder of its positions. */
  kept: readonly (string | undefined)[],
  warned: readonly string[],
];

const A = { name: 'claim', mountPath: '/a' };
const CASES: readonly PlanCase[] = [
  ['a claim', '/a/*.log', [A], [on('claim')], ['claim'], []],
  ['a part of a claim', '/a/*.log', [{ ...A, subPath: 'logs' }], [on('claim', 'logs')], ['claim'], []],
  ['two globs in one claim', '/a/*.log,/a/b/*.log', [A], [on('claim')], ['claim', 'claim'], []],
  [
    'two parts of a claim: both in the first of them',
    '/a/*.log,/b/*.log',
    [
      { ...A, subPath: 'x' },
      { name: 'claim', mountPath: '/b', subPath: 'y' },
    ],
    [on('claim', 'x')],
    ['claim', 'claim'],
    [],
  ],
  [
    'two parts, the first for reading: both in the other one',
    '/a/*.log,/b/*.log',
    [
      { ...A, subPath: 'x', readOnly: true },
      { name: 'claim', mountPath: '/b', subPath: 'y' },
    ],
    [on('claim', 'y')],
    ['claim', 'claim'],
    [],
  ],
  [
    'one claim under two names of volumes: both in one folder, or two would keep what is one',
    '/a/*.log,/b/*.log',
    [A, { name: 'again', mountPath: '/b' }],
    [on('claim')],
    ['claim', 'claim'],
    [],
  ],
  [
    'one claim under two names, the first for reading',
    '/a/*.log,/b/*.log',
    [
      { name: 'again-read', mountPath: '/a' },
      { ...A, mountPath: '/b' },
    ],
    [on('claim')],
    ['claim', 'claim'],
    [],
  ],
  [
    'a part named after the pod',
    '/a/*.log',
    [{ ...A, subPathExpr: '$(ME)' }],
    [on('claim', undefined, '$(POD_NAME)')],
    ['claim'],
    [],
  ],
  [
    'a part named after the pod and a common one: who holds the positions does not see what others see',
    '/a/*.log,/b/*.log',
    [
      { ...A, subPathExpr: '$(ME)' },
      { name: 'claim', mountPath: '/b' },
    ],
    [],
    [undefined, undefined],
    ['claim'],
  ],
  [
    'the same on two claims: each by itself',
    '/a/*.log,/b/*.log',
    [
      { ...A, subPathExpr: '$(ME)' },
      { name: 'other', mountPath: '/b' },
    ],
    [on('claim', undefined, '$(POD_NAME)'), on('other')],
    ['claim', 'other'],
    [],
  ],
  ['a mount for reading', '/a/*.log', [{ ...A, readOnly: true }], [], [undefined], ['claim']],
  ['a claim for reading', '/a/*.log', [{ name: 'read', mountPath: '/a' }], [], [undefined], ['read']],
  [
    'two claims',
    '/a/*.log,/b/*.log',
    [A, { name: 'other', mountPath: '/b' }],
    [on('claim'), on('other')],
    ['claim', 'other'],
    [],
  ],
  [
    'two claims, one for reading',
    '/a/*.log,/b/*.log',
    [A, { name: 'read', mountPath: '/b' }],
    [on('claim')],
    ['claim', undefined],
    ['read'],
  ],
  [
    'a claim and an emptyDir of the pod',
    '/a/*.log,/b/*.log',
    [A, { name: 'empty', mountPath: '/b' }],
    [on('claim')],
    ['claim', undefined],
    [],
  ],
  ['a claim and our emptyDir', '/a/*.log,/b/*.log', [A], [on('claim')], ['claim', undefined], []],
  [
    'a claim and hostPath',
    '/a/*.log,/b/*.log',
    [A, { name: 'host', mountPath: '/b' }],
    [on('claim')],
    ['claim', undefined],
    ['host'],
  ],
  ['hostPath', '/a/*.log', [{ name: 'host', mountPath: '/a' }], [], [undefined], ['host']],
  [
    'an ephemeral claim: it ends with the pod',
    '/a/*.log',
    [{ name: 'ephemeral', mountPath: '/a' }],
    [],
    [undefined],
    [],
  ],
  ['an emptyDir', '/a/*.log', [{ name: 'empty', mountPath: '/a' }], [], [undefined], []],
  ['no files', '', [A], [], [], []],
];

const owned = (kind: string, name: string, labels: JsonObject = {}): JsonObject => ({
  metadata: { labels, ownerReferences: [{ apiVersion: 'v1', kind, name, uid: 'u', controller: true }] },
});

describe('positions on a persistent volume', () => {
  for (const [name, files, mounts, parts, kept, warned] of CASES)
    it(`${name}: ${parts.length === 0 ? 'with the pod' : 'beside the logs'}`, () => {
      const parsed = fileList(files);
      const pod = readPod({ spec: { containers: [app(...mounts)], volumes: VOLUMES } });
      const plan = planLogs(pod, parsed.ok ? parsed.value : []);
      assert.deepEqual(plan.positions, parts);
      assert.deepEqual(
        plan.globs.map(({ positions }) => positions),
        kept.map((volume) => (volume === undefined ? undefined : `/logtender/positions/${volume}/.logtender/{pod}`)),
      );
      const warnings = plan.findings.filter(({ code }) => code === 'persistent_volume');
      assert.deepEqual(
        warnings.map(({ detail }) => detail),
        warned.map((volume) => `volume ${volume}`),
      );
    });

  const OWNERS: readonly (readonly [string, JsonObject, string])[] = [
    ['a StatefulSet: each pod its own', owned('StatefulSet', 'db'), '{pod}'],
    ['a pod without an owner', { metadata: { name: 'lonely' } }, '{pod}'],
    ['a Deployment: the next pod goes on', owned('ReplicaSet', 'web-7d9f', { 'pod-template-hash': '7d9f' }), 'web'],
    ['a CronJob: the next Job goes on', owned('Job', 'report-29384756'), 'report'],
    ['an owner that is no file name', owned('Odd', '../../x'), '{pod}'],
    ['an owner that climbs', owned('Odd', '..'), '{pod}'],
  ];
  for (const [name, pod, folder] of OWNERS)
    it(name, () => assert.equal(positionsDir(readPod(pod), on('v')), `/logtender/positions/v/.logtender/${folder}`));
});
