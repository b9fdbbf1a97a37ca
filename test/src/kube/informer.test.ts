/**
 * The informer: a copy that follows, whatever the server does to its list and watch, and that never stops without a word.
 */
import assert from 'node:assert/strict';

import { silentLog } from '../../../src/core/log.ts';
import { failureOf } from '../../../src/kube/client.ts';
import type { KubeClient, WatchEvent } from '../../../src/kube/client.ts';
import { createInformer } from '../../../src/kube/informer.ts';
import type { Informer, InformerOptions } from '../../../src/kube/informer.ts';
import { createFakeKube } from '../../fakes/kube.ts';
import type { FakeKube } from '../../fakes/kube.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

const PATH = '/api/v1/namespaces';

describe('informer', () => {
  let clock = new VirtualClock();
  let kube: FakeKube = createFakeKube();
  let informer: Informer | undefined;
  let changes: string[] = [];

  beforeEach(() => {
    clock = new VirtualClock();
    kube = createFakeKube();
    changes = [];
  });
  afterEach(() => informer?.close());

  function start(client: KubeClient = kube, more: Partial<InformerOptions> = {}): Informer {
    const made = createInformer({ client, clock, random: () => 1, log: silentLog, path: PATH, ...more });
    made.onChange(({ type, object }) => changes.push(`${type} ${object.metadata.name ?? ''}`));
    informer = made;
    return made;
  }

  const create = (name: string): Promise<unknown> =>
    kube.others.create(PATH, { metadata: { name, labels: { a: name } } });
  const names = (): readonly string[] =>
    (informer?.list() ?? []).map((object) => object.metadata.name ?? '').toSorted();
  const calls = (verb: string): number => kube.calls.filter((call) => call.verb === verb).length;

  it('lists, then follows, and tells each change once and in order', async () => {
    await create('a');
    const made = start();
    await made.synced;
    assert.ok(made.hasSynced());
    await clock.quiet(1);
    await create('b');
    await kube.others.update(`${PATH}/a`, { metadata: { name: 'a', labels: { a: 'changed' } } });
    await kube.others.delete(`${PATH}/b`);
    await clock.quiet(1);
    assert.deepEqual(changes, ['added a', 'added b', 'updated a', 'deleted b']);
    assert.equal(made.get('', 'a')?.metadata.labels?.['a'], 'changed');
    assert.equal(made.get('', 'b'), undefined);
  });

  it('keeps only what it is asked to keep', async () => {
    await create('a');
    const made = start(kube, {
      keep: ({ metadata: { name = '', resourceVersion = '' } }) => ({ metadata: { name, resourceVersion } }),
    });
    await made.synced;
    assert.deepEqual(Object.keys(made.list()[0]?.metadata ?? {}), ['name', 'resourceVersion']);
  });

  it('fails to list for a while: tries with growing waits, then syncs', async () => {
    await create('a');
    kube.fail = () => failureOf(503, 'starting');
    const made = start();
    await clock.advance(60_000);
    assert.equal(made.hasSynced(), false);
    assert.ok(calls('list') >= 6 && calls('list') <= 12, `${calls('list')} lists in a minute`);
    kube.fail = () => undefined;
    await clock.advance(15_000);
    assert.deepEqual(names(), ['a']);
  });

  it('honours Retry-After', async () => {
    kube.fail = () => failureOf(429, 'slow down', 20_000);
    start();
    await clock.advance(19_000);
    assert.equal(calls('list'), 1);
    await clock.advance(2_000);
    assert.equal(calls('list'), 2);
  });

  it('refresh: lists anew at once, and tells what the stream had not', async () => {
    await create('a');
    let isDeaf = true;
    const made = start({
      ...kube,
      watch: (path, query, onEvent, signal) =>
        kube.watch(path, query, (event) => (isDeaf ? undefined : onEvent(event)), signal),
    });
    await made.synced;
    await clock.quiet(1);
    await create('b');
    await clock.quiet(1);
    assert.deepEqual(names(), ['a'], 'nobody told');
    isDeaf = false;
    made.refresh();
    await clock.quiet(1);
    assert.deepEqual(names(), ['a', 'b']);
    assert.equal(calls('list'), 2);
    await create('c');
    await clock.quiet(1);
    assert.deepEqual(names(), ['a', 'b', 'c'], 'and it follows again');
  });

  it('410 on the watch: lists anew and tells what it missed', async () => {
    await create('a');
    await create('gone');
    let isGone = true;
    const made = start({
      ...kube,
      watch: (path, query, onEvent, signal) => {
        if (!isGone) return kube.watch(path, query, onEvent, signal);
        isGone = false;
        return Promise.all([create('new'), kube.others.delete(`${PATH}/gone`)]).then(() =>
          failureOf(410, { reason: 'Expired' }),
        );
      },
    });
    await made.synced;
    await clock.advance(1_000);
    assert.deepEqual(names(), ['a', 'new']);
    assert.deepEqual(changes, ['added a', 'added gone', 'deleted gone', 'added new']);
    assert.equal(calls('list'), 2);
  });

  it('a watch that breaks goes on where it was, without a new list', async () => {
    await create('a');
    let breaks = 3;
    kube.before = ({ verb }) => {
      if (verb !== 'watch' || breaks === 0) return;
      breaks -= 1;
      kube.fail = ({ verb: failing }) => (failing === 'watch' && breaks > 0 ? failureOf(500, 'broken') : undefined);
    };
    const made = start();
    await made.synced;
    await create('while-broken');
    await clock.advance(20_000);
    assert.deepEqual(names(), ['a', 'while-broken']);
    assert.equal(calls('list'), 1);
  });

  it('a server that ends every watch at once is not asked without pause', async () => {
    let watches = 0;
    const made = start({
      ...kube,
      watch: async () => {
        watches += 1;
        return { ok: true, value: 'ended' };
      },
    });
    await made.synced;
    await clock.advance(60_000);
    assert.ok(watches <= 12, `${watches} watches in a minute`);
  });

  it('a watch that is silent beyond the idle bound is given up and listed anew', async () => {
    let isDead = true;
    const made = start({
      ...kube,
      watch: (path, query, onEvent, signal) => {
        if (!isDead) return kube.watch(path, query, onEvent, signal);
        isDead = false;
        // A connection that lost its peer: nothing comes, nothing ends but by our own hand.
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve({ ok: true, value: 'ended' })));
      },
    });
    await made.synced;
    await create('unheard');
    await clock.advance(5 * 60_000 - 1_000);
    assert.deepEqual(names(), []);
    assert.ok(made.idleMs() > 4 * 60_000);
    await clock.advance(2_000);
    assert.deepEqual(names(), ['unheard']);
  });

  it('bookmarks move the resume point and count as a sign of life', async () => {
    const resumedAt: string[] = [];
    let emit: ((event: WatchEvent) => void) | undefined;
    let end: (() => void) | undefined;
    const made = start({
      ...kube,
      watch: (_path, query, onEvent, signal) => {
        resumedAt.push(query['resourceVersion'] ?? '');
        emit = onEvent;
        return new Promise((resolve) => {
          end = () => resolve({ ok: true, value: 'ended' });
          signal.addEventListener('abort', end);
        });
      },
    });
    await made.synced;
    for (let minute = 0; minute < 20; minute += 1) {
      await clock.advance(60_000);
      emit?.({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(1_000 + minute) } } });
    }
    assert.equal(calls('list'), 1, 'never idle');
    end?.();
    await clock.quiet(1);
    await clock.advance(1_000);
    assert.deepEqual(resumedAt.slice(-1), ['1019']);
    assert.deepEqual(changes, [], 'a bookmark is no change');
  });

  it('reads every page of a long list', async () => {
    const pages: Record<string, unknown>[] = [];
    const made = start({
      ...kube,
      list: async (_path, query = {}) => {
        pages.push(query);
        const next = query['continue'] === undefined ? 'two' : '';
        return {
          ok: true,
          value: {
            items: [{ metadata: { name: next === '' ? 'b' : 'a', resourceVersion: '1' } }],
            resourceVersion: '7',
            next,
          },
        };
      },
    });
    await made.synced;
    assert.deepEqual(names(), ['a', 'b']);
    assert.deepEqual(
      pages.map((page) => page['continue']),
      [undefined, 'two'],
    );
  });

  it('closed before it could sync it resolves all the same', async () => {
    kube.fail = () => failureOf(503, 'never');
    const made = start();
    await clock.quiet(1);
    await made.close();
    await made.synced;
    assert.equal(made.hasSynced(), false);
  });
});
