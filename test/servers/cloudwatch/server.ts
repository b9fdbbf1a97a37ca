/**
 * CloudWatch Logs: moto, an independent implementation, behind our strict proxy.
 *
 * moto keeps everything in memory, so `halt` makes the proxy refuse connections while moto lives on: what was stored is there again
 * after `resume`. May import: node:, src/core, test/servers.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cacheKey, defaultPreparation, findCached, type Entry, type Preparation } from '../cache.ts';
import { ask } from '../http-json.ts';
import { freePorts } from '../loopback-ports.ts';
import { ManagedProcess } from '../managed-process.ts';
import { findProgram, mustRun, run } from '../programs.ts';
import type { Availability, HaltableServer, ServerKind } from '../server-kind.ts';
import { createWorkFolder, discardWorkFolder } from '../work-folder.ts';
import { caller, logStreams, readEvents, REGION, type Call } from './calls.ts';
import type { FaultOrder } from './faults.ts';
import type { LogEvent } from './rules.ts';
import { StrictProxy } from './strict-proxy.ts';

const INSTALL_MS_MAX = 15 * 60_000;
const ASK_MS_MAX = 60_000;
/** Half a second when the machine is idle and the byte code is cached. */
const READY_MS_MAX = 120_000;
/** The pinned releases need it. */
const PYTHON_MIN = { major: 3, minor: 10 } as const;
export interface CloudWatchServer extends HaltableServer {
  readonly region: string;
  /** moto itself, for the other services that it has. */
  readonly motoUrl: string;
  /** Any values do: signatures must be there, moto does not verify them. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Counts, refusals and faults. */
  readonly proxy: Pick<StrictProxy, 'counts' | 'refusals' | 'reset'>;
  order(order: FaultOrder): void;
  /** Removes all log groups, counts and faults. */
  reset(): Promise<void>;
  /** One call as the SDK would make it, through the proxy. */
  readonly call: Call;
  /** All events of a log stream, by timestamp; read from moto directly: not counted, not disturbed by faults. */
  readEvents(logGroupName: string, logStreamName: string): Promise<readonly LogEvent[]>;
  /** Names of the log streams of a group, sorted; none when the group does not exist. */
  logStreams(logGroupName: string): Promise<readonly string[]>;
}

const requirements = (): string => join(import.meta.dirname, 'requirements.txt');

/** A virtual environment is made of links to the Python it came from: another one, or one that moved, needs its own. */
function entryOf(python: Python): Entry {
  return {
    name: 'moto',
    key: cacheKey(readFileSync(requirements(), 'utf8'), python.version, python.home, process.platform, process.arch),
  };
}

interface Python {
  readonly path: string;
  /** `3.11`; empty when it cannot be asked, which is when it lacks venv. */
  readonly version: string;
  readonly home: string;
}

async function findPython(): Promise<Python | undefined> {
  const path = findProgram('python3');
  if (path === undefined) return undefined;
  const script = 'import sys, venv, ensurepip; print("%d.%d %s" % (*sys.version_info[:2], sys.base_prefix))';
  const { stdout } = await run(path, ['-c', script], { timeoutMs: ASK_MS_MAX });
  const [, version = '', home = ''] = /^(\S+) (.+)$/m.exec(stdout) ?? [];
  return { path, version, home };
}

async function availability(cache: string): Promise<Availability> {
  const remedy = 'apt-get install python3-venv, or https://www.python.org/downloads';
  const python = await findPython();
  if (python === undefined) return { available: false, reason: 'Python 3 was not found', remedy };
  if (python.version === '') return { available: false, reason: 'Python has no venv and ensurepip modules', remedy };
  const [major = 0, minor = 0] = python.version.split('.').map(Number);
  if (major < PYTHON_MIN.major || (major === PYTHON_MIN.major && minor < PYTHON_MIN.minor)) {
    return { available: false, reason: `Python 3.10 or newer is needed, found ${python.version}`, remedy };
  }
  return { available: true, prepared: findCached(cache, entryOf(python)) !== undefined };
}

/** Path of the Python of moto's own virtual environment. */
async function prepare({ cache, progress }: Preparation): Promise<string> {
  const python = await findPython();
  if (python === undefined) throw new Error('prepare moto: expected python3 on PATH, got none');
  const folder = await cached(cache, entryOf(python), async (target) => {
    progress('moto: installing about 40 MB from the Python package index');
    const options = { cwd: target, timeoutMs: INSTALL_MS_MAX };
    await mustRun(python.path, ['-m', 'venv', target], options);
    const own = join(target, 'bin/python');
    const quiet = ['--quiet', '--disable-pip-version-check', '--no-input'];
    await mustRun(own, ['-m', 'pip', 'install', ...quiet, '--requirement', requirements()], options);
    // The scripts name the folder in which they were installed, which is renamed: only `python -m` works from now on.
    for (const script of ['moto_server', 'moto_proxy', 'flask', 'pip', 'pip3'])
      rmSync(join(target, 'bin', script), { force: true });
  });
  return join(folder, 'bin/python');
}

/** Starts moto and the proxy before it. */
export async function startCloudWatch(preparation: Preparation = defaultPreparation()): Promise<CloudWatchServer> {
  const python = await prepare(preparation);
  const [motoPort = 0] = await freePorts(1);
  const work = createWorkFolder('cloudwatch');
  const motoUrl = `http://127.0.0.1:${motoPort}`;
  const moto = new ManagedProcess({
    name: 'moto',
    program: python,
    args: ['-m', 'moto.server', '--host', '127.0.0.1', '--port', String(motoPort)],
    // Nothing of the user's AWS configuration may take part.
    env: { AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null', AWS_EC2_METADATA_DISABLED: 'true' },
    cwd: work,
    logFile: join(work, 'moto.log'),
    ready: async () => (await ask(`${motoUrl}/moto-api/data.json`)).status === 200,
    readyMsMax: READY_MS_MAX,
  });
  await moto.start();
  const proxy = new StrictProxy({ upstreamPort: motoPort });
  await proxy.listen();
  const direct = caller(motoUrl);
  return {
    url: proxy.url,
    region: REGION,
    motoUrl,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    proxy,
    folder: work,
    logFiles: [join(work, 'moto.log')],
    get pids() {
      return moto.pid === undefined ? {} : { moto: moto.pid };
    },
    halt: () => proxy.close(),
    resume: () => proxy.listen(),
    order: (order) => proxy.order(order),
    reset: async () => {
      proxy.reset();
      await ask(`${motoUrl}/moto-api/reset`, { method: 'POST' });
    },
    call: caller(proxy.url),
    readEvents: (group, stream) => readEvents(direct, group, stream),
    logStreams: (group) => logStreams(direct, group),
    stop: async () => {
      await proxy.close();
      await moto.halt('SIGKILL');
      discardWorkFolder(work);
    },
  };
}

export const cloudwatch: ServerKind<CloudWatchServer> = {
  availability,
  prepare: async (preparation) => {
    await prepare(preparation);
  },
  start: startCloudWatch,
};
