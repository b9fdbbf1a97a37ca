/**
 * The forwarder against random lives of log files: written, rotated, copied and truncated, deleted, while the process is killed, the
 * power is cut and the sink fails. Real files, a clock that the test moves, a state folder and a destination in memory. In half of the worlds
 * one of two logs lies on a volume that keeps its positions: other pods come and go there, and the pod itself may be replaced.
 *
 * Oracle: every token that was written arrives exactly once and in order; allowed to be missing is only what was cut off or deleted
 * before it was acknowledged where nobody could have read it; twice may come only a short copy whose original was deleted. A line that a
 * rotation tore comes as one record. `TEST_SEED` repeats a run, `MODEL_SEQUENCES` makes it longer, `MODEL_SHAPE` names the only shape.
 */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { PLAIN_RULES } from '../../src/config/record-rules.ts';
import type { RecordRules } from '../../src/config/record-rules.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { Forwarder } from '../../src/pipeline/forwarder.ts';
import { REST_RULE } from '../../src/source/descriptors.ts';
import type { RestRule } from '../../src/source/descriptors.ts';
import { FakeFolderWatches } from '../fakes/folder-watches.ts';
import { MemoryDisk } from '../fakes/memory-state-files.ts';
import { whileTimePasses } from '../fakes/passing-time.ts';
import { seededRandom, testSeed } from '../fakes/seeded-random.ts';
import type { SeededRandom } from '../fakes/seeded-random.ts';
import { FakeDestination, fakeSink, UNREACHABLE } from '../fakes/sink.ts';
import type { StoredRecord } from '../fakes/sink.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { skip } from '../skip.ts';

const SEQUENCES = Number(process.env['MODEL_SEQUENCES'] ?? 400);
const STEPS = 40;
const PATHS = ['a.log', 'b.log'];
const ROTATIONS_MAX = 4;
/** Some apps begin each file with the byte order mark of UTF-8. */
const MARK = '\u{feff}';
const VOLUME = '/log/.logtender/web';
const BANNER = `${'='.repeat(1_100)}\n`;

/** Of the shapes below; undefined: all. */
const SHAPE = process.env['MODEL_SHAPE'];

/** How lines become records in a world, and what the app writes so that it matters. */
interface Shape {
  readonly name: string;
  readonly rules: RecordRules;
  /** What stands before a token. */
  readonly prefix: (random: SeededRandom) => string;
}

const CRI_TIME = '2026-11-28T00:00:00.000000000Z';
/** Tokens with so many filler bytes are excluded. */
const EXCLUDED = /^<[ab]\d+:x{7}>$/;

const SHAPES: readonly Shape[] = [
  { name: 'lines', rules: PLAIN_RULES, prefix: () => '' },
  {
    name: 'records of several lines',
    rules: { ...PLAIN_RULES, multiline: { start: '^<' } },
    prefix: (random) => (random.below(2) === 0 ? '| ' : ''),
  },
  {
    name: 'stack traces',
    rules: { ...PLAIN_RULES, multiline: { presets: ['java', 'python'] } },
    prefix: (random) => ['', 'java.lang.Error: ', '\tat ', '  at '][random.below(4)] ?? '',
  },
  {
    name: 'container runtime',
    rules: { ...PLAIN_RULES, parser: 'cri', multiline: { presets: ['java'] } },
    prefix: (random) => {
      const tag = random.below(3) === 0 ? 'P' : 'F';
      const trace = ['', '', 'java.lang.Error: ', '\tat '][random.below(4)] ?? '';
      return `${CRI_TIME} ${random.below(2) === 0 ? 'stdout' : 'stderr'} ${tag} ${trace}`;
    },
  },
  {
    name: 'container runtime, whole lines mostly',
    rules: { ...PLAIN_RULES, parser: 'cri' },
    prefix: (random) =>
      `${CRI_TIME} ${['stdout', 'stderr', '-'][random.below(3)] ?? ''} ${random.below(6) === 0 ? 'P' : 'F'} `,
  },
  {
    name: 'filters',
    rules: { ...PLAIN_RULES, exclude: [':x{7}>$'], redact: ['x{3,}'] },
    prefix: () => '',
  },
];

/** A line of which the runtime wrote the beginning into one file and the end into the next. */
interface Tear {
  readonly pieces: readonly [Token, Token];
  readonly files: readonly object[];
  /** It need not be joined: something was done to its files that no runtime does. */
  excused: boolean;
}

interface Token {
  readonly name: string;
  /** Which file it stands in now. */
  file: object | undefined;
  /** May be missing: nobody could have read it. */
  excused: boolean;
  /** Written before a power cut that is known as one: it may come again under another id, and is counted then. */
  mayRepeatCounted: boolean;
  /** The files that it was copied out of; when one is deleted a short copy may count as a file of its own. */
  readonly originals: Set<object>;
  mayRepeat: boolean;
  /** Written behind the back of a newer file: its place in the order is not promised. */
  late: boolean;
  /** A newline follows it. */
  readonly isWhole: boolean;
  /** Alone on its line, and one that a filter drops. */
  isExcluded: boolean;
}

/** One file as the app knows it. */
interface AppFile {
  readonly path: string;
  tokens: Token[];
  /** Everything before the last newline, as a count of tokens. */
  isOpenLine: boolean;
}

class World {
  readonly random: SeededRandom;
  readonly folder = mkdtempSync(join(tmpdir(), 'logtender-model-'));
  readonly clock = new VirtualClock();
  /** The pod's own. */
  disk = new MemoryDisk();
  /** Keeps the positions of `b.log`, if it is there. */
  readonly volume: MemoryDisk | undefined;
  readonly destinations: FakeDestination[];
  readonly shape: Shape;
  readonly tokens: Token[] = [];
  readonly tears: Tear[] = [];
  readonly log: string[] = [];
  readonly files = new Map<string, AppFile>();
  forwarder: Forwarder | undefined;
  /** The volume is its own. */
  isJoined = false;
  /** After a power cut the hash of what was sent last may be missing: a log that begins anew with the same kilobyte is not told apart. */
  isPowerCut = false;
  /** When live files are closed: seldom as shipped, mostly as soon as may be. */
  readonly rest: RestRule;
  /** In half of the worlds folders are watched: what is told is true, false, late or not told at all. */
  watches: FakeFolderWatches | undefined;
  readonly #isWatched: boolean;
  readonly #births = new Set<string>();
  /** First letters of the paths of which a file was cut off or deleted that a container runtime's line may have gone over from. */
  readonly #loose = new Set<string>();
  /** When the app last cut off or deleted a file. */
  #changedNs = 0n;
  /** Where boots are told apart, known files go on under new ids after a power cut: what is sent again is then counted, not recognised. */
  readonly knowsBoots: boolean;
  /** Of the machine: a power cut is followed by another one, a crash is not. */
  #boot = 1;
  #life = 0;
  #pod = 1;
  /** Of each sink: what the volume's books said when it was last let go of. */
  #booked: readonly Settled[] = [];
  #serial = 0;
  #starts = 0;
  /** By destination: what the books of this pod said last of what may be there twice, and those of the pods before it, which are gone. */
  #repeats: readonly number[] = [];
  readonly repeatsOfOthers: number[] = [];

  constructor(seed: number) {
    this.random = seededRandom(seed);
    const shapes = SHAPES.filter(({ name }) => SHAPE === undefined || name === SHAPE);
    this.shape = shapes[this.random.below(shapes.length)] ?? { name: 'lines', rules: PLAIN_RULES, prefix: () => '' };
    this.note(this.shape.name);
    this.knowsBoots = this.random.below(2) === 0;
    this.rest = this.random.below(4) === 0 ? REST_RULE : { openFiles: this.random.below(3), quietMs: 200 };
    this.#isWatched = this.random.below(2) === 0;
    this.volume = this.random.below(2) === 0 ? new MemoryDisk() : undefined;
    this.destinations =
      this.random.below(4) === 0 ? [new FakeDestination(), new FakeDestination()] : [new FakeDestination()];
  }

  note(text: string): void {
    this.log.push(text);
  }

  async start(): Promise<void> {
    this.note('start');
    this.#life += 1;
    this.#starts += 1;
    const life = this.#life;
    this.isPowerCut = false;
    this.watches = this.#isWatched ? new FakeFolderWatches() : undefined;
    const isAlive = (): boolean => life === this.#life;
    const names = ['elasticsearch', 'console'] as const;
    const all = { container: 'app', path: '/log/*.log', directory: '/log', mount: this.folder };
    const parts = [
      { ...all, path: '/log/a.log' },
      { ...all, path: '/log/b.log', positions: VOLUME },
    ];
    this.forwarder = await Forwarder.open({
      files: this.volume === undefined ? [all] : parts,
      sinks: names.slice(0, this.destinations.length),
      uid: `pod-uid-${this.#pod}`,
      epoch: `epoch-${this.#starts}`,
      flushIntervalMs: 100,
      rules: this.shape.rules,
      stateFiles: this.disk.mount(isAlive),
      clock: this.clock,
      random: () => this.random.next(),
      log: silentLog,
      metrics: createMetrics(),
      watch: this.watches !== undefined,
      watchFolder: this.watches?.watchFolder,
      rest: this.rest,
      bootId: this.knowsBoots ? `boot-${this.#boot}` : undefined,
    });
    for (const [i, destination] of this.destinations.entries()) {
      const name = names[i] ?? 'console';
      this.forwarder.attach(fakeSink({ destination, name, recordsMax: 1 + this.random.below(8), isAlive }));
    }
    if (this.random.below(2) === 0) await this.join();
  }

  /** Nobody else has the volume. */
  async join(): Promise<void> {
    const { forwarder, volume } = this;
    if (volume === undefined || forwarder === undefined || this.isJoined) return;
    this.note('join');
    const life = this.#life;
    const before = settledOf(forwarder);
    const ownBefore = settledOfSource(forwarder, '/log/a.log');
    this.isJoined = true;
    assert.equal(
      await forwarder.join(
        VOLUME,
        volume.mount(() => life === this.#life),
      ),
      undefined,
    );
    // The last acknowledgements may not be saved: then it is less than it was, and never more, however often it is taken up.
    // What the pod's own file got settled meanwhile (a request that was given up) did not come with the volume.
    const own = difference(settledOfSource(forwarder, '/log/a.log'), ownBefore);
    const brought = difference(difference(settledOf(forwarder), before), own);
    for (const [i, { delivered, dropped }] of brought.entries()) {
      const booked = this.#booked[i] ?? { delivered: 0, dropped: 0 };
      assert(delivered <= booked.delivered && dropped <= booked.dropped, 'no account is doubled');
    }
  }

  /** Another pod took the volume over, and gives it back some time. */
  leave(): void {
    const { forwarder } = this;
    if (forwarder === undefined || !this.isJoined) return;
    this.note('leave');
    if (this.#isUnsaved()) this.#mayRepeat('b');
    this.#letGo(forwarder);
    this.#excuseUnseen('b');
  }

  #letGo(forwarder: Forwarder): void {
    if (!this.isJoined) return;
    const before = settledOf(forwarder);
    forwarder.leave(VOLUME);
    this.#booked = difference(before, settledOf(forwarder));
    this.isJoined = false;
  }

  /** The pod is gone, and with it its disk and what lay there; another one has the volume. */
  replacePod(): void {
    this.crash(false);
    if (this.volume === undefined) return;
    this.note('another pod');
    for (const [i, booked] of this.#repeats.entries())
      this.repeatsOfOthers[i] = (this.repeatsOfOthers[i] ?? 0) + booked;
    this.#repeats = [];
    this.#pod += 1;
    this.disk = new MemoryDisk();
    for (const path of [...this.files.keys()]) if (path.startsWith('a')) this.remove(path, false);
  }

  #isUnsaved(): boolean {
    return this.forwarder?.problems()['positions'] !== undefined;
  }

  #mayRepeat(prefix: string): void {
    for (const token of this.tokens) if (token.name.startsWith(prefix)) token.mayRepeat = true;
    for (const tear of this.tears) if (tear.pieces[0].name.startsWith(prefix)) tear.excused = true;
  }

  /** Nobody reads on what has no name any more. */
  #excuseUnseen(prefix: string): void {
    const visible = new Set<object>(this.files.values());
    for (const token of this.tokens)
      if (token.name.startsWith(prefix) && (token.file === undefined || !visible.has(token.file)))
        this.#excuseUnlessStored(token);
  }

  /** The process is gone without a word; what it held open is closed by the system. */
  crash(cutPower: boolean): void {
    this.note(cutPower ? 'power cut' : 'crash');
    // What could not be saved is not known after it: the lines come again, and nobody can have counted them.
    if (this.#isUnsaved()) this.#mayRepeat('');
    this.#life += 1;
    // Of what is gone only the books are looked at: it can write and send nothing any more.
    this.forwarder?.abort();
    if (this.forwarder !== undefined)
      this.#repeats = this.forwarder.summaries().map(({ account }) => account.duplicatesMax);
    if (this.forwarder !== undefined) this.#letGo(this.forwarder);
    this.forwarder = undefined;
    this.isPowerCut = cutPower;
    if (cutPower) this.#boot += 1;
    if (cutPower && this.knowsBoots) for (const token of this.tokens) token.mayRepeatCounted = true;
    if (cutPower)
      for (const disk of [this.disk, this.volume]) disk?.cutPower((unsynced) => this.random.below(unsynced + 1));
    for (const fd of readdirSync('/proc/self/fd')) {
      try {
        if (readlinkSync(`/proc/self/fd/${fd}`).startsWith(this.folder)) closeSync(Number(fd));
      } catch {
        // The listing's own descriptor.
      }
    }
    this.#excuseUnseen('');
  }

  async turns(count: number, stepMs: number): Promise<void> {
    for (let i = 0; i < count && this.forwarder !== undefined; i += 1) {
      this.#tell();
      this.forwarder.turn();
      await this.clock.advance(stepMs, 0);
    }
  }

  #tell(): void {
    const { watches, random } = this;
    if (watches === undefined) return;
    const path = PATHS[random.below(PATHS.length)] ?? '';
    for (let events = random.below(4); events > 0; events -= 1)
      watches.tell(random.below(8) === 0 ? 'rename' : 'change', random.below(8) === 0 ? null : path);
  }

  /** A scan and a look at all: afterwards every file is held open. */
  async look(): Promise<void> {
    await this.clock.advance(1_000, 0);
    await this.turns(1, 1);
  }

  write(path: string, isWhole: boolean): void {
    const file = this.files.get(path) ?? this.#create(path);
    this.#append(path, file, { isWhole, late: false });
  }

  /** The app still has the rotated file open. */
  writeLate(path: string): void {
    const rotated = this.files.get(`${path}.1`);
    if (rotated === undefined) return;
    this.#append(`${path}.1`, rotated, { isWhole: true, late: true });
    this.#excuseTears(rotated);
  }

  /** The runtime goes over to a new file in the middle of a line, or of two. */
  async tear(path: string): Promise<void> {
    if (this.shape.rules.parser !== 'cri') return;
    if (this.files.get(path)?.isOpenLine === true) this.write(path, true);
    const stdios = [['stdout'], ['stderr'], ['stdout', 'stderr'], ['stderr', 'stdout']][this.random.below(4)] ?? [];
    const write = (stdio: string, tag: string): readonly [Token, AppFile] => {
      const file = this.files.get(path) ?? this.#create(path);
      return [this.#append(path, file, { isWhole: true, late: false, header: `${CRI_TIME} ${stdio} ${tag} ` }), file];
    };
    this.note(`tear ${stdios.join(' and ')} of ${path}`);
    // A line that is torn twice needs two files within its length: no runtime has them that small.
    for (const stdio of stdios) write(stdio, 'F');
    const beginnings = stdios.map((stdio) => write(stdio, 'P'));
    // What may come between: nothing, a little time, an end without a word, lines of the other one.
    const between = this.random.below(4);
    this.rotate(path);
    if (between === 1) await this.turns(1 + this.random.below(3), 30);
    if (between === 2 && this.forwarder !== undefined) {
      this.crash(this.random.below(3) === 0);
      await this.start();
    }
    if (between === 3 && stdios.length === 1) write(stdios[0] === 'stdout' ? 'stderr' : 'stdout', 'F');
    const isReversed = this.random.below(2) === 0;
    const order = isReversed ? stdios.toReversed() : stdios;
    // A beginning whose rest was cut off waits for any: it may take this one (docs/records.md).
    const last = this.tears.findLast(({ pieces }) => pieces[0].name.startsWith(path.slice(0, 1)));
    const isLoose = last?.excused === true;
    for (const stdio of order) {
      if (this.random.below(4) === 0) write(stdio, 'P');
      const [rest, file] = write(stdio, 'F');
      const [beginning, older] = beginnings[stdios.indexOf(stdio)] ?? [rest, file];
      this.tears.push({ pieces: [beginning, rest], files: [older, file], excused: isLoose });
    }
  }

  /** What completed a line may be gone with the file: what was sent of the file before comes again under another id, and is counted. */
  #excuseTears(file: AppFile): void {
    for (const tear of this.tears) if (tear.files.includes(file)) tear.excused = true;
    if (this.shape.rules.parser !== 'cri') return;
    const prefix = file.path.slice(0, 1);
    for (const token of this.tokens) if (token.name.startsWith(prefix)) token.mayRepeatCounted = true;
    // What is written from now on may complete a line that such a file began.
    this.#loose.add(prefix);
  }

  rotate(path: string): void {
    if (!this.files.has(path)) return;
    this.#shift(path);
    this.#move(path, `${path}.1`);
  }

  copyTruncate(path: string): void {
    const file = this.files.get(path);
    if (file === undefined || file.tokens.length === 0) return;
    this.#excuseTears(file);
    this.#shift(path);
    const copy = `${path}.1`;
    // Birth times come from a coarse clock: a copy is younger than its original, so try until the file system agrees.
    do {
      rmSync(this.at(copy), { force: true });
      copyFileSync(this.at(path), this.at(copy));
    } while (
      statSync(this.at(copy), { bigint: true }).birthtimeNs <= statSync(this.at(path), { bigint: true }).birthtimeNs
    );
    // An incomplete line was held back: whoever completes it in the copy comes late.
    for (let i = file.tokens.length - 1; i >= 0 && file.tokens[i]?.isWhole === false; i -= 1) {
      const token = file.tokens[i];
      if (token !== undefined) token.late = true;
    }
    const moved: AppFile = { path: copy, tokens: file.tokens, isOpenLine: file.isOpenLine };
    for (const token of moved.tokens) {
      token.file = moved;
      token.originals.add(file);
    }
    this.files.set(copy, moved);
    truncateSync(this.at(path), 0);
    file.tokens = [];
    file.isOpenLine = false;
  }

  truncate(path: string): void {
    const file = this.files.get(path);
    if (file === undefined) return;
    this.#excuseTears(file);
    for (const token of file.tokens) {
      token.file = undefined;
      this.#excuseUnlessStored(token);
    }
    file.tokens = [];
    file.isOpenLine = false;
    truncateSync(this.at(path), 0);
    // A writer that keeps its own offset leaves a hole before what it writes next.
    if (this.random.below(2) === 0) truncateSync(this.at(path), 1 + this.random.below(2_000));
    this.#noteChange();
  }

  /** @param isHeld the forwarder is known to have it open */
  remove(path: string, isHeld: boolean): void {
    const file = this.files.get(path);
    if (file === undefined) return;
    this.#excuseTears(file);
    this.files.delete(path);
    unlinkSync(this.at(path));
    this.#noteChange();
    for (const token of this.tokens) if (token.originals.has(file)) token.mayRepeat = true;
    if (!isHeld || !this.#isRead(path)) for (const token of file.tokens) this.#excuseUnlessStored(token);
  }

  /** Does a forwarder look at it? */
  #isRead(path: string): boolean {
    return this.forwarder !== undefined && (this.volume === undefined || this.isJoined || !path.startsWith('b'));
  }

  #noteChange(): void {
    this.#changedNs = BigInt(Date.now() + 1) * 1_000_000n;
  }

  at(path: string): string {
    return join(this.folder, path);
  }

  /**
   * Birth times come from a coarse clock: an inode that is used again is given another one, and what is made after a change is younger
   * than it, as after any real while.
   */
  #create(path: string): AppFile {
    const file = { path, tokens: [], isOpenLine: false };
    this.files.set(path, file);
    for (;;) {
      writeFileSync(this.at(path), '');
      const { ino, birthtimeNs } = statSync(this.at(path), { bigint: true });
      if (birthtimeNs > this.#changedNs && !this.#births.has(`${ino}:${birthtimeNs}`)) {
        this.#births.add(`${ino}:${birthtimeNs}`);
        return file;
      }
      unlinkSync(this.at(path));
    }
  }

  /** @param how.header what stands before it on its line, where that is not left to chance */
  #append(path: string, file: AppFile, how: { isWhole: boolean; late: boolean; header?: string }): Token {
    const { isWhole, late, header } = how;
    this.#serial += 1;
    // Long lines of one length, one digit apart behind a banner, would be one file by its first kilobyte, its end and its size (docs/records.md).
    const filler = 'x'.repeat(this.random.below(30) === 0 ? 1_500 + this.random.below(500) : this.random.below(40));
    const token: Token = {
      name: `${file.path.slice(0, 1)}${this.#serial}`,
      file,
      excused: false,
      originals: new Set(),
      mayRepeat: false,
      mayRepeatCounted: this.#loose.has(path.slice(0, 1)),
      late,
      isWhole,
      isExcluded: false,
    };
    const text = `<${token.name}:${filler}>`;
    const isFilter = this.shape.rules.exclude.length > 0;
    if (isFilter && EXCLUDED.test(text)) {
      // What stands before it on its line goes with it, what completes the line later saves it: neither is promised.
      for (let i = file.tokens.length - 1; i >= 0 && file.tokens[i]?.isWhole === false; i -= 1) excuse(file.tokens[i]);
      token.excused = true;
      token.isExcluded = isWhole && !file.isOpenLine;
    }
    this.tokens.push(token);
    file.tokens.push(token);
    // Many logs begin with the same banner each time: longer than what identifies a head.
    const isFirst = file.tokens.length === 1 && header === undefined;
    const banner = isFirst && this.random.below(3) === 0 && !this.isPowerCut ? BANNER : '';
    const mark = isFirst && this.random.below(4) === 0 ? MARK : '';
    const prefix = header ?? this.shape.prefix(this.random);
    appendFileSync(this.at(path), `${mark}${banner}${prefix}${text}${isWhole ? '\n' : ''}`);
    file.isOpenLine = !isWhole;
    return token;
  }

  #shift(path: string): void {
    const last = `${path}.${ROTATIONS_MAX}`;
    this.remove(last, false);
    for (let n = ROTATIONS_MAX - 1; n >= 1; n -= 1) this.#move(`${path}.${n}`, `${path}.${n + 1}`);
  }

  #move(from: string, to: string): void {
    const file = this.files.get(from);
    if (file === undefined) return;
    renameSync(this.at(from), this.at(to));
    this.files.set(to, file);
    this.files.delete(from);
  }

  #excuseUnlessStored(token: Token): void {
    const everywhere = this.destinations.every((destination) => destination.texts.join('').includes(`<${token.name}:`));
    if (!everywhere) token.excused = true;
  }

  close(): void {
    this.crash(false);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Bytes that one sink's books have as settled. */
interface Settled {
  readonly delivered: number;
  readonly dropped: number;
}

function settledOf(forwarder: Forwarder): Settled[] {
  return forwarder
    .summaries()
    .map(({ account }) => ({ delivered: account.delivered.bytes, dropped: account.droppedTotal.bytes }));
}

/** The same of the sources of one path alone. */
function settledOfSource(forwarder: Forwarder, path: string): Settled[] {
  return forwarder.lanes.map(({ cursors }) => {
    const own = [...cursors].filter(({ source }) => source.info.path === path).map(({ account }) => account);
    return {
      delivered: own.reduce((sum, { delivered }) => sum + delivered.bytes, 0),
      dropped: own.reduce((sum, { droppedTotal }) => sum + droppedTotal.bytes, 0),
    };
  });
}

function difference(more: readonly Settled[], less: readonly Settled[]): Settled[] {
  return more.map(({ delivered, dropped }, i) => ({
    delivered: delivered - (less[i]?.delivered ?? 0),
    dropped: dropped - (less[i]?.dropped ?? 0),
  }));
}

function excuse(token: Token | undefined): void {
  if (token !== undefined) token.excused = true;
}

/** What may happen, with its weight. */
const STEPS_TABLE: ReadonlyArray<
  readonly [weight: number, step: (world: World, path: string) => void | Promise<void>]
> = [
  [30, (world, path) => world.write(path, true)],
  [8, (world, path) => world.write(path, false)],
  [3, (world, path) => world.writeLate(path)],
  [8, (world, path) => world.tear(path)],
  [25, (world) => world.turns(1 + world.random.below(4), 30)],
  [8, (world) => world.turns(30, 60)],
  [8, (world, path) => (world.note(`rotate ${path}`), world.rotate(path))],
  [
    4,
    async (world, path) => {
      // Bytes that come and go between two polls have no place in the order: what is copied was there for a while.
      await world.look();
      world.note(`copytruncate ${path}`);
      world.copyTruncate(path);
    },
  ],
  [2, (world, path) => (world.note(`truncate ${path}`), world.truncate(path))],
  [2, (world, path) => (world.note(`delete ${path}`), world.remove(path, false))],
  [
    3,
    async (world, path) => {
      await world.look();
      world.note(`delete held ${path}`);
      world.remove(path, true);
    },
  ],
  [
    5,
    async (world) => {
      if (world.forwarder === undefined) await world.start();
      else world.crash(world.random.below(3) === 0);
    },
  ],
  [
    4,
    async (world) => {
      if (world.forwarder === undefined) return;
      world.note('end in order');
      const forwarder = world.forwarder;
      const deadline = new AbortController();
      const end = forwarder.drain(deadline.signal).then(() => forwarder.close());
      const { settled } = await whileTimePasses(world.clock, end, 2_000);
      deadline.abort();
      if (!settled) await whileTimePasses(world.clock, end, 2_000);
      world.crash(false);
    },
  ],
  [
    3,
    (world) => {
      const isFull = world.disk.failure !== undefined;
      world.note(isFull ? 'room on the state disk' : 'state disk full');
      world.disk.failure = isFull ? undefined : 'ENOSPC';
    },
  ],
  [
    2,
    (world) => {
      if (world.volume === undefined) return;
      const isFull = world.volume.failure !== undefined;
      world.note(isFull ? 'room on the volume' : 'volume full');
      world.volume.failure = isFull ? undefined : 'ENOSPC';
    },
  ],
  [8, (world) => world.join()],
  [3, (world) => world.leave()],
  [2, (world) => world.replacePod()],
  [
    10,
    (world) => {
      const destination = world.destinations[world.random.below(world.destinations.length)];
      if (destination === undefined) return;
      const kind = world.random.below(5);
      world.note(`sink ${kind}`);
      destination.script = () => {
        if (kind === 0) return UNREACHABLE;
        if (kind === 1) return 'store_and_lose_answer';
        if (kind === 2) return world.random.below(2) === 0 ? 'store' : UNREACHABLE;
        return 'store';
      };
    },
  ],
];

async function runSequence(seed: number): Promise<void> {
  const world = new World(seed);
  const total = STEPS_TABLE.reduce((sum, [weight]) => sum + weight, 0);
  try {
    await world.start();
    for (let i = 0; i < STEPS; i += 1) {
      let pick = world.random.below(total);
      const path = PATHS[world.random.below(PATHS.length)] ?? '';
      const found = STEPS_TABLE.find(([weight]) => (pick -= weight) < 0);
      await found?.[1](world, path);
    }
    await finish(world);
    judge(world);
  } catch (error) {
    const story = `seed ${seed}: ${world.log.join(', ')}`;
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${story}`, { cause: error });
  } finally {
    world.close();
  }
}

/** The sinks are well, the forwarder runs, and everything that is left is shipped. */
async function finish(world: World): Promise<void> {
  for (const destination of world.destinations) destination.script = () => 'store';
  world.disk.failure = undefined;
  if (world.volume !== undefined) world.volume.failure = undefined;
  if (world.forwarder === undefined) await world.start();
  await world.join();
  const { forwarder } = world;
  assert(forwarder !== undefined);
  const drained = await whileTimePasses(world.clock, forwarder.drain(new AbortController().signal), 100_000);
  assert.deepEqual(drained, { settled: true, value: true }, 'the drain comes to its end');
  for (const { account, unreadBytes } of forwarder.summaries()) {
    account.assertBalanced();
    assert.equal(account.pending.lines, 0, 'nothing is pending at the end');
    assert.equal(unreadBytes, 0, 'nothing is unread at the end');
  }
  await forwarder.close();
}

function judge(world: World): void {
  for (const [i, destination] of world.destinations.entries()) {
    const own = world.forwarder?.summaries()[i]?.account.duplicatesMax ?? 0;
    const mayHaveTwice = own + (world.repeatsOfOthers[i] ?? 0);
    const twice = repeatedRecords(world, destination);
    assert(twice <= mayHaveTwice, `what comes twice is counted: ${twice} did, ${mayHaveTwice} might`);
    assert.deepEqual(destination.hidden, [], 'no record hides behind the id of another');
    const marked = [...destination.stored.values()].filter((record) => record.offset === 0 && startsWithMark(record));
    assert.deepEqual(marked, [], 'no first line begins with a byte order mark');
    assert.deepEqual(apartOf(world, destination), [], 'no line stays torn');
    for (const path of PATHS) {
      const text = [...destination.stored.values()]
        .filter(({ source }) => source.path === `/log/${path}`)
        .map(({ bytes }) => bytes.toString())
        .join('');
      const names = namesIn(text);
      const repeatable = new Set(world.tokens.filter((token) => token.mayRepeat).map(({ name }) => name));
      const repeated = names.filter((name, i) => names.indexOf(name) !== i);
      const counted = new Set(world.tokens.filter((token) => token.mayRepeatCounted).map(({ name }) => name));
      assert.deepEqual(
        repeated.filter((name) => !repeatable.has(name) && !counted.has(name)),
        [],
        'nothing arrives twice that is not said to',
      );
      const own = world.tokens.filter(({ name }) => name.startsWith(path.slice(0, 1)));
      const missing = own.filter(({ name, excused }) => !excused && !names.includes(name)).map(({ name }) => name);
      assert.deepEqual(missing, [], 'nothing is lost');
      const excluded = own.filter(({ name, isExcluded }) => isExcluded && names.includes(name)).map(({ name }) => name);
      assert.deepEqual(excluded, [], 'nothing arrives that a filter drops');
      const late = new Set(own.filter((token) => token.late).map(({ name }) => name));
      // Records of stdout and stderr interleave: they come in the order of their first lines.
      const ordered = world.shape.rules.parser === 'cri' ? firstNames(destination, path) : names;
      const inTime = [...new Set(ordered)].filter((name) => !late.has(name)).map((name) => Number(name.slice(1)));
      assert.deepEqual(
        inTime,
        inTime.toSorted((a, b) => a - b),
        'order of a path is kept',
      );
    }
  }
}

/** Torn lines of which no record has both pieces. */
function apartOf(world: World, destination: FakeDestination): string[] {
  const records = destination.texts.map((text) => new Set(namesIn(text)));
  return world.tears
    .filter(({ excused, pieces }) => !excused && pieces.every((piece) => !piece.excused))
    .map(({ pieces }) => pieces.map(({ name }) => name))
    .filter((names) => !records.some((record) => names.every((name) => record.has(name))))
    .map((names) => names.join(' and '));
}

function startsWithMark({ bytes }: StoredRecord): boolean {
  return bytes.toString().startsWith(MARK);
}

/** Records of which a token was there before, but for those of short copies. */
function repeatedRecords(world: World, destination: FakeDestination): number {
  const isFree = new Set(world.tokens.filter(({ mayRepeat }) => mayRepeat).map(({ name }) => name));
  const seen = new Set<string>();
  let count = 0;
  for (const { bytes } of destination.stored.values()) {
    const names = namesIn(bytes.toString()).filter((name) => !isFree.has(name));
    if (names.some((name) => seen.has(name))) count += 1;
    for (const name of names) seen.add(name);
  }
  return count;
}

/** Tokens in the order in which they stand in a text; fillers may be redacted. */
function namesIn(text: string): string[] {
  return [...text.matchAll(/<([ab]\d+):[x*]*>/g)].map((match) => match[1] ?? '');
}

/** The first token of each record that nothing brought before. */
function firstNames(destination: FakeDestination, path: string): string[] {
  const seen = new Set<string>();
  return [...destination.stored.values()]
    .filter(({ source }) => source.path === `/log/${path}`)
    .flatMap(({ bytes }) => {
      const names = namesIn(bytes.toString());
      const isNew = !seen.has(names[0] ?? '');
      for (const name of names) seen.add(name);
      return isNew ? names.slice(0, 1) : [];
    });
}

describe('forwarder model', () => {
  it(`loses, repeats and reorders nothing in ${SEQUENCES} random lives`, async function () {
    this.timeout(SEQUENCES * 1_000);
    if (!existsSync('/proc/self/fd'))
      skip(this, 'the random model of the forwarder closes descriptors by /proc/self/fd: Linux');
    const seed = testSeed();
    for (let i = 0; i < SEQUENCES; i += 1) await runSequence((seed + i) % 0xffff_ffff || 1);
  });
});
