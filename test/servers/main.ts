/**
 * `npm run servers`: starts every server that this machine can have, for playing, until Ctrl-C. `-- --prepare` only downloads and builds.
 * Names behind it choose some: `npm run servers -- elasticsearch cloudwatch`.
 *
 * Addresses go to stdout, everything else to stderr. Exit code 1 when a chosen server cannot be had. May import: test/servers.
 */
import { errorText } from '../../src/core/errors.ts';
import { systemClock } from '../../src/core/clock.ts';
import { availableServers, skipText } from './available.ts';
import { defaultPreparation, type Preparation } from './cache.ts';
import { buildHelm } from './helm.ts';
import { PEER_NAMES, preparePeer } from './peer-packages.ts';
import type { RunningServer } from './server-kind.ts';
import {
  SERVERS,
  SERVER_NAMES,
  type ControlPlane,
  type RealCluster,
  type S3Server,
  type ServerName,
} from './servers.ts';

const say = (line: string): boolean => process.stderr.write(`${line}\n`);

async function main(args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => !arg.startsWith('--'));
  const unknown = [
    ...names.filter((name) => !SERVER_NAMES.some((known) => known === name)),
    ...args.filter(isUnknownFlag),
  ];
  if (unknown.length > 0) {
    say(`servers: expected names among ${SERVER_NAMES.join(', ')} and --prepare, got ${unknown.join(', ')}`);
    return 2;
  }
  const preparation = defaultPreparation();
  const chosen = await choose(names, preparation);
  const prepared = await prepareAll(chosen.names, preparation);
  if (args.includes('--prepare')) {
    const hasPrograms = names.length > 0 || (await preparePrograms(preparation));
    return chosen.complete && prepared && hasPrograms ? 0 : 1;
  }
  return chosen.names.length > 0 && prepared ? play(chosen.names, preparation) : 1;
}

const isUnknownFlag = (arg: string): boolean => arg.startsWith('--') && arg !== '--prepare';

/** Those of the wanted that can be had; says what to install for the others. Without names: all. */
async function choose(
  names: readonly string[],
  preparation: Preparation,
): Promise<{ readonly names: readonly ServerName[]; readonly complete: boolean }> {
  const wanted = (await availableServers(preparation.cache)).filter(
    ([name]) => names.length === 0 || names.includes(name),
  );
  for (const [name, availability] of wanted) {
    if (!availability.available) say(`not available: ${skipText(name, availability)}`);
  }
  const had = wanted.filter(([, availability]) => availability.available).map(([name]) => name);
  return { names: had, complete: had.length === wanted.length };
}

/** One after the other: each of them uses all cores. */
async function prepareAll(names: readonly ServerName[], preparation: Preparation): Promise<boolean> {
  let complete = true;
  for (const name of names) {
    const begin = systemClock.monotonic();
    try {
      await SERVERS[name].prepare(preparation);
      say(`${name}: prepared in ${seconds(begin)}`);
    } catch (error) {
      complete = false;
      say(`${name}: ${errorText(error)}`);
    }
  }
  return complete;
}

/** What suites run beside the servers and would build or fetch themselves otherwise, in the middle of a run. */
const PROGRAMS: ReadonlyArray<readonly [name: string, prepare: (preparation: Preparation) => Promise<unknown>]> = [
  ['helm', buildHelm],
  ...PEER_NAMES.map((name) => [name, (preparation: Preparation) => preparePeer(name, preparation)] as const),
];

async function preparePrograms(preparation: Preparation): Promise<boolean> {
  let complete = true;
  for (const [name, prepare] of PROGRAMS) {
    const begin = systemClock.monotonic();
    try {
      await prepare(preparation);
      say(`${name}: prepared in ${seconds(begin)}`);
    } catch (error) {
      complete = false;
      say(`${name}: ${errorText(error)}`);
    }
  }
  return complete;
}

async function play(names: readonly ServerName[], preparation: Preparation): Promise<number> {
  const interrupted = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done());
  });
  const running: RunningServer[] = [];
  let code = 0;
  await Promise.all(
    names.map(async (name) => {
      const begin = systemClock.monotonic();
      try {
        const server = await SERVERS[name].start(preparation);
        running.push(server);
        say(`${name}: up in ${seconds(begin)}, logs in ${server.folder}`);
        process.stdout.write(addresses(name, server));
      } catch (error) {
        code = 1;
        say(`${name}: ${errorText(error)}`);
      }
    }),
  );
  say('Ctrl-C stops them and removes their data.');
  // The servers themselves do not keep this process alive.
  const alive = setInterval(() => {}, 60_000);
  await interrupted;
  clearInterval(alive);
  await Promise.all(running.map((server) => server.stop()));
  return code;
}

function addresses(name: ServerName, server: RunningServer): string {
  const lines = [`${name}: ${server.url}`];
  const plane = 'plane' in server ? (server as RealCluster).plane : server;
  if (isControlPlane(plane))
    lines.push(`  export KUBECONFIG=${plane.kubeconfig}`, `  ${plane.kubectlPath} get namespaces`);
  if (name === 'cloudwatch')
    lines.push('  export AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test');
  if (isS3(server))
    lines.push(
      `  export AWS_REGION=${server.region} AWS_ACCESS_KEY_ID=${server.credentials.accessKeyId} AWS_SECRET_ACCESS_KEY=${server.credentials.secretAccessKey}`,
      `  a bucket is a folder: mkdir ${server.folder}/data/logs`,
    );
  return `${lines.join('\n')}\n`;
}

const isS3 = (server: RunningServer): server is S3Server => 'createBucket' in server;

const isControlPlane = (server: RunningServer): server is ControlPlane => 'kubeconfig' in server;

const seconds = (begin: number): string => `${((systemClock.monotonic() - begin) / 1000).toFixed(1)} s`;

process.exitCode = await main(process.argv.slice(2));
