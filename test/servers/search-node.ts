/**
 * What Elasticsearch and OpenSearch have in common: one node on loopback with an HTTP port, started by java.
 *
 * Invariant: halt and resume keep ports and data. May import: node:, test/servers.
 */
import { chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, type Answer, type Question } from './http-json.ts';
import { freePorts } from './loopback-ports.ts';
import { ManagedProcess } from './managed-process.ts';
import type { HaltableServer } from './server-kind.ts';
import { createWorkFolder, discardWorkFolder } from './work-folder.ts';

/** 3 s when the machine is idle; minutes where two cores also compile. */
const READY_MS_MAX = 120_000;

export interface SearchServer extends HaltableServer {
  readonly version: string;
  /** One request to the node: `path` with its slash. A text body goes as NDJSON when the path ends in `_bulk`. */
  request(method: string, path: string, body?: unknown): Promise<Answer>;
}

export interface SearchNodeSpec {
  readonly name: 'elasticsearch' | 'opensearch';
  readonly version: string;
  readonly java: string;
  /** Added to the configuration file, such as `http.max_content_length: 1mb`. */
  readonly settings: Readonly<Record<string, string>>;
  /** Puts into the new work folder what the node needs there besides its configuration. */
  readonly prepareFolder?: (work: string) => void;
  /** Everything behind the memory flags. `work` is the folder of this node. */
  readonly arguments: (work: string) => readonly string[];
  /** Runs as this user, who then owns the work folder. */
  readonly uid?: number;
}

/** Small and quickly up: one collector thread, no optimising compiler, a quarter of a gigabyte of heap. */
const MEMORY_FLAGS: readonly string[] = ['-Xms128m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

const LOGGING = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
`;

/** Starts a node and waits until its cluster is formed. */
export async function startSearchNode(spec: SearchNodeSpec): Promise<SearchServer> {
  const [httpPort = 0, transportPort = 0] = await freePorts(2);
  const work = createWorkFolder(spec.name);
  writeConfiguration(work, spec, httpPort, transportPort);
  spec.prepareFolder?.(work);
  if (spec.uid !== undefined) giveTo(spec.uid, work);
  const url = `http://127.0.0.1:${httpPort}`;
  const logFile = join(work, `${spec.name}.log`);
  const node = new ManagedProcess({
    name: spec.name,
    program: spec.java,
    // Elasticsearch 7 asks for it (its start script sets it); to the others it is nothing.
    env: { LIBFFI_TMPDIR: join(work, 'tmp') },
    args: [...MEMORY_FLAGS, `-Djava.io.tmpdir=${join(work, 'tmp')}`, ...spec.arguments(work)],
    cwd: work,
    logFile,
    ...(spec.uid === undefined ? {} : { uid: spec.uid }),
    ready: async () => (await ask(`${url}/_cluster/health`)).status === 200,
    readyMsMax: READY_MS_MAX,
  });
  await node.start();
  return {
    version: spec.version,
    url,
    get pids() {
      return node.pid === undefined ? {} : { [spec.name]: node.pid };
    },
    folder: work,
    logFiles: [logFile],
    halt: (signal) => node.halt(signal),
    resume: () => node.start(),
    stop: async () => {
      await node.halt('SIGKILL');
      discardWorkFolder(work);
    },
    request: (method, path, body) => ask(`${url}${path}`, question(method, path, body)),
  };
}

function question(method: string, path: string, body: unknown): Question {
  if (body === undefined) return { method };
  const bulk = /\/_bulk(\?|$)/.test(path);
  return { method, body, headers: { 'content-type': bulk ? 'application/x-ndjson' : 'application/json' } };
}

function writeConfiguration(work: string, spec: SearchNodeSpec, httpPort: number, transportPort: number): void {
  for (const name of ['conf', 'data', 'logs', 'tmp']) mkdirSync(join(work, name));
  const settings: Readonly<Record<string, string>> = {
    'cluster.name': 'logtender-test',
    'node.name': 'node',
    'network.host': '127.0.0.1',
    'http.port': String(httpPort),
    'transport.port': String(transportPort),
    'discovery.type': 'single-node',
    // A developer's disk is often fuller than the 95 % at which indexes become read-only.
    'cluster.routing.allocation.disk.threshold_enabled': 'false',
    'path.data': join(work, 'data'),
    'path.logs': join(work, 'logs'),
    ...spec.settings,
  };
  // A JSON text is a YAML scalar: no value can break out of its line.
  const lines = Object.entries(settings).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`);
  writeFileSync(join(work, 'conf', `${spec.name}.yml`), lines.join(''));
  writeFileSync(join(work, 'conf', 'log4j2.properties'), LOGGING);
}

function giveTo(uid: number, folder: string): void {
  chownSync(folder, uid, uid);
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    chownSync(join(entry.parentPath, entry.name), uid, uid);
  }
}
