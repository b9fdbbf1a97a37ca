/**
 * Follows the log of one container through the API and writes it down, each line once as far as the API lets one know.
 *
 * One session: look at the first line of the current file (and of the previous start's), open the follow, fetch what the previous start had
 * left, then copy until the connection ends. The previous one is asked for after the follow is open, so whatever started in between is one of
 * the two. Then again, from the second before the newest line: what comes twice is known by SeenLines. Gaps: a log is known by its first
 * line; when the one we read is neither the current nor the previous file any more, or changes while we follow, the kubelet has put it aside
 * where the API does not lead (rotation: logs.go reads the current file alone and goes over to the new one at once), and lines may be missing:
 * counted and told. A quiet log is not rotated and has none.
 * May import: core, source.
 */
import { backoffMs } from '../../core/backoff.ts';
import type { Clock, Random } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import { MiB } from '../../core/limits.ts';
import type { Log } from '../../core/log.ts';
import type { Metrics } from '../../core/metrics.ts';
import type { LogAnswer, LogQuery, OpenLog } from './log-request.ts';
import type { SeenLines } from './seen-lines.ts';
import type { Replay } from './seen-lines.ts';
import type { SpillLog } from './spill-log.ts';
import { LineSplitter, readTime } from './timed-line.ts';
import type { Piece, TimedLine } from './timed-line.ts';

/**
 * A follow that is silent so long is opened anew: one that died behind a proxy looks like one that has nothing to say, and some kubelets stop
 * following at a rotation (kubernetes/kubernetes#115702). A quiet container costs the API server four small requests each time.
 */
const IDLE_MS = 120_000;
/** An answer to anything but a follow; of a log that is caught up with, no matter how long it is, the longest silence. */
const ANSWER_MS = 10_000;
/** A follow of a container that says nothing has no head yet: it counts as open after this time. */
const OPEN_MS = 1_000;
/** After the end of a log: the next start may be there in a second; a container that is done for good is asked ever less often. */
const ENDED_WAIT_MS = { base: 1_000, max: 300_000 };
const FAILED_WAIT_MS = { baseMs: 200, maxMs: 10_000 };
const FORBIDDEN_WAIT_MS = 30_000;
/**
 * At the end an API server that has just started answers 403 until it has read the roles, and 404 for pods that the kubelet has not told it of:
 * that is not the last word. With the waits between them so many looks take up to six seconds of the grace period.
 */
const DOUBTFUL_LOOKS_MAX = 6;
const SAY_AGAIN_MS = 60_000;
/** While the spill log has no room. */
const FULL_WAIT_MS = 250;
/** The kubelet rotates no file below this (containerLogMaxSize has to be larger than a few lines; its default is 10 MiB). */
const PROBE_BYTES = 1 * MiB;
/** Of the current log and the start before, of stdout and stderr each: no more lines can stand without an end. */
const ASKED_AGAIN_MAX = 4;
/** `2026-11-28T12:34:56.123456789+02:00 `, or what the kubelet says in place of a log. */
const FIRST_BYTES = 256;

export interface ContainerLogOptions {
  readonly container: string;
  readonly open: OpenLog;
  readonly spill: SpillLog;
  readonly seen: SeenLines;
  /** First line's time of the file that was read last, from an earlier run. */
  readonly first: string | undefined;
  /** Keeps it for the next run. */
  readonly keepFirst: (first: string) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly idleMs?: number;
  /** ANSWER_MS unless given. */
  readonly answerMs?: number;
}

type Ending = 'ended' | 'cut' | 'idle' | Exclude<LogAnswer['status'], 'open'>;

export class ContainerLog {
  readonly #options: ContainerLogOptions;
  readonly #stop = new AbortController();
  /** Wakes waits, and tells sessions not to follow. */
  readonly #ending = new AbortController();
  #first: string | undefined;
  #sinceProbe = 0;
  #isProbing = false;
  #newLines = 0;
  /** The last answer was the kubelet's words, and nothing has come since that says more. */
  #hadWords = false;
  /** The long lines that were cut off last and asked for again, oldest first. */
  #askedAgain: readonly TimedLine[] = [];
  #said: { readonly text: string; readonly atMs: number } | undefined;
  /** The log is read to its end, for good. */
  isDone = false;
  problem: string | undefined;

  constructor(options: ContainerLogOptions) {
    this.#options = options;
    this.#first = options.first;
  }

  /** Follows until `end`, then reads what is left. Never rejects but on a bug. */
  async run(): Promise<void> {
    let failures = 0;
    let quiet = 0;
    while (!this.#isEnding()) {
      this.#newLines = 0;
      const sinceMs = this.#options.clock.monotonic();
      const ending = await this.#session(true);
      // A connection that stood for long was ended by something on the way, not by the end of the log.
      const isLong = this.#options.clock.monotonic() - sinceMs >= ENDED_WAIT_MS.max;
      failures = ending === 'unreachable' || ending === 'cut' ? failures + 1 : 0;
      if (this.#newLines > 0) failures = Math.min(failures, 1);
      quiet = this.#newLines > 0 || isLong ? 0 : quiet + 1;
      if (!this.#isEnding())
        await this.#options.clock.sleep(this.#waitMs(ending, failures, quiet), this.#ending.signal);
    }
    for (let attempt = 1; !this.#stop.signal.aborted; attempt += 1) {
      const ending = await this.#session(false);
      const isDoubtful = (ending === 'unknown' || ending === 'forbidden') && attempt < DOUBTFUL_LOOKS_MAX;
      if (!isDoubtful && ending !== 'unreachable' && ending !== 'cut') break;
      const waitMs = backoffMs(FAILED_WAIT_MS, attempt, this.#options.random);
      await this.#options.clock.sleep(waitMs, this.#stop.signal);
    }
    // No session follows that would see what was put aside meanwhile.
    if (!this.#stop.signal.aborted) await this.#probe();
    this.isDone = true;
  }

  /** No follow from now on; one that is open goes on until its log ends or `stop` comes. */
  end(): void {
    this.#ending.abort();
  }

  /** Ends open follows, so that the last look can be taken. */
  cut(): void {
    this.#follow?.abort();
  }

  stop(): void {
    this.#ending.abort();
    this.#stop.abort();
  }

  #follow: AbortController | undefined;

  get #answerMs(): number {
    return this.#options.answerMs ?? ANSWER_MS;
  }

  #isEnding(): boolean {
    return this.#ending.signal.aborted;
  }

  #waitMs(ending: Ending, failures: number, quiet: number): number {
    const { random } = this.#options;
    if (ending === 'idle') return 0;
    if (ending === 'forbidden') return FORBIDDEN_WAIT_MS * (0.5 + random() / 2);
    if (ending === 'unreachable' || ending === 'cut') return backoffMs(FAILED_WAIT_MS, failures, random);
    return Math.min(ENDED_WAIT_MS.max, ENDED_WAIT_MS.base * 2 ** Math.min(Math.max(0, quiet - 1), 9));
  }

  async #session(isFollowing: boolean): Promise<Ending> {
    const { container, seen } = this.#options;
    const sinceSecond = seen.resumeSecond;
    const replay = seen.replay();
    const current = await this.#firstOf(false);
    if (current.status !== 'open') return this.#told(current);
    const previous = await this.#firstOf(true);
    this.#judge(current.first, previous.first);
    const follow = new AbortController();
    this.#follow = follow;
    const either = AbortSignal.any([follow.signal, this.#stop.signal]);
    const opening = this.#options.open({ container, follow: isFollowing, sinceSecond }, either);
    await Promise.race([opening, this.#options.clock.sleep(OPEN_MS, either)]);
    // Between the end of a start and the next (back-off) both are the last one.
    if (previous.status === 'open' && previous.first !== current.first) {
      const ending = await this.#catchUp(previous.first, { replay, sinceSecond, isFollowing });
      if (ending !== undefined) {
        follow.abort();
        return ending;
      }
    }
    const idle = this.#watchSilence(follow, this.#options.idleMs ?? IDLE_MS);
    try {
      const answer = await opening;
      if (idle.isIdle()) return 'idle';
      if (follow.signal.aborted) return 'ended';
      if (answer.status !== 'open') return this.#told(answer);
      if (!this.#hadWords) this.problem = undefined;
      const ending = await this.#copy(answer.stream, replay, { touch: idle.touch, isCurrent: true });
      if (idle.isIdle()) this.#hadWords = false;
      return idle.isIdle() ? 'idle' : ending;
    } finally {
      idle.end();
      follow.abort();
    }
  }

  /**
   * Reads what the start before the current one had left. Undefined when that is done; else how the session ends: what cannot be had now is
   * asked for again before anything newer is taken (order, and no hole behind it).
   *
   * @param first of its log, when it was looked at
   */
  async #catchUp(
    first: string | undefined,
    about: { replay: Replay; sinceSecond: number | undefined; isFollowing: boolean },
  ): Promise<Ending | undefined> {
    const { replay, sinceSecond, isFollowing } = about;
    const { open, container } = this.#options;
    const reading = new AbortController();
    const silence = this.#watchSilence(reading, this.#answerMs);
    try {
      const either = AbortSignal.any([reading.signal, this.#stop.signal]);
      const rest = await open({ container, previous: true, sinceSecond }, either);
      if (rest.status !== 'open') return rest.status === 'unreachable' ? 'unreachable' : undefined;
      // The start may have ended while we asked: then this is what we follow, and not the one before it. Or nobody can tell.
      const again = await this.#firstOf(true);
      if (again.first !== first) {
        await discard(rest.stream);
        if (again.status !== 'open') return this.#told(again);
        return isFollowing ? 'ended' : 'cut';
      }
      const ending = await this.#copy(rest.stream, replay, { touch: silence.touch, isCurrent: false });
      return ending === 'cut' || ending === 'unreachable' ? ending : undefined;
    } finally {
      silence.end();
    }
  }

  /** The same is said once a minute at most. */
  #isNews(problem: string): boolean {
    const now = this.#options.clock.monotonic();
    if (problem === this.#said?.text && now - this.#said.atMs < SAY_AGAIN_MS) return false;
    this.#said = { text: problem, atMs: now };
    return true;
  }

  #told(answer: Exclude<LogAnswer, { status: 'open' }>): Ending {
    const { container, log } = this.#options;
    const problem =
      answer.status === 'absent' || answer.status === 'unknown' ? undefined : `${container}: ${answer.text}`;
    if (problem !== undefined && this.#isNews(problem) && !this.#stop.signal.aborted) {
      const isForbidden = answer.status === 'forbidden';
      const hint = isForbidden
        ? 'logtender namespace NAME prints the account and its right (get on pods/log)'
        : undefined;
      log.warn('log of a container cannot be read through the API', { container, answer: answer.text, hint });
    }
    this.problem = problem;
    return answer.status;
  }

  /** An answer in time, or none. */
  async #ask(query: LogQuery): Promise<LogAnswer> {
    const limit = AbortSignal.timeout(this.#answerMs);
    const answer = await this.#options.open(query, AbortSignal.any([limit, this.#stop.signal]));
    return answer;
  }

  /** The time of a file's first line, which no two files share; undefined while it has none. */
  async #firstOf(
    previous: boolean,
  ): Promise<
    (Exclude<LogAnswer, { status: 'open' }> & { first?: undefined }) | { status: 'open'; first: string | undefined }
  > {
    const { container } = this.#options;
    const answer = await this.#ask({ container, previous, bytesMax: FIRST_BYTES });
    if (answer.status !== 'open') return answer;
    let text = '';
    try {
      for await (const chunk of answer.stream) text += String(chunk);
    } catch (error) {
      return { status: 'unreachable', text: errorText(error) };
    }
    // The kubelet says why it has no log with 200 and in place of it (pkg/kubelet/kuberuntime, GetContainerLogs: "unable to retrieve ...").
    if (text !== '' && readTime(Buffer.from(text)) === undefined) return { status: 'unreachable', text: text.trim() };
    const blank = text.indexOf(' ');
    return { status: 'open', first: blank > 0 ? text.slice(0, blank) : undefined };
  }

  /** Is what we read before still there to be read? */
  #judge(current: string | undefined, previous: string | undefined): void {
    this.#sinceProbe = 0;
    if (current === undefined) {
      // A new start that has not said anything: its first line will be the file's.
      if (previous !== undefined && previous === this.#first) {
        this.#first = undefined;
        this.#options.keepFirst('');
      }
      return;
    }
    if (this.#first !== undefined && this.#first !== current && this.#first !== previous) this.#gap('missed', current);
    this.#take(current);
  }

  #take(first: string): void {
    if (this.#first === first) return;
    this.#first = first;
    this.#options.keepFirst(first);
  }

  #gap(kind: 'missed' | 'rotated', first: string): void {
    const { container, log } = this.#options;
    this.#countGap(kind);
    const what =
      kind === 'missed'
        ? 'log was rotated or restarted while it was not read, lines before this time may be missing'
        : 'log was rotated while it was read, lines at this time may be missing';
    log.warn(what, { container, first_line: first });
  }

  #countGap(kind: 'missed' | 'rotated' | 'cut'): void {
    this.#options.metrics
      .counter('logtender_stdio_gaps_total', 'Places in the log of a container where the API may have left lines out.')
      .add(1, { kind });
  }

  /** A rotation shows by another first line; asked for when so much came that there may have been one. */
  async #probe(): Promise<void> {
    this.#isProbing = true;
    this.#sinceProbe = 0;
    try {
      const { first } = await this.#firstOf(false);
      if (first === undefined || first === this.#first) return;
      if (this.#first !== undefined) this.#gap('rotated', first);
      this.#take(first);
    } finally {
      this.#isProbing = false;
    }
  }

  /** @param about.touch told of everything that comes. @param about.isCurrent the file that is written to */
  async #copy(
    stream: AsyncIterable<unknown>,
    replay: Replay,
    { touch, isCurrent }: { touch: () => void; isCurrent: boolean },
  ): Promise<Ending> {
    const splitter = new LineSplitter();
    let isSeen = false;
    let open: TimedLine | undefined;
    const onPiece = (piece: Piece): void => {
      if (piece.line !== undefined) isSeen = replay.takes(piece.line);
      if (isSeen) return;
      open = piece.isPartial ? (piece.line ?? open) : undefined;
      if (piece.line !== undefined) {
        this.#options.seen.note(piece.line);
        // The file was empty when it was looked at.
        if (isCurrent && this.#first === undefined) this.#take(piece.time.toString());
        this.#newLines += 1;
        if (this.#hadWords) this.problem = undefined;
        this.#hadWords = false;
      }
      this.#options.spill.append(piece);
    };
    try {
      for await (const chunk of stream) {
        touch();
        const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
        splitter.push(bytes, onPiece);
        await this.#write();
        touch();
        this.#sinceProbe += bytes.length;
        if (isCurrent && this.#sinceProbe >= PROBE_BYTES && !this.#isProbing) void this.#probe();
      }
    } catch {
      this.#askAgain(open);
      splitter.cut(onPiece);
      await this.#write();
      return 'cut';
    }
    const { words } = splitter;
    if (words !== undefined) {
      this.#askAgain(open);
      splitter.cut(onPiece);
      await this.#write();
      const told = this.#told({ status: 'unreachable', text: words });
      this.#hadWords = true;
      // While it prints it is asked again as at the end of a log.
      return this.#newLines > 0 ? 'ended' : told;
    }
    // What has no end is a line where nothing can follow: in the log of a start that is over (the runtime marks no end where the container
    // printed none), and at the last look. Any other look sees it whole the next time, or once more without an end: then all of it is kept.
    if (!isCurrent || this.#isEnding() || !this.#askAgain(open)) splitter.finish(onPiece);
    else splitter.cut(onPiece);
    await this.#write();
    return 'ended';
  }

  /**
   * The first parts of a long line are written and its rest did not come: what is there is a record, and a resume brings the whole line behind
   * it. Once: a line that never has an end would come for ever. False when it was asked for before.
   */
  #askAgain(open: TimedLine | undefined): boolean {
    if (open === undefined) return true;
    const { container, log, seen } = this.#options;
    const isAgain = this.#askedAgain.some(
      ({ second, nanosecond, crc }) => second === open.second && nanosecond === open.nanosecond && crc === open.crc,
    );
    if (isAgain) {
      this.#countGap('cut');
      log.warn('long line was cut off again, the rest of it may be missing', { container, second: open.second });
      return false;
    }
    log.info('long line was cut off and is asked for again', { container, second: open.second });
    this.#askedAgain = [...this.#askedAgain.slice(1 - ASKED_AGAIN_MAX), open];
    seen.forget(open);
    return true;
  }

  /** Writes, and waits for room or a disk that works: meanwhile nothing is read, and the file of the node is the queue. */
  async #write(): Promise<void> {
    const { spill, clock, log, metrics, container } = this.#options;
    let waited: string | undefined;
    while ((!spill.flush() || spill.isFull) && !this.#stop.signal.aborted) {
      metrics.counter('logtender_stdio_waits_total', 'Times that a spill log had no room.').add(1);
      const problem = `${container}: spill log: ${spill.problem ?? 'full, the sinks are behind'}`;
      if (problem !== waited && spill.problem !== undefined)
        log.error('spill log cannot be written, lines wait in the log of the node', {
          container,
          error: spill.problem,
        });
      waited = problem;
      this.problem = problem;
      await clock.sleep(FULL_WAIT_MS, this.#stop.signal);
    }
    if (waited !== undefined && this.problem === waited) this.problem = undefined;
  }

  /** Gives an answer up that is silent for so long, more or less. */
  #watchSilence(follow: AbortController, ms: number): { touch: () => void; end: () => void; isIdle: () => boolean } {
    const idleMs = ms * (0.8 + this.#options.random() * 0.4);
    let isIdle = false;
    const onIdle = (): void => {
      isIdle = true;
      follow.abort();
    };
    let timer = setTimeout(onIdle, idleMs);
    const touch = (): void => {
      clearTimeout(timer);
      timer = setTimeout(onIdle, idleMs);
    };
    return { touch, end: () => clearTimeout(timer), isIdle: () => isIdle };
  }
}

/** Lets go of an answer that nobody needs; that it was cut meanwhile is no news. */
async function discard(stream: AsyncIterable<unknown>): Promise<void> {
  try {
    for await (const _ of stream) break;
  } catch {
    // It is gone.
  }
}
