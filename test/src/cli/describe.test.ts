/** The short describe view: what injection changes, aligned as kubectl does. */
import assert from 'node:assert/strict';
import { describePod } from '../../../src/cli/describe.ts';

describe('describePod', () => {
  it('shows account, annotations, containers, env, mounts and volumes', () => {
    const pod = {
      metadata: {
        generateName: 'web-',
        namespace: 'shop',
        annotations: { 'logging.io/inject': 'true', 'logging.io/status': '{"a":1,\n"b":2}' },
      },
      spec: {
        initContainers: [
          {
            name: 'logtender',
            image: 'i',
            restartPolicy: 'Always',
            args: ['a', 'b'],
            resources: { limits: { memory: '48Mi' }, requests: { cpu: '5m', memory: '48Mi' } },
            env: [
              { name: 'A', value: '1' },
              { name: 'P', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
            ],
            volumeMounts: [{ name: 'v', mountPath: '/m', subPath: 's', readOnly: true }],
          },
        ],
        containers: [{ name: 'app', image: 'x' }],
        volumes: [{ name: 'v', emptyDir: {} }],
      },
    };
    assert.equal(
      describePod(pod),
      [
        'Name:             web-',
        'Namespace:        shop',
        'Service Account:  default',
        'Annotations:      logging.io/inject: true',
        '                  logging.io/status:',
        '                    {"a":1,',
        '                    "b":2}',
        'Init Containers:',
        '  logtender:',
        '    Image:            i',
        '    Restart Policy:   Always',
        '    Args:             a b',
        '    Limits:           memory 48Mi',
        '    Requests:         cpu 5m, memory 48Mi',
        '    Environment:',
        '      A:                         1',
        '      P:                         (v1:metadata.name)',
        '    Mounts:',
        '      /m from v (ro,path="s")',
        'Containers:',
        '  app:',
        '    Image:            x',
        'Volumes:',
        '  v:',
        '    Type:             emptyDir',
        '',
      ].join('\n'),
    );
  });

  it('survives what is no pod', () => {
    assert.match(describePod(null), /^Name: +\n/);
  });
});
