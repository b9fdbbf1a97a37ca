/**
 * The follower and its requests against a strict `pods/log` over TLS: refusals, cuts at every byte, dead connections, restarts, back-off,
 * rotations, and the kubelet's own words. Waits are a thousandth of the real ones.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { systemClock } from '../../../../src/core/clock.ts';
import type { Clock } from '../../../../src/core/clock.ts';
import { createLog } from '../../../../src/core/log.ts';
import { createMetrics } from '../../../../src/core/metrics.ts';
import { ContainerLog } from '../../../../src/source/pod-log/container-log.ts';
import { createOpenLog } from '../../../../src/source/pod-log/log-request.ts';
import { SeenLines } from '../../../../src/source/pod-log/seen-lines.ts';
import { SpillLog } from '../../../../src/source/pod-log/spill-log.ts';
import { PodLogServer } from '../../../fakes/pod-log-server.ts';

const HURRY = 1_000;
/** Bytes from one cut to the next: no divisor of a line's length. `CUT_STEP=1` for each byte. */
const CUT_STEP = Number(process.env['CUT_STEP'] ?? 3);
const clock: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(Math.ceil(ms / HURRY), signal) };
/** Of line `n`: six in a second, two in each nanosecond. */
const time = (n: number): string =>
  `2026-11-28T10:00:${String(Math.floor(n / 6)).padStart(2, '0')}.${String(Math.floor(n / 2)).padStart(9, '0')}Z`;

describe('following pods/log', () => {
  let folder: string;
  let server: PodLogServer;
  let metrics: ReturnType<typeof createMetrics>;
  let asking: ReturnType<typeof createOpenLog>;
  let follower: ContainerLog;
  let spill: SpillLog;
  let done: Promise<void>;
  let told: string;
  let first: string | undefined;

  const start = (idleMs = 60_000): void => {
    spill = new SpillLog({ folder });
    const seen = new SeenLines();
    for (const line of spill.open().lines) seen.note(line);
    follower = new ContainerLog({
      ...{ container: 'app', open: asking.open, spill, seen, first, clock, random: () => 0.5, metrics, idleMs },
      keepFirst: (text) => (first = text === '' ? undefined : text),
      log: createLog({ clock, level: 'debug', write: (line) => (told += line) }),
    });
    done = follower.run();
  };
  const stop = async (): Promise<void> => {
    follower.stop();
    await done;
    spill.close();
  };
  const texts = (): string[] =>
    readdirSync(folder)
      .filter((name) => name.startsWith('stdio.log'))
      .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
      .map((line) => line.split(' ').slice(3).join(' '));
  const until = async (what: string, isSo: () => boolean): Promise<void> => {
    for (let turn = 0; turn < 10_000; turn += 1) {
      if (isSo()) return;
      await systemClock.sleep(2);
    }
    assert.fail(`expected ${what}, got ${JSON.stringify(texts())}, ${server.requests.length} requests, told: ${told}`);
  };
  const gaps = (): number =>
    ['missed', 'rotated'].reduce(
      (sum, kind) => sum + metrics.counter('logtender_stdio_gaps_total', '').value({ kind }),
      0,
    );

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'logtender-follow-'));
    server = new PodLogServer();
    await server.listen();
    writeFileSync(join(folder, 'token'), 'first\n');
    writeFileSync(join(folder, 'ca.crt'), server.ca);
    asking = createOpenLog({ url: server.url, tokenDir: folder, namespace: server.namespace, pod: server.pod });
    metrics = createMetrics();
    told = '';
    first = undefined;
  });
  afterEach(async () => {
    await stop();
    asking.close();
    await server.close();
    rmSync(folder, { recursive: true });
    assert.deepEqual(server.mistakes, []);
  });

  it('takes refusals for what they are, says the server’s words, and goes on when they end', async () => {
    const table = [
      [401, 'Unauthorized', true],
      [403, 'pods "web" is forbidden', true],
      [404, 'pods "web" not found', false],
      [400, 'container "app" in pod "web" is waiting to start: ContainerCreating', false],
      [410, 'Gone', true],
      [429, 'too many requests', true],
      [500, 'Get "https://10.0.0.1:10250/containerLogs": dial tcp: connection refused', true],
      [503, 'apiserver is shutting down', true],
    ] as const;
    server.print(time(0), 'one');
    server.fault = () => ({ status: table[0][0], message: table[0][1] });
    start();
    for (const [status, message, isTold] of table) {
      const asked = server.requests.length;
      server.fault = () => ({ status, message });
      await until(`an answer to ${status}`, () => server.requests.length > asked + 1);
      if (isTold) await until(`the words of ${status}`, () => follower.problem?.includes(message) === true);
      else await until('no problem', () => follower.problem === undefined);
    }
    server.fault = () => undefined;
    await until('the line', () => texts().length === 1);
    assert.equal(follower.problem, undefined);
    assert.equal(gaps(), 0);
  });

  it('brings each line once wherever a follow is cut, equal lines of one nanosecond included', async () => {
    const written: string[] = [];
    const print = (text: string): void => {
      server.print(time(written.length), text);
      written.push(text);
    };
    for (let n = 0; n < 4; n += 1) print(n % 2 === 0 ? 'same' : `line ${n} é`);
    const bytes = written.length * 40;
    let cutAfter = 0;
    server.fault = ({ follow }) => {
      if (!follow || cutAfter >= bytes) return undefined;
      cutAfter += CUT_STEP;
      if (cutAfter % (20 * CUT_STEP) === 0) print('same');
      return { cutAfter };
    };
    start();
    await until('all lines', () => cutAfter >= bytes && texts().length === written.length);
    await until('a follow that stands', () => server.follows > bytes / CUT_STEP);
    assert.deepEqual(texts().toSorted(), written.toSorted());
    assert.equal(gaps(), 0);
  }).timeout(30_000);

  it('opens a follow anew that says nothing although the connection stands, and one that is never answered', async () => {
    for (const fault of ['silent', 'mute'] as const) {
      const asked = server.follows;
      server.fault = ({ follow }) => (follow && server.follows === asked + 1 ? fault : undefined);
      start(40);
      await until('a follow', () => server.follows > asked);
      server.print(time(texts().length), fault);
      await until('the line', () => texts().includes(fault));
      await stop();
    }
    assert.equal(gaps(), 0);
  });

  it('fetches what a start left when the next one is there already', async () => {
    server.print(time(0), 'one');
    start();
    await until('the line', () => texts().length === 1);
    await stop();
    server.print(time(1), 'last words');
    server.end();
    server.start();
    server.print(time(2), 'two');
    start();
    await until('all lines', () => texts().length === 3);
    assert.deepEqual(texts(), ['one', 'last words', 'two']);
    assert.equal(gaps(), 0);
  });

  it('brings nothing twice in the back-off of a crash loop, where current and previous are one', async () => {
    start(30);
    for (let crash = 0; crash < 3; crash += 1) {
      server.print(time(2 * crash), `start ${crash}`);
      server.print(time(2 * crash + 1), 'crash');
      server.end();
      const asked = server.follows;
      await until('some looks at what is over', () => server.follows >= asked + 3);
      server.start();
      const before = server.follows;
      await until('a look at what has begun', () => server.follows > before + 1);
    }
    server.print(time(6), 'well');
    await until('the last line', () => texts().includes('well'));
    assert.deepEqual(texts(), ['start 0', 'crash', 'start 1', 'crash', 'start 2', 'crash', 'well']);
    assert.equal(gaps(), 0);
  });

  it('takes the words of the kubelet for no log: no line, no gap, and asks again soon', async () => {
    server.print(time(0), 'one');
    start();
    await until('the line', () => texts().length === 1);
    const words = 'unable to retrieve container logs for containerd://6e2396b58f81ea5e';
    server.fault = () => ({ words });
    server.end();
    server.start();
    await until('the words', () => follower.problem?.includes(words) === true);
    const asked = server.requests.length;
    await until('more requests', () => server.requests.length > asked + 12);
    server.fault = ({ follow }) =>
      follow ? { words: 'failed to create fsnotify watcher: too many open files' } : undefined;
    await until('the other words', () => follower.problem?.includes('fsnotify') === true);
    server.fault = () => undefined;
    server.print(time(1), 'two');
    await until('the second line', () => texts().length === 2);
    assert.deepEqual(texts(), ['one', 'two']);
    assert.equal(gaps(), 0);
    assert.equal(follower.problem, undefined);
  });

  it('goes on soon after a connection that was ended in order, however quiet the container is', async () => {
    server.fault = ({ follow }) => (follow && server.follows <= 4 ? 'ended' : undefined);
    start();
    await until('a follow that stands', () => server.follows > 4);
    server.print(time(0), 'one');
    await until('the line', () => texts().length === 1);
    assert.equal(gaps(), 0);
  });

  it('tells of a rotation in the middle of a stream, and of none where a log is quiet', async () => {
    start(30);
    server.print(time(0), 'one');
    const asked = server.follows;
    await until('some follows of a quiet log', () => server.follows > asked + 4);
    assert.equal(gaps(), 0);
    server.rotate();
    server.print(time(2), 'two');
    await until('both lines', () => texts().length === 2);
    await until('a gap', () => gaps() === 1);
    assert.match(told, /rotated/);
    const asked2 = server.follows;
    await until('some follows more', () => server.follows > asked2 + 4);
    assert.equal(gaps(), 1, 'told once');
  });

  for (const [status, message] of [
    [404, 'pods "web" not found'],
    [403, 'pods "web" is forbidden'],
  ] as const)
    it(`the last look does not take the first ${status} of a server that has just started for the end`, async () => {
      const asked = server.requests.length;
      server.fault = () => (server.requests.length > asked + 4 ? undefined : { status, message });
      server.print(time(0), 'one');
      start();
      follower.end();
      await until('the line', () => texts().length === 1);
      await until('the end', () => follower.isDone);
      // For ever it is not asked.
      await stop();
      server.fault = () => ({ status, message });
      start();
      follower.end();
      await until('the end', () => follower.isDone);
    });

  it('reads the token anew for each request', async () => {
    start(30);
    server.token = 'second';
    writeFileSync(join(folder, 'token'), 'second\n');
    server.print(time(0), 'one');
    await until('the line', () => texts().length === 1);
  });
});
