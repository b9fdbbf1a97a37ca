/** Running an injected sidecar as a process: paths, env and downward fields as the kubelet would give them. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepareSidecar } from '../../../src/cli/sidecar-process.ts';

const POD = {
  metadata: { name: 'web-1', namespace: 'shop', uid: 'u-1' },
  spec: {
    nodeName: 'node-1',
    initContainers: [
      {
        name: 'logtender',
        args: ['/app/forwarder.mjs', '--flag'],
        env: [
          { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          { name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
          { name: 'LOG_GROUP', value: '/k8s/$$(x)/logtender/state' },
          { name: 'STATE_DIR', value: '/logtender/state' },
          { name: 'LOG_FILES', value: '[{"directory":"/var/log/app","mount":"/logtender/logs/app/var/log/app"}]' },
        ],
        volumeMounts: [
          { name: 'logtender-state', mountPath: '/logtender/state' },
          { name: 'logtender-logs', mountPath: '/logtender/logs/app/var/log/app', subPath: 'app/var-log-app' },
        ],
      },
    ],
    containers: [
      {
        name: 'app',
        volumeMounts: [{ name: 'logtender-logs', mountPath: '/var/log/app', subPath: 'app/var-log-app' }],
      },
    ],
  },
};

describe('prepareSidecar', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'logtender-sidecar-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('keeps the args but for the entry', async () => {
    assert.deepEqual((await prepareSidecar(POD, root, '/x/main.ts')).args, ['/x/main.ts', '--flag']);
  });

  it('fills downward fields, unescapes, and maps mounted paths only', async () => {
    const { env } = await prepareSidecar(POD, root, '/x/main.ts');
    assert.deepEqual(env, {
      POD_NAME: 'web-1',
      NODE_NAME: 'node-1',
      LOG_GROUP: '/k8s/$(x)/logtender/state',
      STATE_DIR: join(root, 'logtender/logtender/state'),
      LOG_FILES: `[{"directory":"/var/log/app","mount":"${join(root, 'logtender/logtender/logs/app/var/log/app')}"}]`,
      TERMINATION_MESSAGE_PATH: join(root, 'logtender/dev/termination-log'),
    });
  });

  it('shares a volume between the app and the sidecar', async () => {
    const { locate } = await prepareSidecar(POD, root, '/x/main.ts');
    await writeFile(locate('app', '/var/log/app/a.log'), 'line\n');
    assert.equal(await readFile(locate('logtender', '/logtender/logs/app/var/log/app/a.log'), 'utf8'), 'line\n');
  });

  it('says what is missing in a pod without sidecar', async () => {
    const bare = { ...POD, spec: { containers: POD.spec.containers } };
    await assert.rejects(prepareSidecar(bare, root, '/x/main.ts'), {
      code: 'USAGE',
      message: /expected a pod with a container logtender/,
    });
  });
});
