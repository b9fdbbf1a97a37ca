/**
 * Elasticsearch 8.19.21 with security on: TLS, users of the file realm, roles of roles.yml.
 *
 * The integration-test distribution of Maven Central, started by its own script (the launcher hands the server its settings). It holds
 * security, but neither ILM nor the analysers that its own index of native roles and API keys needs. It refuses root: then it runs as
 * `nobody`, with a copy of its home in the work folder. May import: node:, test/servers.
 */
import { generateKeyPairSync, pbkdf2Sync, randomBytes } from 'node:crypto';
import { chownSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { systemClock } from '../../../src/core/clock.ts';
import { cached, cacheKey, defaultPreparation, findCached, type Entry, type Preparation } from '../cache.ts';
import { findJdks, type Jdk } from '../jdk.ts';
import { selfSigned } from '../kubernetes/self-signed.ts';
import { freePorts } from '../loopback-ports.ts';
import { ManagedProcess } from '../managed-process.ts';
import { MAVEN_REMEDY, mavenPlugin } from '../maven.ts';
import { findProgram, mustRun } from '../programs.ts';
import type { Availability, RunningServer, ServerKind } from '../server-kind.ts';
import { createWorkFolder, discardWorkFolder } from '../work-folder.ts';

const VERSION = '8.19.21';
const ARTIFACT = `org.elasticsearch.distribution.integ-test-zip:elasticsearch:${VERSION}:zip`;
const ENTRY: Entry = { name: 'elasticsearch-secured', key: cacheKey(ARTIFACT, 'layout 1') };
/** 25 s when the machine is idle: two JVMs one after the other, and it instruments itself. */
const READY_MS_MAX = 360_000;
const UNPACK_MS_MAX = 120_000;
const ANSWER_MS_MAX = 30_000;
/** The user `nobody` of every Linux distribution. */
const NOBODY = 65_534;
const PBKDF2 = { rounds: 10_000, bytes: 32 } as const;

export interface SecuredElasticsearch extends RunningServer {
  readonly version: string;
  /** PEM of the certificate that it serves, which is its own CA. */
  readonly ca: string;
  /** One request as a user; the password of each is its name and `-password`. */
  request(user: string, method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>;
}

/** User -> roles. `roles` are the objects of roles.yml by name. */
export interface SecuredOptions {
  readonly users: Readonly<Record<string, readonly string[]>>;
  readonly roles: Readonly<Record<string, unknown>>;
}

/** 24 took away the security manager that 8.19 still asks for. */
const findJdk = (): Jdk | undefined => findJdks().findLast((jdk) => jdk.major >= 17 && jdk.major <= 23);

const isRoot = (): boolean => process.getuid?.() === 0;

async function availability(cache: string): Promise<Availability> {
  if (findJdk() === undefined) {
    return {
      available: false,
      reason: 'a JDK of version 17 to 23 was not found',
      remedy: 'install a JDK: apt-get install openjdk-17-jdk-headless, or https://adoptium.net',
    };
  }
  if (isRoot() && findProgram('setpriv') === undefined) {
    return {
      available: false,
      reason: 'it refuses to run as root, and setpriv was not found',
      remedy: 'run the tests as another user, or apt-get install util-linux',
    };
  }
  const prepared = findCached(cache, ENTRY) !== undefined;
  if (!prepared && (findProgram('mvn') === undefined || findProgram('unzip') === undefined)) {
    return { available: false, ...MAVEN_REMEDY, remedy: `${MAVEN_REMEDY.remedy}; and unzip` };
  }
  return { available: true, prepared };
}

async function prepare({ cache, progress }: Preparation): Promise<{ readonly jdk: Jdk; readonly home: string }> {
  const jdk = findJdk();
  if (jdk === undefined) throw new Error('prepare elasticsearch-secured: expected a JDK of version 17 to 23, got none');
  const folder = await cached(cache, ENTRY, async (target) => {
    progress(`elasticsearch ${VERSION} with security: downloading 107 MB from Maven Central`);
    await mavenPlugin('copy', [`-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${target}`]);
    const zip = join(target, `elasticsearch-${VERSION}.zip`);
    // `unzip` keeps the execute bits of the start scripts.
    await mustRun('unzip', ['-q', zip], { cwd: target, timeoutMs: UNPACK_MS_MAX });
    rmSync(zip);
  });
  return { jdk, home: join(folder, `elasticsearch-${VERSION}`) };
}

/** Starts a node with these users and roles. */
export async function startSecuredElasticsearch(
  options: SecuredOptions = { users: { admin: ['superuser'] }, roles: {} },
  preparation: Preparation = defaultPreparation(),
): Promise<SecuredElasticsearch> {
  const { jdk, home } = await prepare(preparation);
  const [port = 0, transportPort = 0] = await freePorts(2);
  const work = createWorkFolder('elasticsearch-secured');
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ca = selfSigned(keys, systemClock.now());
  const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const conf = join(work, 'conf');
  for (const name of ['conf', 'data', 'logs', 'tmp']) mkdirSync(join(work, name));
  cpSync(join(home, 'config'), conf, { recursive: true });
  writeFileSync(join(conf, 'http.crt'), ca);
  writeFileSync(join(conf, 'http.key'), key);
  writeFileSync(join(conf, 'elasticsearch.yml'), settings(work, port, transportPort));
  writeFileSync(join(conf, 'roles.yml'), JSON.stringify(options.roles));
  const users = Object.entries(options.users);
  writeFileSync(join(conf, 'users'), users.map(([name]) => `${name}:${hashed(`${name}-password`)}\n`).join(''));
  writeFileSync(
    join(conf, 'users_roles'),
    users.flatMap(([name, roles]) => roles.map((role) => `${role}:${name}\n`)).join(''),
  );
  const own = isRoot() ? join(work, 'home') : home;
  if (isRoot()) {
    cpSync(home, own, { recursive: true });
    giveTo(NOBODY, work);
  }
  const url = `https://127.0.0.1:${port}`;
  const request: SecuredElasticsearch['request'] = (user, method, path, body) =>
    ask(`${url}${path}`, { ca, user, method, body });
  const logFile = join(work, 'elasticsearch-secured.log');
  const node = new ManagedProcess({
    name: 'elasticsearch-secured',
    program: join(own, 'bin/elasticsearch'),
    args: [],
    env: {
      ES_JAVA_HOME: jdk.home,
      ES_PATH_CONF: conf,
      ES_TMPDIR: join(work, 'tmp'),
      ES_JAVA_OPTS: '-Xms256m -Xmx256m -XX:-UseG1GC -XX:+UseSerialGC -XX:TieredStopAtLevel=1',
      CLI_JAVA_OPTS: '-Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1',
    },
    cwd: work,
    logFile,
    ...(isRoot() ? { uid: NOBODY } : {}),
    ready: async () => (await request(users[0]?.[0] ?? '', 'GET', '/_cluster/health')).status === 200,
    readyMsMax: READY_MS_MAX,
  });
  await node.start();
  return {
    version: VERSION,
    url,
    ca,
    get pids() {
      return node.pid === undefined ? {} : { 'elasticsearch-secured': node.pid };
    },
    folder: work,
    logFiles: [logFile],
    stop: async () => {
      // The launcher ends the server; killed, it would leave that to the server's own notice.
      await node.halt('SIGTERM');
      discardWorkFolder(work);
    },
    request,
  };
}

function settings(work: string, port: number, transportPort: number): string {
  const values: Readonly<Record<string, string>> = {
    'cluster.name': 'logtender-test',
    'node.name': 'node',
    'network.host': '127.0.0.1',
    'http.port': String(port),
    'transport.port': String(transportPort),
    'discovery.type': 'single-node',
    'cluster.routing.allocation.disk.threshold_enabled': 'false',
    'path.data': join(work, 'data'),
    'path.logs': join(work, 'logs'),
    'xpack.security.enabled': 'true',
    'xpack.security.autoconfiguration.enabled': 'false',
    'xpack.security.http.ssl.enabled': 'true',
    'xpack.security.http.ssl.certificate': 'http.crt',
    'xpack.security.http.ssl.key': 'http.key',
    'xpack.security.authc.realms.file.file1.order': '0',
  };
  return Object.entries(values)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`)
    .join('');
}

/** A password as the file realm reads it (Elasticsearch reference, file realm; hashing algorithm `pbkdf2`: SHA-512, 32-byte salt). */
function hashed(password: string): string {
  const salt = randomBytes(PBKDF2.bytes);
  const hash = pbkdf2Sync(password, salt, PBKDF2.rounds, PBKDF2.bytes, 'sha512');
  return `{PBKDF2}${PBKDF2.rounds}$${salt.toString('base64')}$${hash.toString('base64')}`;
}

function giveTo(uid: number, folder: string): void {
  chownSync(folder, uid, uid);
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    chownSync(join(entry.parentPath, entry.name), uid, uid);
  }
}

function ask(
  url: string,
  options: { readonly ca: string; readonly user: string; readonly method: string; readonly body: unknown },
): Promise<{ status: number; body: unknown }> {
  const { ca, user, method, body } = options;
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const auth = `${user}:${user}-password`;
    const outgoing = httpsRequest(
      url,
      { ca, method, headers, auth, agent: false, timeout: ANSWER_MS_MAX },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          try {
            resolve({ status: answer.statusCode ?? 0, body: JSON.parse(text) as unknown });
          } catch {
            resolve({ status: answer.statusCode ?? 0, body: text });
          }
        });
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${ANSWER_MS_MAX} ms`)));
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export const securedElasticsearch: ServerKind<SecuredElasticsearch> = {
  availability,
  prepare: async (preparation) => {
    await prepare(preparation);
  },
  start: (preparation) => startSecuredElasticsearch(undefined, preparation),
};
