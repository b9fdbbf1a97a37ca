/**
 * Which directories are tailed, on which volumes, and what is refused.
 */
import assert from 'node:assert/strict';

import { fileList } from '../../webhook/annotation-values.ts';
import type { JsonObject } from '../../webhook/json.ts';
import { planLogs } from '../../webhook/log-plan.ts';
import type { LogPlan } from '../../webhook/log-plan.ts';
import { readPod } from '../../webhook/pod.ts';

interface Mount {
  readonly name: string;
  readonly mountPath: string;
  readonly subPath?: string;
  readonly subPathExpr?: string;
}

function container(name: string, ...volumeMounts: readonly Mount[]): JsonObject {
  return { name, volumeMounts: volumeMounts.map((mount) => ({ ...mount })) };
}

function plan(
  files: string,
  containers: readonly JsonObject[],
  volumes: readonly JsonObject[] = [],
  init: readonly JsonObject[] = [],
): LogPlan {
  const parsed = fileList(files);
  assert(parsed.ok);
  return planLogs(readPod({ spec: { containers, volumes, initContainers: init } }), parsed.value);
}

const EMPTY = { name: 'v', emptyDir: {} };

describe('planLogs', () => {
  it('one part of the emptyDir per container and directory, two containers never share a file', () => {
    const { shared, globs, mounts } = plan('/var/log/app/*.log', [container('a'), container('b')]);
    assert.deepEqual(
      shared.map(({ container: name, directory, subPath }) => [name, directory, subPath]),
      [
        ['a', '/var/log/app', 'a/var/log/app'],
        ['b', '/var/log/app', 'b/var/log/app'],
      ],
    );
    assert.deepEqual(
      globs.map((glob) => glob.mount),
      ['/logtender/logs/a/var/log/app', '/logtender/logs/b/var/log/app'],
    );
    assert(mounts.every((mount) => mount.volume === 'logtender-logs'));
  });

  it('directories inside each other need one mount', () => {
    const { shared, globs, mounts } = plan('/srv/a/b/*.log,/srv/a/*.log', [container('a')]);
    assert.deepEqual(
      shared.map((s) => s.directory),
      ['/srv/a'],
    );
    assert.equal(mounts.length, 1);
    assert.deepEqual(
      globs.map((glob) => glob.mount),
      ['/logtender/logs/a/srv/a/b', '/logtender/logs/a/srv/a'],
    );
  });

  it("uses the user's mount at or above the directory, with its subPath", () => {
    const app = container('a', { name: 'v', mountPath: '/srv/', subPath: 's' });
    const { shared, globs, mounts } = plan('/srv/log/x/*.log', [app], [EMPTY]);
    assert.deepEqual(shared, []);
    assert.deepEqual(mounts, [
      { volume: 'v', part: { subPath: 's', subPathExpr: undefined }, path: '/logtender/logs/a/srv' },
    ]);
    assert.equal(globs[0]?.mount, '/logtender/logs/a/srv/log/x');
  });

  it('takes the deepest of several mounts', () => {
    const app = container('a', { name: 'w', mountPath: '/srv' }, { name: 'v', mountPath: '/srv/log' });
    assert.equal(plan('/srv/log/*.log', [app], [EMPTY, { name: 'w', emptyDir: {} }]).mounts[0]?.volume, 'v');
  });

  it('mounts of the sidecar never lie inside each other', () => {
    const app = container('a', { name: 'v', mountPath: '/srv/log/deep' });
    const { mounts, globs } = plan('/srv/log/*.log,/srv/log/deep/*.log', [app], [EMPTY]);
    assert.deepEqual(
      mounts.map((m) => m.path),
      ['/logtender/logs/a/srv/log', '/logtender/logs/a.1/srv/log/deep'],
    );
    assert.equal(globs[1]?.mount, '/logtender/logs/a.1/srv/log/deep');
  });

  it('ships a file once that several containers see, named after the first container', () => {
    const mount = { name: 'v', mountPath: '/logs' };
    const { globs } = plan(
      '/logs/*.log',
      [container('a', mount), container('b', mount)],
      [EMPTY],
      [container('i', mount)],
    );
    assert.deepEqual(
      globs.map((glob) => glob.container),
      ['a'],
    );
  });

  it('the same file by another path is the same file', () => {
    const a = container('a', { name: 'v', mountPath: '/logs' });
    const b = container('b', { name: 'v', mountPath: '/other/app', subPath: 'app' });
    const { globs } = plan('a:/logs/app/x.log,b:/other/app/x.log', [a, b], [EMPTY]);
    assert.deepEqual(
      globs.map((glob) => glob.container),
      ['a'],
    );
  });

  it('a named container alone; mesh proxies only when named', () => {
    const pods = [container('a'), container('istio-proxy')];
    assert.deepEqual(
      plan('a:/x/y/*.log', pods).globs.map((g) => g.container),
      ['a'],
    );
    assert.deepEqual(
      plan('/x/y/*.log', pods).globs.map((g) => g.container),
      ['a'],
    );
    assert.deepEqual(
      plan('istio-proxy:/x/y/*.log', pods).globs.map((g) => g.container),
      ['istio-proxy'],
    );
  });

  it('init containers as well, after the containers', () => {
    const { globs, sources } = plan('/x/y/*.log', [container('a')], [], [container('i')]);
    assert.deepEqual(
      globs.map((g) => g.container),
      ['a', 'i'],
    );
    assert.deepEqual(
      sources.map((s) => s.name),
      ['a', 'i'],
    );
  });

  const REFUSED = [
    '/*',
    '/etc/*',
    '/usr/*',
    '/bin/x',
    '/lib/*',
    '/var/*',
    '/home/*',
    '/root/*',
    '/v*/log/x',
    '/proc/1/fd/1',
    '/sys/x/y',
    '/dev/x/y',
    '/var/run/secrets/x/y',
    '/usr/lib/*.log',
    '/usr/share/app/logs/*.log',
    '/usr/local/*.log',
    '/usr/local/bin/*.log',
    '/usr/local/tomcat/*.log',
    '/etc/ssl/*.log',
    '/etc/app/logs/*.log',
    '/bin/logs/*.log',
    '/sbin/logs/*.log',
    '/lib/x/*.log',
    '/lib64/x/*.log',
    '/libx32/x/*.log',
    '/boot/*.log',
    '/boot/logs/*.log',
    '/root/logs/*.log',
  ];
  for (const glob of REFUSED) {
    it(`refuses ${glob}`, () => {
      const { globs, shared, findings } = plan(glob, [container('a')]);
      assert.deepEqual([globs, shared], [[], []]);
      assert.deepEqual(
        findings.map((f) => f.code),
        ['glob_refused'],
      );
    });
  }

  it('a directory of the system is fine where the user has a volume of his own, or is a log folder below /usr/local', () => {
    const app = container('a', { name: 'v', mountPath: '/root/logs' });
    assert.deepEqual(plan('/root/logs/*.log', [app], [EMPTY]).findings, []);
    const { shared, findings } = plan('/usr/local/tomcat/logs/*.log,/usr/local/x/log/y/*', [container('a')]);
    assert.deepEqual(
      shared.map(({ directory }) => directory),
      ['/usr/local/tomcat/logs', '/usr/local/x/log/y'],
    );
    assert.deepEqual(findings, []);
  });

  const HIDING: readonly (readonly [string, readonly string[]])[] = [
    ['/app/*.log', ['container a: /app', 'container b: /app']],
    ['/app/data/*.log,/app/*.log', ['container a: /app', 'container b: /app']],
    ['a:/opt/x/*', ['container a: /opt/x']],
    ['/app/logs/*.log', []],
    ['/app/log/x/*', []],
    ['/srv/applogs/*', ['container a: /srv/applogs', 'container b: /srv/applogs']],
    ['/srv/blog/*.log', ['container a: /srv/blog', 'container b: /srv/blog']],
    ['/app/catalog/*.log', ['container a: /app/catalog', 'container b: /app/catalog']],
    ['/var/log/*.log', ['container a: /var/log', 'container b: /var/log']],
    ['/var/log/**/*.log', ['container a: /var/log', 'container b: /var/log']],
    ['/var/log/nginx/*', []],
    ['/tmp/x/*', []],
    ['/tmp/*', []],
  ];
  for (const [files, want] of HIDING) {
    it(`${files}: says ${want.length === 0 ? 'nothing' : 'that what the image has there is hidden'}`, () => {
      const { findings, shared } = plan(files, [container('a'), container('b')]);
      assert(shared.length > 0);
      assert.deepEqual(
        findings.map(({ code, detail }) => [code, detail]),
        want.map((detail) => ['directory_hidden', detail]),
      );
    });
  }

  /** Glob, members of the container, and whether a mount of ours would take from it what it starts from. */
  const NEEDED: readonly (readonly [string, JsonObject, boolean])[] = [
    ['/app/*.log', { command: ['/app/server'] }, true],
    ['/app/*.log', { command: ['/app/./server', '-v'] }, true],
    ['/app/*.log', { command: ['bin/server'], workingDir: '/app' }, true],
    ['/app/bin/*.log', { command: ['bin/server'], workingDir: '/app' }, true],
    ['/app/bin/*.log', { command: ['server'], workingDir: '/app' }, false],
    ['/app/*.log', { workingDir: '/app/' }, true],
    ['/app/*.log', { workingDir: '/app/web' }, true],
    ['/app/**/*.log', { workingDir: 'app' }, true],
    ['/app/logs/*.log', { command: ['/app/server'], workingDir: '/app' }, false],
    ['/app/*.log', { command: ['/apple/server', '/app/x'], workingDir: '/' }, false],
    ['/app/*.log', { command: ['server'] }, false],
    ['/app/*.log', { command: ['./server'] }, false],
    ['/app/*.log', { livenessProbe: { exec: { command: ['/app/alive'] } } }, true],
    ['/app/*.log', { lifecycle: { preStop: { exec: { command: ['/app/stop'] } } } }, true],
    ['/app/*.log', { command: ['/app/bin/x'], volumeMounts: [{ name: 'v', mountPath: '/app/bin' }] }, false],
    ['/app/*.log', { command: ['/app/x'], volumeMounts: [{ name: 'v', mountPath: '/app/bin' }] }, true],
    ['/app/*.log', { command: ['/app/x'], volumeMounts: [{ name: 'v', mountPath: '/app' }] }, false],
  ];
  for (const [files, members, isRefused] of NEEDED) {
    it(`${files} with ${JSON.stringify(members)}: ${isRefused ? 'refused' : 'taken'}`, () => {
      const { shared, globs, findings } = plan(files, [{ name: 'a', ...members }], [EMPTY]);
      assert.equal(globs.length, isRefused ? 0 : 1);
      assert.equal(
        findings.some(({ code }) => code === 'glob_refused'),
        isRefused,
      );
      if (isRefused) assert.deepEqual(shared, []);
    });
  }

  it('a container that starts from the directory keeps it, another has its part all the same', () => {
    const { shared } = plan('/app/*.log', [{ name: 'a', workingDir: '/app' }, container('b')]);
    assert.deepEqual(
      shared.map((one) => one.container),
      ['b'],
    );
  });

  for (const mountPath of ['/var/log//app', '/var/log/./app/', '/var/log/x/../app', 'var/log/app']) {
    it(`a mount of the user at ${mountPath} is a mount at /var/log/app`, () => {
      const { shared, mounts, globs } = plan('/var/log/app/*.log', [container('a', { name: 'v', mountPath })], [EMPTY]);
      assert.deepEqual(shared, []);
      assert.deepEqual(mounts, [
        { volume: 'v', part: { subPath: undefined, subPathExpr: undefined }, path: '/logtender/logs/a/var/log/app' },
      ]);
      assert.equal(globs[0]?.mount, '/logtender/logs/a/var/log/app');
    });
  }

  /** Path of a block device, glob, and whether the glob lies where the device is. */
  const DEVICES: readonly (readonly [string, string, boolean])[] = [
    ['/data/x', '/data/x/*.log', true],
    ['/data/x/', '/data/x/y/*.log', true],
    ['/data', '/data/x/*.log', true],
    ['/data/x', '/data/*.log', false],
    ['/data/x', '/data/xy/*.log', false],
  ];
  for (const [devicePath, files, isRefused] of DEVICES) {
    it(`a block device at ${devicePath}, ${files}: ${isRefused ? 'refused' : 'taken'}`, () => {
      const app = { name: 'a', volumeDevices: [{ name: 'block', devicePath }] };
      const { shared, globs, findings } = plan(files, [app]);
      assert.deepEqual([shared.length, globs.length], isRefused ? [0, 0] : [1, 1]);
      assert.deepEqual(
        findings.filter(({ code }) => code !== 'directory_hidden').map(({ code, detail }) => [code, detail]),
        isRefused ? [['mount_refused', `container a has the block device block at ${devicePath}`]] : [],
      );
    });
  }

  it('a volume of the user below a block device is what is read', () => {
    const volumeMounts = [{ name: 'v', mountPath: '/data/x/logs' }];
    const app = { name: 'a', volumeDevices: [{ name: 'block', devicePath: '/data/x' }], volumeMounts };
    assert.deepEqual(plan('/data/x/logs/*.log', [app], [EMPTY]).findings, []);
  });

  it('what the sidecar is told fits one text of env, and what is left out is said', () => {
    const containers = Array.from({ length: 10 }, (_, i) => container(`${'c'.repeat(60)}${i}`));
    const segment = 'd'.repeat(100);
    // Characters that are two bytes each and, in JSON, a byte more.
    const files = Array.from({ length: 25 }, (_, i) => `/srv/log/${segment}/${segment}/é"${'é'.repeat(50)}${i}/*`).join(
      ',',
    );
    const { globs, shared, findings } = plan(files, containers);
    const bytes = Buffer.byteLength(JSON.stringify(globs));
    assert(bytes <= 96 * 1024, `${bytes} bytes`);
    assert(bytes > 90 * 1024, `${bytes} bytes: no more is left out than has to be`);
    assert(shared.length <= globs.length, 'no mount for what is not shipped');
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['files_too_many'],
    );
  });

  it('a count of globs that is too high is said in the same words', () => {
    const containers = Array.from({ length: 100 }, (_, i) => container(`c${i}`));
    const { globs, findings } = plan('/l/log/a,/l/log/b,/l/log/c', containers);
    assert.equal(globs.length, 256);
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['files_too_many'],
    );
  });

  it('a volume of the user hides nothing new', () => {
    const app = container('a', { name: 'v', mountPath: '/app' });
    assert.deepEqual(plan('/app/*.log', [app], [EMPTY]).findings, []);
  });

  it('refuses volumes that never hold logs, and subPathExpr', () => {
    for (const volume of [
      { name: 'v', secret: {} },
      { name: 'v', configMap: {} },
      { name: 'v', projected: {} },
      { name: 'other', emptyDir: {} },
    ]) {
      const { globs, mounts, findings } = plan('/x/y/*', [container('a', { name: 'v', mountPath: '/x' })], [volume]);
      assert.deepEqual([globs, mounts], [[], []]);
      assert.deepEqual(
        findings.map((f) => f.code),
        ['mount_refused'],
      );
    }
  });

  const POD_NAME = { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } };
  /** Expression, env of the container, and the expression with which ours mounts the same part; undefined: refused. */
  const EXPRESSIONS: readonly (readonly [string, string, readonly JsonObject[], string | undefined])[] = [
    ["the pod's name", '$(NAME)', [POD_NAME], '$(POD_NAME)'],
    [
      'fields and text',
      'logs/$(NS)-$(NAME)/$(NODE)/$(UID)',
      [
        POD_NAME,
        { name: 'NS', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
        { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
        { name: 'UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
      ],
      'logs/$(POD_NAMESPACE)-$(POD_NAME)/$(NODE_NAME)/$(POD_UID)',
    ],
    ['a plain value', '$(A)', [{ name: 'A', value: 'a' }], 'a'],
    [
      'the last of two',
      '$(A)',
      [
        { name: 'A', value: 'a' },
        { name: 'A', value: 'b' },
      ],
      'b',
    ],
    ['an escaped dollar sign', '$$(A)', [], '$$(A)'],
    ['no variable at all', 'plain', [], 'plain'],
    ['an unknown variable', '$(A)', [], undefined],
    [
      'a value out of a Secret',
      '$(A)',
      [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }],
      undefined,
    ],
    ['a value that is an expression', '$(A)', [{ name: 'A', value: '$(B)' }], undefined],
    ['another field', '$(IP)', [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }], undefined],
  ];
  for (const [name, subPathExpr, env, want] of EXPRESSIONS) {
    it(`subPathExpr: ${name}`, () => {
      const app = { ...container('a', { name: 'v', mountPath: '/x', subPathExpr }), env };
      const { mounts, findings } = plan('/x/y/*', [app], [EMPTY]);
      if (want === undefined) {
        assert.deepEqual([mounts, findings.map((f) => f.code)], [[], ['mount_refused']]);
        return;
      }
      const part = { subPath: undefined, subPathExpr: want };
      assert.deepEqual([mounts, findings], [[{ volume: 'v', path: '/logtender/logs/a/x', part }], []]);
    });
  }

  it('the container that writes gives its files their name, not one that mounts the volume for reading', () => {
    const reader = { name: 'r', volumeMounts: [{ name: 'v', mountPath: '/x', readOnly: true }] };
    const { globs, sources } = plan('/x/*', [reader, container('w', { name: 'v', mountPath: '/x' })], [EMPTY]);
    assert.deepEqual(
      globs.map((glob) => glob.container),
      ['w'],
    );
    assert.deepEqual(
      sources.map(({ name }) => name),
      ['w'],
    );
  });

  it('a mount that is for reading alone is read all the same: its files come from elsewhere', () => {
    const reader = { name: 'r', volumeMounts: [{ name: 'v', mountPath: '/x', readOnly: true }] };
    assert.equal(plan('/x/*', [reader], [EMPTY]).globs.length, 1);
  });

  const LIVES: readonly (readonly [string, JsonObject, readonly string[]])[] = [
    ['emptyDir', { emptyDir: {} }, []],
    ['ephemeral', { ephemeral: {} }, []],
    ['csi', { csi: { driver: 'd' } }, []],
    [
      'persistentVolumeClaim for reading',
      { persistentVolumeClaim: { claimName: 'c', readOnly: true } },
      ['persistent_volume'],
    ],
    ['hostPath', { hostPath: { path: '/logs' } }, ['persistent_volume']],
    ['nfs', { nfs: { server: 's', path: '/' } }, ['persistent_volume']],
  ];
  for (const [name, source, want] of LIVES) {
    it(`${name}: ${want.length === 0 ? 'ends with the pod' : 'says that positions do not outlive the pod'}`, () => {
      const app = container('a', { name: 'v', mountPath: '/x' });
      const { findings, globs } = plan('/x/*', [app], [{ name: 'v', ...source }]);
      assert.deepEqual([globs.length, findings.map((f) => f.code)], [1, want]);
    });
  }

  it('says what it does not see', () => {
    const app = container('a', { name: 'v', mountPath: '/x/log/z' });
    assert.deepEqual(
      plan('/x/log/**/*.log', [app], [EMPTY]).findings.map((f) => f.code),
      ['mount_below_not_seen'],
    );
    assert.deepEqual(
      plan('/x/log/*.log', [app], [EMPTY]).findings,
      [],
      'a glob that does not look below needs no warning',
    );
    /** Mount of one file or directory, glob, and whether the glob may mean it. */
    const below: readonly (readonly [string, string, boolean])[] = [
      ['/x/log/a.log', '/x/log/*.log', true],
      ['/x/log/a.log', '/x/log/a.log', true],
      ['/x/log/a.log', '/x/log/*', true],
      ['/x/log/a.log', '/x/log/a?[kl]*', true],
      ['/x/log/a.log', '/x/log/b*.log', false],
      ['/x/log/a.log', '/x/log/*.txt', false],
      ['/x/log/a.log', '/x/log/b.log', false],
      ['/x/log/z/a.log', '/x/log/*.log', false],
      ['/x/log/z/a.log', '/x/log/*/*.log', true],
      ['/x/log/z', '/x/log/*/*.log', true],
    ];
    for (const [mountPath, glob, isSaid] of below) {
      const found = plan(glob, [container('a', { name: 'v', mountPath, subPath: 's' })], [EMPTY]).findings;
      assert.deepEqual(
        found.map((f) => f.code),
        isSaid ? ['mount_below_not_seen'] : [],
        `${mountPath} ${glob}`,
      );
    }
    const claim = { name: 'v', persistentVolumeClaim: { claimName: 'c' } };
    assert.deepEqual(
      plan('/x/log/z/*.log', [app], [claim]).findings.map((f) => f.code),
      [],
    );
  });
});
