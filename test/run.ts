/**
 * `npm test`: runs every test file in groups, prints what could not run and why, and closes with `N passed, N failed, N skipped`.
 *
 * Groups: fast (no server), then the ones whose folder names say that they need servers. Each group is a mocha process of its own,
 * so that one crash cannot hide the rest. Lanes of groups run side by side: rotations of certificates mostly wait for their
 * deadlines and come first when they need the processor; what needs no server takes what the others leave, and models, which only compute,
 * take what is left then. With CI=true a skip is a failure, but for the third-party corpus where its folder is absent.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { getPriority, setPriority, tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { buildBundles, BUNDLES_VARIABLE } from './bundles.ts';
import { CORPUS_PREFIX } from './skip.ts';

const ROOT = resolve(import.meta.dirname, '..');
/** Folders under test/ that need real servers; everything else is fast. */
const SERVER_FOLDERS = ['servers', 'cluster', 'cluster-real'];
/** Computes and waits for nothing. */
const MODELS = 'model';
/** The whole run must stay inside an hour, downloads and builds before it included. */
const RUN_MS_MAX = 50 * 60 * 1000;
/** So many of the files that took longest are told: where to look when a run gets slow. */
const SLOWEST = 15;
/** What a group needs to stop its servers after SIGTERM. */
const STOP_MS_MAX = 60 * 1000;

interface Outcome {
  readonly stats: { readonly passes: number; readonly failures: number; readonly pending: number };
  readonly failures: ReadonlyArray<{ readonly fullTitle: string }>;
  readonly pending: ReadonlyArray<{ readonly fullTitle: string }>;
  /** By file, hooks included; CPU of this process and of children that have ended. */
  readonly took: Readonly<Record<string, { readonly seconds: number; readonly cpuSeconds: number }>>;
}

function testFiles(): readonly string[] {
  return readdirSync(join(ROOT, 'test'), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .toSorted();
}

const folderOf = (path: string): string => path.split('/')[1] ?? '';

/** Rotation takes the time that certificates live: its suites wait much and compute little. */
const isWaiting = (path: string): boolean => path.startsWith('test/cluster/certs');

/** Many lines through processes of our own: no server, but far from fast. */
const isHeavy = (path: string): boolean => path.startsWith('test/cluster/forwarder-');

interface Group {
  readonly name: string;
  readonly files: readonly string[];
  /** How far its processes stand back on a busy machine, as setpriority(2) has it. */
  readonly niceness: number;
}

interface Lane {
  readonly groups: readonly Group[];
  /** Writes to the terminal as it goes; the other lanes when they are through. */
  readonly isLive: boolean;
}

function lanesOf(files: readonly string[], fastOnly: boolean): readonly Lane[] {
  const inFolder = (folder: string): readonly string[] => files.filter((path) => folderOf(path) === folder);
  const serverless = files.filter((path) => !SERVER_FOLDERS.includes(folderOf(path)));
  if (fastOnly) return [{ groups: [{ name: 'fast', files: serverless, niceness: 0 }], isLive: true }];
  const cluster = inFolder('cluster').filter((path) => !isWaiting(path) && !isHeavy(path));
  const fast = serverless.filter((path) => folderOf(path) !== MODELS);
  return [
    {
      groups: [
        // First, so that the cluster's tests are spared the rotations of the first minutes: they load the same processors.
        { name: 'servers', files: inFolder('servers'), niceness: 5 },
        { name: 'cluster', files: cluster, niceness: 5 },
        // Not beside the others, though it would be sooner over: the search servers of two groups starve, and a drain, an answer under
        // overload or a pod that starts again does not come within its time.
        { name: 'cluster-real', files: inFolder('cluster-real'), niceness: 5 },
      ],
      isLive: true,
    },
    { groups: [{ name: 'cluster-certs', files: files.filter(isWaiting), niceness: 0 }], isLive: false },
    {
      groups: [
        { name: 'fast', files: fast, niceness: 10 },
        { name: 'cluster-forwarder', files: files.filter(isHeavy), niceness: 10 },
      ],
      isLive: false,
    },
    { groups: [{ name: MODELS, files: inFolder(MODELS), niceness: 19 }], isLive: false },
  ];
}

interface Workplace {
  readonly work: string;
  /** Undefined where they could not be built: whoever needs one builds it then, and fails with the build's words. */
  readonly bundles: string | undefined;
}

function bundlesIn(work: string): string | undefined {
  const bundles = join(work, 'bundles');
  try {
    buildBundles(bundles);
    return bundles;
  } catch (error) {
    process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  }
}

/** Runs one group; undefined when it ended without a report. `crashed` says that it failed in another way than by a test. */
async function runGroup(
  { name, files, niceness }: Group,
  { work, bundles }: Workplace,
  msMax: number,
  write: ((chunk: Buffer) => void) | undefined,
): Promise<{ readonly outcome: Outcome | undefined; readonly crashed: string | undefined }> {
  const report = join(work, `${name}.json`);
  const mocha = join(ROOT, 'node_modules/mocha/bin/mocha.js');
  const args = [
    mocha,
    '--reporter',
    join(ROOT, 'test/reporter.cjs'),
    '--reporter-option',
    `output=${report}`,
    ...files,
  ];
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: ['ignore', write === undefined ? 'inherit' : 'pipe', write === undefined ? 'inherit' : 'pipe'],
    env: {
      ...process.env,
      LOGTENDER_SKIP_FILE: join(work, 'skipped.txt'),
      ...(bundles === undefined ? {} : { [BUNDLES_VARIABLE]: bundles }),
      // Half of what a start from the source takes is to strip and compile it; there are hundreds of them.
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(work, 'compile-cache'),
    },
  });
  // What it starts inherits it. Never before ourselves: that would need a right.
  if (child.pid !== undefined && child.exitCode === null) setPriority(child.pid, Math.max(getPriority(), niceness));
  if (write !== undefined) for (const stream of [child.stdout, child.stderr]) stream?.on('data', write);
  // Who ends us ends the servers of the groups too; a terminal's Ctrl-C reaches the groups by itself.
  const pass = (): void => void child.kill('SIGTERM');
  process.once('SIGTERM', pass);
  const killer = setTimeout(() => child.kill('SIGKILL'), msMax + STOP_MS_MAX);
  const stopper = setTimeout(() => child.kill('SIGTERM'), msMax);
  const [code, signal] = await new Promise<[number | null, string | null]>((done) =>
    child.once('close', (...end) => done(end)),
  );
  clearTimeout(stopper);
  clearTimeout(killer);
  process.off('SIGTERM', pass);
  let outcome: Outcome | undefined;
  try {
    outcome = JSON.parse(readFileSync(report, 'utf8')) as Outcome;
  } catch {
    // It ended before mocha could write; `crashed` says how.
  }
  const wellEnded = code === 0 || (outcome !== undefined && outcome.stats.failures > 0);
  return { outcome, crashed: wellEnded ? undefined : (signal ?? `exit code ${code}`) };
}

function skipReasons(work: string): readonly string[] {
  try {
    return readFileSync(join(work, 'skipped.txt'), 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    return [];
  }
}

async function main(): Promise<number> {
  const only = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
  const fastOnly = process.argv.includes('--fast');
  const files = testFiles().filter((path) => only.length === 0 || only.some((part) => path.includes(part)));
  const lanes = lanesOf(files, fastOnly);
  const work = mkdtempSync(join(tmpdir(), 'logtender-test-'));
  const deadline = performance.now() + RUN_MS_MAX;
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  const took: Array<readonly [string, Outcome['took'][string]]> = [];
  try {
    const workplace = { work, bundles: bundlesIn(work) };
    const runLane = async ({ groups, isLive }: Lane): Promise<void> => {
      const held: Buffer[] = [];
      const write = isLive ? undefined : (chunk: Buffer): void => void held.push(chunk);
      const tell = (text: string): void => {
        if (write === undefined) process.stdout.write(text);
        else write(Buffer.from(text));
      };
      for (const group of groups) {
        if (group.files.length === 0) continue;
        tell(`\n== ${group.name}: ${group.files.length} files\n`);
        const msMax = Math.max(0, deadline - performance.now());
        const { outcome, crashed } = await runGroup(group, workplace, msMax, write);
        passed += outcome?.stats.passes ?? 0;
        failed += (outcome?.stats.failures ?? 0) + (crashed === undefined ? 0 : 1);
        skipped += outcome?.stats.pending ?? 0;
        took.push(...Object.entries(outcome?.took ?? {}));
        if (crashed !== undefined) tell(`group ${group.name} did not end well: ${crashed}\n`);
      }
      later.push(...held);
    };
    const later: Buffer[] = [];
    await Promise.all(lanes.map(runLane));
    process.stdout.write(Buffer.concat(later));
    const slowest = took.toSorted(([, one], [, other]) => other.seconds - one.seconds).slice(0, SLOWEST);
    for (const [file, { seconds, cpuSeconds }] of slowest)
      process.stdout.write(
        `${seconds.toFixed(0).padStart(5)} s, ${cpuSeconds.toFixed(0).padStart(3)} of CPU  ${file}\n`,
      );
    const reasons = skipReasons(work);
    for (const reason of new Set(reasons)) process.stdout.write(`skipped: ${reason}\n`);
    // Every skip has its line: one that has none, or another reason than the corpus, is not forgiven.
    const forgiven = reasons.filter((reason) => reason.startsWith(CORPUS_PREFIX)).length;
    const skipFails = process.env['CI'] === 'true' && skipped > forgiven;
    if (skipFails)
      process.stdout.write('With CI=true nothing may be skipped but the corpus where its folder is absent.\n');
    process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
    return failed > 0 || skipFails || passed === 0 ? 1 : 0;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

process.exitCode = await main();
