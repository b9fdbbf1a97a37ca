/**
 * The forwarder process: reads its env, puts the parts together, and ends in order.
 *
 * The app comes first: whatever is wrong with our config, our sinks or our state, this process says so and stays. It ends with 0 after
 * SIGTERM or SIGINT, with 1 on a bug of its own, and kills itself only when a disk does not answer. With ONCE=true it ends by itself, then with
 * 1 where not everything was delivered or the config is wrong. With LOGTENDER_CONFIG_FILE that file is read beside the env, and again when it
 * changes.
 * May import: every room under src but cli and kube; webhook and certs never.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

import type { NamedCheck } from './admin/server.ts';
import { problemText } from './config/fields.ts';
import type { ForwardFile } from './config/forward-file.ts';
import { CONFIG_FILE, DEFAULTS, ENV, parseForwarderEnv, readEndOrder } from './config/forwarder-config.ts';
import type { EndOrder, ForwarderConfig, SinkName } from './config/forwarder-config.ts';
import { aborted } from './core/abort.ts';
import { backoffMs } from './core/backoff.ts';
import { randomHex, systemClock, systemRandom } from './core/clock.ts';
import { errorText } from './core/errors.ts';
import { RETRY_BASE_MS, RETRY_MAX_MS } from './core/limits.ts';
import { createLog } from './core/log.ts';
import type { Log } from './core/log.ts';
import { listenForEnd } from './core/lost-signal.ts';
import { createMetrics } from './core/metrics.ts';
import type { Metrics } from './core/metrics.ts';
import { cutBytes, exitSummary, TERMINATION_MESSAGE_BYTES_MAX } from './pipeline/exit-summary.ts';
import { Forwarder } from './pipeline/forwarder.ts';
import { nodeStateFiles } from './pipeline/state-files.ts';
import type { Stdio } from './source/stdio.ts';
import { VolumePositions } from './pipeline/volume-positions.ts';
import type { DeadLetterCopy } from './sinks/s3/dead-letter-copy.ts';
import type { ConfigFollower } from './config/config-follower.ts';
import { SinkDoctor } from './sinks/sink-doctor.ts';

/** Of the pod's grace period this much is left to the kubelet and to the last writes: a tenth, within reason. */
const GRACE_MARGIN_MS = { min: 250, max: 2_000 };
/** After everything is closed and saved the process is gone within this time, or half the margin where that is less. */
const EXIT_WAIT_MS = 500;
/** With a wrong configuration the end writes a message and closes a port: it is over within this, the least that a native sidecar has left. */
const STAY_END_MS_MAX = 2_000;
/** What is in flight has this long before a newer configuration takes over; then it is dropped and sent again. */
const SETTLE_MS_MAX = 10_000;
/** A write of some hundred bytes into memory of the node, and none where nothing changed. */
const NOTES_INTERVAL_MS = 5_000;
/** Changes with each boot of the machine, for containers as well (Linux, proc_sys_kernel(5), "random"). */
const BOOT_ID_PATH = '/proc/sys/kernel/random/boot_id';

/** SIGTERM and SIGINT: the first asks for an end in order, the second for an end at once. */
interface Signals {
  readonly ended: Promise<EndAsked>;
  readonly hurried: AbortSignal;
  /** Asks for an end in order, as the first signal does. */
  readonly end: (asked: EndAsked) => void;
}

/** What asked for the end. */
interface EndAsked {
  readonly signal: string;
  /** By itself: no kubelet kills us when the time is over. */
  readonly isOwn: boolean;
  /** For the termination message. */
  readonly words: readonly string[];
}

function listenToSignals(): Signals {
  const hurry = new AbortController();
  const { promise: ended, resolve: end } = Promise.withResolvers<EndAsked>();
  let isFirst = true;
  listenForEnd((signal) => {
    if (isFirst) end({ signal, isOwn: false, words: [] });
    else hurry.abort();
    isFirst = false;
  });
  return { ended, hurried: hurry.signal, end };
}

/** Gives the milliseconds after which the process may be gone. */
async function main(): Promise<number> {
  const signals = listenToSignals();
  // A reader that went away must not end us.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  const parsed = await readConfig(process.env);
  const level = parsed.ok ? parsed.value.config.logLevel : 'info';
  const log = createLog({ clock: systemClock, level, write: (line) => process.stderr.write(line) });
  const metrics = createMetrics();
  if (parsed.ok) await forward(parsed.value, { signals, log, metrics });
  else await stayWithBadConfig(parsed.problems, { signals, log, metrics });
  return parsed.ok ? exitWaitMs(parsed.value.config) : EXIT_WAIT_MS;
}

type ReadConfig =
  { readonly ok: true; readonly value: ForwardFile } | { readonly ok: false; readonly problems: readonly string[] };

/** From env, and from the file that env names, if it does. */
async function readConfig(env: Readonly<Record<string, string | undefined>>): Promise<ReadConfig> {
  const path = env[CONFIG_FILE];
  if (path === undefined || path === '') {
    const parsed = parseForwarderEnv(env);
    return parsed.ok
      ? { ok: true, value: { config: parsed.value, env } }
      : { ok: false, problems: parsed.problems.map(problemText) };
  }
  const { loadForwardFile } = await import('./config/config-follower.ts');
  return loadForwardFile(path, { env, host: hostname() });
}

interface Surroundings {
  readonly signals: Signals;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** A sidecar that ends with an error would restart for ever beside an app that is well: we say what is wrong, and wait. */
async function stayWithBadConfig(problems: readonly string[], { signals, log, metrics }: Surroundings): Promise<void> {
  for (const problem of problems) log.error('configuration is wrong, nothing is forwarded', { problem });
  const words = ['logtender forwards nothing, its configuration is wrong:', ...problems];
  const path = process.env[ENV.terminationMessagePath] ?? DEFAULTS.terminationMessagePath;
  // What is not over by then hangs: neither a disk nor a connection has a say in when we end.
  void signals.ended.then(() => {
    setTimeout(endHanging, STAY_END_MS_MAX).unref();
    return undefined;
  });
  const said = writeTerminationMessage(path, words.join('\n'), log);
  if (process.env[ENV.once] === 'true') {
    // Who waits for the end of it runs beside no app, and wants to know.
    setTimeout(endHanging, STAY_END_MS_MAX).unref();
    await said;
    process.exitCode = 1;
    return;
  }
  const port = Number(process.env[ENV.adminPort] ?? DEFAULTS.adminPort);
  const ready = [{ name: 'config', check: () => ({ ok: false as const, reason: problems.join('; ') }) }];
  const adminHost = process.env[ENV.adminHost] ?? DEFAULTS.adminHost;
  const adminPort = Number.isInteger(port) && port >= 0 && port < 65_536 ? port : 0;
  const close = await startAdmin({ adminHost, adminPort }, { log, metrics, ready, pages: {} });
  // Nor may it keep a Job from its end.
  void endWithOthers(readEndOrder(process.env), { signals, log, metrics });
  // Nothing else keeps the process alive when the admin port is off.
  const keepAlive = setInterval(() => {}, RETRY_MAX_MS);
  const asked = await signals.ended;
  clearInterval(keepAlive);
  log.info('ends', { signal: asked.signal });
  await said;
  if (asked.words.length > 0) await writeTerminationMessage(path, [...asked.words, ...words].join('\n'), log);
  await close();
}

/** A forwarder with all that its configuration brought: a newer configuration gets another one, on the same positions. */
interface Generation {
  readonly config: ForwarderConfig;
  readonly forwarder: Forwarder;
  readonly copy: DeadLetterCopy | undefined;
  readonly doctor: SinkDoctor;
  readonly volumes: VolumePositions;
  /** Ends what it does in the background. */
  readonly atWork: AbortController;
}

async function forward(first: ForwardFile, surroundings: Surroundings): Promise<void> {
  const { signals, log, metrics } = surroundings;
  const { config } = first;
  log.info('forwarder starts', {
    pod: config.pod.pod,
    namespace: config.pod.namespace,
    files: config.files.map(({ container, path }) => `${container}:${path}`),
    stdio: config.stdio?.way ?? 'off',
    sinks: config.sinks,
    flush_interval_ms: config.flushIntervalMs,
  });
  const ending = beginEnding(config, surroundings);
  void endWithOthers(config, surroundings);
  const stdio = await openStdio(config, surroundings);
  const opened = await openGeneration(config, { ending, stdio }, surroundings);
  if (opened === undefined) return;
  let now = opened;
  stdio?.start(() => now.forwarder.spentFiles());
  const follower = await followConfig(first, surroundings, () => now.forwarder);
  const ready: NamedCheck[] = [...readiness(now, follower), ...stdioReadiness(stdio)];
  const closeAdmin = await startAdmin(config, {
    log,
    metrics: { ...metrics, expose: () => (now.forwarder.observe(), metrics.expose()) },
    ready,
    pages: { '/ledger': () => now.forwarder.ledger() },
  });
  const endNotes = keepNotes(config, () => now, log);
  let hasEnded = false;
  let own: readonly string[] = [];
  let saying: Promise<void> = Promise.resolve();
  void signals.ended.then(({ signal, words: ownWords }) => {
    hasEnded = true;
    own = ownWords;
    endNotes();
    stdio?.end(ending);
    now.volumes.end();
    now.forwarder.stop();
    // The time that is left may be shorter than we were told, and a kill leaves none for words.
    const words = [`killed while it drained; at ${signal} it stood so`, ...own, ...now.volumes.lastWords()];
    const summary = exitSummary(now.forwarder.summaries(), words);
    saying = writeTerminationMessage(config.terminationMessagePath, summary, log);
    return undefined;
  });
  if (!config.once) await now.forwarder.run();
  for (let next = follower?.take(); next !== undefined && !hasEnded; next = follower?.take()) {
    await closeGeneration(now);
    const renewed = await openGeneration(next, { ending, stdio }, surroundings);
    if (renewed === undefined) return;
    now = renewed;
    ready.splice(0, ready.length, ...readiness(now, follower), ...stdioReadiness(stdio));
    follower?.applied();
    // What became ready in between has stopped the forwarder before this one.
    if (!hasEnded && follower?.isReady !== true) await now.forwarder.run();
  }
  // It may be younger than the signal.
  if (hasEnded) now.volumes.end();
  await follower?.close();
  await end(now, { log, ending, said: () => saying, own: () => own });
  endNotes();
  await now.copy?.end(ending);
  await stdio?.close();
  now.atWork.abort();
  await closeAdmin();
}

async function openGeneration(
  config: ForwarderConfig,
  about: Pick<Opening, 'ending' | 'stdio'>,
  surroundings: Surroundings,
): Promise<Generation | undefined> {
  const { log, metrics } = surroundings;
  const copy = await openDeadLetterCopy(config, surroundings);
  const { files, pod, stateDir } = config;
  const volumes = new VolumePositions({ files, pod, stateDir, clock: systemClock, log });
  const forwarder = await openForwarder(config, { ...surroundings, ...about, copy, volumes });
  if (forwarder === undefined) return undefined;
  volumes.start(forwarder);
  const atWork = new AbortController();
  const { signal } = atWork;
  for (const name of config.sinks) void openSink(name, config, { forwarder, log, metrics, signal });
  const doctor = new SinkDoctor({
    config,
    log,
    clock: systemClock,
    isIll: (name) => forwarder.problems()[`sink-${name}`],
  });
  void doctor.run(signal);
  return { config, forwarder, copy, doctor, volumes, atWork };
}

/** In order, so that what is in flight is settled and not sent again where a destination could not tell. */
async function closeGeneration({ forwarder, volumes, copy, atWork }: Generation): Promise<void> {
  volumes.stop();
  await forwarder.settle(AbortSignal.timeout(SETTLE_MS_MAX));
  await forwarder.close();
  await copy?.end(AbortSignal.timeout(SETTLE_MS_MAX));
  atWork.abort();
}

/** Undefined where no file is followed. */
async function followConfig(
  first: ForwardFile,
  { log, metrics }: Surroundings,
  current: () => Forwarder,
): Promise<ConfigFollower | undefined> {
  const path = process.env[CONFIG_FILE];
  if (path === undefined || path === '' || first.config.once) return undefined;
  const { ConfigFollower: Follower } = await import('./config/config-follower.ts');
  const follower = new Follower({
    path,
    env: process.env,
    host: hostname(),
    first,
    clock: systemClock,
    log,
    metrics,
    // What only this process can still read, and what the disk does not know yet, must not get lost for a new setting.
    obstacle: () => {
      const { positions } = current().problems();
      const bytes = current().unnamedBytes;
      if (positions !== undefined) return `positions cannot be saved (${positions})`;
      return bytes === 0 ? undefined : `${bytes} bytes of deleted files are not delivered yet`;
    },
    onReady: () => current().stop(),
  });
  await follower.start();
  return follower;
}

/** A plain sidecar of a pod that is meant to end asks for its own end when the others have ended. */
async function endWithOthers({ endWith, pod }: EndOrder, { signals, log }: Surroundings): Promise<void> {
  if (endWith === undefined) return;
  const { earlyEndWords, openPodEnd } = await import('./source/pod-log/pod-end.ts');
  const over = new AbortController();
  void signals.ended.then(() => over.abort());
  const shared = { env: process.env, clock: systemClock, random: systemRandom, log, signal: over.signal };
  const end = await openPodEnd({ ...endWith, ...shared, namespace: pod.namespace, pod: pod.pod });
  if (end === 'ended') signals.end({ signal: 'the end of the other containers', isOwn: true, words: [] });
  if (end !== 'forbidden' && end !== 'unreachable') return;
  const words = earlyEndWords(end);
  log.error(words, { containers: endWith.containers });
  signals.end({ signal: 'the end of its wait for the other containers', isOwn: true, words: [words] });
}

/** Copies of dead records in S3, where the operator asked for them. */
async function openDeadLetterCopy(
  config: ForwarderConfig,
  { log, metrics }: Surroundings,
): Promise<DeadLetterCopy | undefined> {
  if (!config.isDeadLetterInS3) return undefined;
  const { DeadLetterCopy: Copy } = await import('./sinks/s3/dead-letter-copy.ts');
  return new Copy({ config, log, metrics, clock: systemClock, random: systemRandom });
}

/**
 * A kill leaves no time for words, and a SIGTERM that comes in the first milliseconds of process 1 is lost (core/lost-signal.ts): what stood
 * some seconds before is in the status all the same.
 */
function keepNotes(config: ForwarderConfig, now: () => Generation, log: Log): () => void {
  let said = '';
  const timer = setInterval(() => {
    const { forwarder, volumes } = now();
    const words = ['killed without a word; it stood so before that', ...volumes.lastWords()];
    const summary = exitSummary(forwarder.summaries(), words);
    if (summary === said) return;
    said = summary;
    void writeTerminationMessage(config.terminationMessagePath, summary, log);
  }, NOTES_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Stdout and stderr, where they are shipped. */
async function openStdio(config: ForwarderConfig, { log, metrics }: Surroundings): Promise<Stdio | undefined> {
  if (config.stdio === undefined) return undefined;
  const { openStdioWay } = await import('./source/stdio-way.ts');
  const { pod, stateDir, stdio, graceMs } = config;
  // Half of the time that there is: the other half is for the last lines themselves.
  const endWaitMs = (graceMs - marginMs(config)) / 2;
  const shared = { log, metrics, clock: systemClock, random: systemRandom };
  return openStdioWay({ config: stdio, pod, stateDir, endWaitMs, env: process.env, ...shared });
}

function stdioReadiness(stdio: Stdio | undefined): NamedCheck[] {
  if (stdio === undefined) return [];
  const check = (): ReturnType<NamedCheck['check']> => {
    const reason = stdio.problem();
    return reason === undefined ? { ok: true } : { ok: false, reason };
  };
  return [{ name: 'stdio', check }];
}

/** What is kept of the grace period, in milliseconds. */
function marginMs({ graceMs }: ForwarderConfig): number {
  return Math.min(GRACE_MARGIN_MS.max, Math.max(GRACE_MARGIN_MS.min, graceMs / 10));
}

function exitWaitMs(config: ForwarderConfig): number {
  return Math.min(EXIT_WAIT_MS, marginMs(config) / 2);
}

function beginEnding(config: ForwarderConfig, { signals, log }: Surroundings): AbortSignal {
  const deadline = new AbortController();
  // ONCE has no deadline of its own: it begins with the signal, if one comes.
  void signals.ended.then(({ signal, isOwn }) => {
    // Who waits at a terminal for a sink that is gone need not wait out the grace.
    const hint = isOwn ? {} : { hint: 'a second signal ends at once, with the positions saved' };
    log.info('drains', { signal, grace_ms: config.graceMs, ...hint });
    const drainMs = Math.max(0, config.graceMs - marginMs(config));
    setTimeout(() => deadline.abort(), drainMs).unref();
    // What is not over by then hangs, and the kubelet, which would kill it after a signal, knows nothing of this end.
    if (isOwn) setTimeout(endHanging, drainMs + 2 * exitWaitMs(config)).unref();
    return undefined;
  });
  // What is not over by then hangs.
  signals.hurried.addEventListener('abort', () => {
    setTimeout(endHanging, 2 * exitWaitMs(config)).unref();
  });
  return AbortSignal.any([deadline.signal, signals.hurried]);
}

interface Opening {
  readonly ending: AbortSignal;
  readonly copy: DeadLetterCopy | undefined;
  readonly stdio: Stdio | undefined;
  readonly volumes: VolumePositions;
}

/** Undefined when the end was due before the state folder could be read. */
async function openForwarder(
  config: ForwarderConfig,
  { ending, signals, log, metrics, copy, stdio, volumes }: Surroundings & Opening,
): Promise<Forwarder | undefined> {
  const opening = Forwarder.open({
    files: [...config.files, ...(stdio?.files ?? [])],
    stdioRoot: stdio?.stdioRoot,
    relocate: stdio?.relocate,
    isComplete: () => volumes.isDecided && stdio?.isComplete() !== false,
    sinks: config.sinks,
    uid: config.pod.uid,
    epoch: randomHex(16),
    flushIntervalMs: config.flushIntervalMs,
    rules: config,
    stateFiles: nodeStateFiles(config.stateDir),
    clock: systemClock,
    random: systemRandom,
    log,
    metrics,
    watch: true,
    bootId: await readBootId(),
    copyDead: copy === undefined ? undefined : (first, lines, records) => copy.copy(first, lines, records),
  });
  const givenUp = new Promise<undefined>((resolve) => {
    if (ending.aborted) resolve(undefined);
    else ending.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const sayNothingForwarded = (): Promise<void> => {
    const words = 'nothing was forwarded: the end came before the state folder could be read';
    log.error('state folder is not read yet and the end has come', { state_dir: config.stateDir });
    return writeTerminationMessage(config.terminationMessagePath, words, log);
  };
  let isOpening = true;
  let saying: Promise<void> = Promise.resolve();
  void signals.ended.then(() => {
    if (isOpening) saying = sayNothingForwarded();
    return undefined;
  });
  const forwarder = await Promise.race([opening, givenUp]);
  isOpening = false;
  await saying;
  if (forwarder === undefined) endHanging();
  return forwarder;
}

/** Undefined where the system does not tell. */
async function readBootId(): Promise<string | undefined> {
  try {
    const text = (await readFile(BOOT_ID_PATH, 'utf8')).trim();
    return text === '' ? undefined : text;
  } catch {
    return undefined;
  }
}

/** The end in order: ship what is there within the grace period, save, and say how it stands. */
async function end(
  { config, forwarder, volumes }: Generation,
  about: { log: Log; ending: AbortSignal; said: () => Promise<void>; own: () => readonly string[] },
): Promise<void> {
  const { log, ending, said, own } = about;
  const isEmpty = await forwarder.drain(ending);
  const left = volumes.lastWords();
  volumes.stop();
  // No sink has a say in when we end, nor in whether positions are saved.
  const patience = aborted(ending).then(() => systemClock.sleep(marginMs(config) / 4));
  const isSaved = await forwarder.close(patience);
  const summary = exitSummary(forwarder.summaries(), [...own(), ...lastWords({ isEmpty, isSaved }), ...left]);
  for (const line of summary.split('\n')) log.info('exit summary', { summary: line });
  await said();
  await writeTerminationMessage(config.terminationMessagePath, summary, log);
  // A disk that hangs has no say in when we end.
  if (isSaved) await Promise.race([saveLedger(config, forwarder, log), systemClock.sleep(exitWaitMs(config))]);
  // Who waits for the end of `--once` wants to know whether all of it arrived.
  if (config.once && !(isEmpty && isSaved)) process.exitCode = 1;
}

/** The ledger page as a file, for `logtender verify` after the end. */
async function saveLedger({ stateDir }: ForwarderConfig, forwarder: Forwarder, log: Log): Promise<void> {
  try {
    await writeFile(join(stateDir, 'ledger.json'), `${JSON.stringify(forwarder.ledger())}\n`, { mode: 0o600 });
  } catch (error) {
    log.debug('ledger cannot be written', { state_dir: stateDir, error: errorText(error) });
  }
}

function lastWords({ isEmpty, isSaved }: { isEmpty: boolean; isSaved: boolean }): readonly string[] {
  const missing = 'not everything was delivered';
  if (isSaved) return isEmpty ? [] : [`${missing}; positions are saved`];
  const unsaved = 'positions could not be saved, a restart repeats lines';
  return [isEmpty ? unsaved : `${missing}; ${unsaved}`];
}

/** A sink that cannot be made (a missing URL, a Secret that comes later) is tried again; the others work meanwhile. */
async function openSink(
  name: SinkName,
  config: ForwarderConfig,
  surroundings: { forwarder: Forwarder; log: Log; metrics: Metrics; signal: AbortSignal },
): Promise<void> {
  const { forwarder, log, metrics, signal } = surroundings;
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    try {
      const { createSink } = await import('./sinks/registry.ts');
      forwarder.attach(await createSink(name, config, { log, metrics, clock: systemClock, random: systemRandom }));
      return;
    } catch (error) {
      const waitMs = backoffMs(
        { baseMs: 10 * RETRY_BASE_MS, maxMs: RETRY_MAX_MS },
        attempt,
        systemRandom,
        RETRY_BASE_MS,
      );
      log.error('sink cannot be opened, files are held', { sink: name, error: errorText(error), wait_ms: waitMs });
      await systemClock.sleep(waitMs, signal);
    }
  }
}

function readiness({ forwarder, volumes, doctor }: Generation, follower: ConfigFollower | undefined): NamedCheck[] {
  const parts = Object.keys(forwarder.problems()).map((name): NamedCheck => ({
    name,
    check: () => {
      const reason = forwarder.problems()[name];
      if (reason === undefined) return { ok: true };
      const found = doctor.finding(name.replace(/^sink-/, ''));
      return { ok: false, reason: found === undefined ? reason : `${reason}; ${found}` };
    },
  }));
  if (!volumes.isEmpty) {
    const check = (): ReturnType<NamedCheck['check']> => {
      const reason = volumes.problem();
      return reason === undefined ? { ok: true } : { ok: false, reason };
    };
    parts.push({ name: 'volumes', check });
  }
  return follower === undefined ? parts : [...parts, { name: 'config', check: () => follower.check() }];
}

/** Serves probes and pages; a port that cannot be had costs the pages and nothing else. */
async function startAdmin(
  { adminHost: host, adminPort: port }: Pick<ForwarderConfig, 'adminHost' | 'adminPort'>,
  parts: { log: Log; metrics: Metrics; ready: readonly NamedCheck[]; pages: Readonly<Record<string, () => unknown>> },
): Promise<() => Promise<void>> {
  if (port === 0) return async () => {};
  try {
    const { startAdminServer } = await import('./admin/server.ts');
    const server = await startAdminServer({ host, port, ...parts });
    return () => server.close();
  } catch (error) {
    parts.log.warn('admin port cannot be had, going on without it', { port, error: errorText(error) });
    return async () => {};
  }
}

async function writeTerminationMessage(path: string, text: string, log: Log): Promise<void> {
  try {
    await writeFile(path, `${cutBytes(text, TERMINATION_MESSAGE_BYTES_MAX - 1)}\n`);
  } catch (error) {
    log.debug('termination message cannot be written', { path, error: errorText(error) });
  }
}

/** For a disk that does not answer: an exit would wait for the thread that waits for the disk. */
function endHanging(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Whatever may still hold the event loop (a socket that does not close) must not hold the pod. */
function exitSoon(afterMs: number): void {
  setTimeout(() => process.exit(), afterMs).unref();
}

exitSoon(await main());
