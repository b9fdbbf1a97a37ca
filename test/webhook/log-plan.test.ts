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
    assert.deepEqual(mounts, [{ volume: 'v', subPath: 's', path: '/logtender/logs/a/srv' }]);
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
    ['/srv/applogs/*', []],
    ['/var/log/*.log', []],
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
    const expression = container('a', { name: 'v', mountPath: '/x', subPathExpr: '$(A)' });
    assert.deepEqual(
      plan('/x/y/*', [expression], [EMPTY]).findings.map((f) => f.code),
      ['mount_refused'],
    );
  });

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
    const claim = { name: 'v', persistentVolumeClaim: { claimName: 'c' } };
    assert.deepEqual(
      plan('/x/log/z/*.log', [app], [claim]).findings.map((f) => f.code),
      ['persistent_volume'],
    );
  });
});
