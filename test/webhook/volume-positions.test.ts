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
  positions: VolumePart | undefined,
  warned: readonly string[],
];

const A = { name: 'claim', mountPath: '/a' };
const CASES: readonly PlanCase[] = [
  ['a claim', '/a/*.log', [A], on('claim'), []],
  ['a part of a claim', '/a/*.log', [{ ...A, subPath: 'logs' }], on('claim', 'logs'), []],
  ['two globs in one claim', '/a/*.log,/a/b/*.log', [A], on('claim'), []],
  [
    'two parts of a claim: the first of them',
    '/a/*.log,/b/*.log',
    [
      { ...A, subPath: 'x' },
      { name: 'claim', mountPath: '/b', subPath: 'y' },
    ],
    on('claim', 'x'),
    [],
  ],
  [
    'two parts, the first for reading: the other one',
    '/a/*.log,/b/*.log',
    [
      { ...A, subPath: 'x', readOnly: true },
      { name: 'claim', mountPath: '/b', subPath: 'y' },
    ],
    on('claim', 'y'),
    [],
  ],
  [
    'a part named after the pod',
    '/a/*.log',
    [{ ...A, subPathExpr: '$(ME)' }],
    on('claim', undefined, '$(POD_NAME)'),
    [],
  ],
  [
    'a part named after the pod and a common one: who holds the positions does not see what others see',
    '/a/*.log,/b/*.log',
    [
      { ...A, subPathExpr: '$(ME)' },
      { name: 'claim', mountPath: '/b' },
    ],
    undefined,
    ['claim'],
  ],
  ['a mount for reading', '/a/*.log', [{ ...A, readOnly: true }], undefined, ['claim']],
  ['a claim for reading', '/a/*.log', [{ name: 'read', mountPath: '/a' }], undefined, ['read']],
  ['two claims', '/a/*.log,/b/*.log', [A, { name: 'other', mountPath: '/b' }], undefined, ['claim', 'other']],
  [
    'a claim and an emptyDir of the pod',
    '/a/*.log,/b/*.log',
    [A, { name: 'empty', mountPath: '/b' }],
    undefined,
    ['claim'],
  ],
  ['a claim and our emptyDir', '/a/*.log,/b/*.log', [A], undefined, ['claim']],
  ['hostPath', '/a/*.log', [{ name: 'host', mountPath: '/a' }], undefined, ['host']],
  ['an ephemeral claim: it ends with the pod', '/a/*.log', [{ name: 'ephemeral', mountPath: '/a' }], undefined, []],
  ['an emptyDir', '/a/*.log', [{ name: 'empty', mountPath: '/a' }], undefined, []],
  ['no files', '', [A], undefined, []],
];

const owned = (kind: string, name: string, labels: JsonObject = {}): JsonObject => ({
  metadata: { labels, ownerReferences: [{ apiVersion: 'v1', kind, name, uid: 'u', controller: true }] },
});

describe('positions on a persistent volume', () => {
  for (const [name, files, mounts, positions, warned] of CASES)
    it(`${name}: ${positions === undefined ? 'with the pod' : 'beside the logs'}`, () => {
      const parsed = fileList(files);
      const pod = readPod({ spec: { containers: [app(...mounts)], volumes: VOLUMES } });
      const plan = planLogs(pod, parsed.ok ? parsed.value : []);
      assert.deepEqual(plan.positions, positions);
      const warnings = plan.findings.filter(({ code }) => code === 'persistent_volume');
      assert.deepEqual(
        warnings.map(({ detail }) => detail),
        warned.map((volume) => `volume ${volume}`),
      );
    });

  it('a claim, and stdout and stderr as well: with the pod, or who waits would keep those back', () => {
    const parsed = fileList('/a/*.log');
    const pod = readPod({ spec: { containers: [app(A)], volumes: VOLUMES } });
    const { positions, findings } = planLogs(pod, parsed.ok ? parsed.value : [], true);
    assert.deepEqual([positions, findings.map(({ code }) => code)], [undefined, ['persistent_volume']]);
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
    it(name, () => assert.equal(positionsDir(readPod(pod)), `/logtender/positions/.logtender/${folder}`));
});
