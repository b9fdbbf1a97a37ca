/**
 * Who keeps the positions of a shared volume: real files, a clock that the test moves.
 */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { silentLog } from '../../../src/core/log.ts';
import { BEAT_MS, LOOK_MS, OLD_MS, PositionClaim, SETTLE_MS, STALE_MS } from '../../../src/pipeline/position-claim.ts';
import type { Taken } from '../../../src/pipeline/position-claim.ts';
import { VirtualClock } from '../../fakes/virtual-clock.ts';

const NEVER = new AbortController().signal;
const BYTES = Buffer.from('x');

/** One pod that wants the positions. */
class Pod {
  readonly claim: PositionClaim;
  readonly reasons = new Set<string>();
  losses = 0;
  taken: Taken | undefined;

  constructor(folder: string, name: string, clock: VirtualClock, uid = `uid of ${name}`) {
    this.claim = new PositionClaim({ folder, pod: name, uid, clock, log: silentLog });
  }

  async take(signal = NEVER): Promise<void> {
    this.taken = await this.claim.take(
      signal,
      (reason) => this.reasons.add(reason),
      () => (this.losses += 1),
    );
  }

  write(): Promise<void> {
    return this.claim.files().replace('checkpoint', BYTES);
  }
}

describe('claim of positions', () => {
  let root: string;
  let folder: string;
  let clock: VirtualClock;
  let pods: Pod[];

  const pod = (name: string, on = clock, uid?: string): Pod => {
    const made = new Pod(folder, name, on, uid);
    pods.push(made);
    return made;
  };
  const claimFile = (): string => join(folder, 'claim');
  /** The holder touches, the others look: each step waits until all of them sleep. */
  const settled = async (waiting: Promise<void>): Promise<void> => {
    const end = performance.now() + 5_000;
    let isDone = false;
    void waiting.then(() => (isDone = true));
    while (!isDone) {
      assert(performance.now() < end, 'it is taken');
      await clock.advance(LOOK_MS / 2, 0);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'logtender-claim-'));
    folder = join(root, '.logtender', 'web');
    clock = new VirtualClock(Date.now());
    pods = [];
  });
  afterEach(async () => {
    for (const { claim } of pods) await claim.files().close();
    rmSync(root, { recursive: true });
  });

  it('is taken at once where nobody has it, and given back at the end', async () => {
    const a = pod('a');
    await a.take();
    assert.equal(a.taken?.kind, 'held');
    await a.write();
    assert.equal(readFileSync(join(folder, 'checkpoint'), 'utf8'), 'x');
    await a.claim.files().close();
    assert.equal(existsSync(claimFile()), false);
    await pod('b').take();
  });

  it('has one holder of two that ask at the same moment', async () => {
    const [a, b] = [pod('a'), pod('b')];
    const over = new AbortController();
    const both = Promise.all([a.take(over.signal), b.take(over.signal)]);
    await clock.quiet(2);
    over.abort();
    await both;
    assert.deepEqual([a.taken?.kind, b.taken?.kind].toSorted(), ['ended', 'held']);
  });

  it('is waited for as long as its holder lives, and taken when it ends', async () => {
    const [a, b] = [pod('a'), pod('b')];
    await a.take();
    const waiting = b.take();
    await clock.advance(4 * OLD_MS, 2);
    assert.equal(b.taken, undefined);
    assert.deepEqual([...b.reasons], ['pod a ships the files of this volume and keeps their positions']);
    await a.write();
    await a.claim.files().close();
    await clock.quiet(1);
    await settled(waiting);
    assert.deepEqual(b.taken, { kind: 'held' });
    assert.deepEqual([a.losses, a.claim.isLost], [0, false]);
  });

  it('of a holder that was killed is taken when it is stale; one that only stood still writes nothing more', async () => {
    const standing = new VirtualClock(Date.now());
    const a = pod('a', standing);
    await a.take();
    const b = pod('b');
    const waiting = b.take();
    await clock.advance(STALE_MS - LOOK_MS, 1);
    assert.equal(b.taken, undefined);
    await clock.advance(2 * LOOK_MS + SETTLE_MS, 1);
    await waiting;
    assert.deepEqual(b.taken, { kind: 'held' });
    await b.write();
    // It wakes up: the first thing it does is to look.
    await standing.advance(BEAT_MS, 0);
    for (let turn = 0; a.losses === 0 && turn < 1_000; turn += 1)
      await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(a.losses, 1);
    await assert.rejects(a.write(), /another pod took the positions over/);
    await a.claim.files().close();
    assert.equal(existsSync(claimFile()), true, 'what it gives back is not another one');
  });

  it('is looked at before a write by a holder that could not touch it for long', async () => {
    const standing = new VirtualClock(Date.now());
    const a = pod('a', standing);
    await a.take();
    writeFileSync(claimFile(), JSON.stringify({ pod: 'b', uid: 'uid of b' }));
    await a.write();
    const late = a.claim.files();
    // Its beat is asleep while the clock jumps over it, as it is in a process that stands still.
    const jumped = standing.monotonic.bind(standing);
    standing.monotonic = () => jumped() + STALE_MS;
    await assert.rejects(late.append('checkpoint-1.log', BYTES), /another pod took/);
  });

  it('that nobody touched for minutes is taken without watching it, for pods that live shortly', async () => {
    await pod('a', new VirtualClock(Date.now())).take();
    const long = (clock.now() - OLD_MS) / 1000;
    utimesSync(claimFile(), long, long);
    const b = pod('b');
    const waiting = b.take();
    await clock.advance(SETTLE_MS, 1);
    await waiting;
    assert.deepEqual(b.taken, { kind: 'held' });
  });

  it('is taken at once by the same pod, and by the next body of a pod that keeps its name', async () => {
    for (const uid of ['first', 'first', 'second']) {
      const body = pod('web-0', new VirtualClock(Date.now()), uid);
      await body.take();
      assert.deepEqual(body.taken, { kind: 'held' });
    }
  });

  it('that is torn is nobody’s, and grows stale', async () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(claimFile(), '{"pod":"a","ui');
    const b = pod('b');
    const waiting = b.take();
    await clock.advance(STALE_MS + LOOK_MS + SETTLE_MS, 1);
    await waiting;
    assert.deepEqual(b.taken, { kind: 'held' });
  });

  it('is refused where a file stands in the way, or a link', async () => {
    writeFileSync(join(root, '.logtender'), '');
    const a = pod('a');
    await a.take();
    assert.equal(a.taken?.kind, 'refused');
    rmSync(join(root, '.logtender'));
    mkdirSync(join(root, 'elsewhere'));
    symlinkSync(join(root, 'elsewhere'), join(root, '.logtender'));
    const b = pod('b');
    await b.take();
    assert.equal(b.taken?.kind, 'refused');
    pods = [];
  });

  it('is not waited for after the end', async () => {
    await pod('a').take();
    const over = new AbortController();
    const b = pod('b');
    const waiting = b.take(over.signal);
    await clock.quiet(2);
    over.abort();
    await waiting;
    assert.deepEqual(b.taken, { kind: 'ended' });
  });
});
