/**
 * `npm run cluster`: see USAGE in options.ts.
 *
 * Invariant: whatever happens, what was started or created is ended and removed again; the user's own cluster included.
 */
import { errorText } from '../../src/core/errors.ts';
import { systemClock } from '../../src/core/clock.ts';
import { defaultPreparation } from '../servers/cache.ts';
import { missingForNode } from '../servers/node/host.ts';
import { findProgram } from '../servers/programs.ts';
import { SERVERS } from '../servers/servers.ts';
import { startCluster } from '../servers/node/cluster.ts';
import { buildImageFile } from './built-image.ts';
import { deployExample, EXAMPLE_NAMESPACE, lineNumberOf, removeExample } from './example.ts';
import { installLogtender, uninstallLogtender } from './installation.ts';
import { kubectlFor, type Kubectl } from './kubectl.ts';
import { parseOptions, type ClusterOptions } from './options.ts';

/** Ten seconds of the example. */
const LINES_ONCE = 200;
/** All of them are there seconds after the last was written. */
const ARRIVAL_MS_MAX = 120_000;
/** Records that are shown as they are; the rest is counted. */
const LINES_SHOWN = 10;

const begin = systemClock.monotonic();
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const step = (text: string): void => say(`[${((systemClock.monotonic() - begin) / 1000).toFixed(1)} s] ${text}`);

interface Target {
  readonly kubectl: Kubectl;
  readonly image: string;
  /** How a person asks this cluster. */
  readonly command: string;
}

/** Started last, ended first. */
const undo: Array<() => Promise<void>> = [];

async function main(): Promise<number> {
  const parsed = parseOptions(process.argv.slice(2));
  if (parsed.kind === 'say') {
    (parsed.code === 0 ? process.stdout : process.stderr).write(parsed.text);
    return parsed.code;
  }
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  let code = 1;
  try {
    code = await show(parsed.options, interrupted.signal);
  } catch (error) {
    say(`cluster: ${errorText(error)}`);
  }
  for (const action of undo.toReversed()) {
    try {
      await action();
    } catch (error) {
      say(`cluster: ${errorText(error)}`);
      code = 1;
    }
  }
  step('everything is removed again');
  return code;
}

async function show(options: ClusterOptions, interrupted: AbortSignal): Promise<number> {
  const target = options.own === undefined ? await localTarget() : await ownTarget(options.own);
  if (target === undefined) return 1;
  const install = { image: target.image, config: { cluster: 'example' } };
  // A cluster of our own goes as a whole.
  if (options.own !== undefined) undo.push(() => uninstallLogtender(target.kubectl, install));
  await installLogtender(target.kubectl, install);
  step('logtender is installed: webhook and certificate manager are Ready');
  if (options.own !== undefined) undo.push(() => removeExample(target.kubectl));
  const pod = await deployExample(target.kubectl, target.image, options.once ? LINES_ONCE : 0);
  step(`the example runs: pod ${pod}`);
  say(await target.kubectl.run(['describe', 'pod', pod, '-n', EXAMPLE_NAMESPACE]));
  const seen = new Set<number>();
  const follower = target.kubectl.follow(['logs', '-f', pod, '-n', EXAMPLE_NAMESPACE, '-c', 'logtender'], (line) => {
    const number = lineNumberOf(line);
    if (number === undefined) return;
    seen.add(number);
    if (!options.once || seen.size <= LINES_SHOWN) say(line);
    else if (seen.size === LINES_SHOWN + 1) say('...');
  });
  undo.push(async () => {
    follower.stop();
    await follower.ended;
  });
  if (!options.once) {
    say(`\nAsk it: ${target.command} get pods -A\nCtrl-C ends and removes everything.`);
    const alive = setInterval(() => {}, 60_000);
    await new Promise<void>((done) => {
      if (interrupted.aborted) done();
      interrupted.addEventListener('abort', () => done(), { once: true });
    });
    clearInterval(alive);
    return 0;
  }
  const deadline = systemClock.monotonic() + ARRIVAL_MS_MAX;
  while (seen.size < LINES_ONCE && systemClock.monotonic() < deadline && !interrupted.aborted)
    await systemClock.sleep(50);
  step(`${seen.size} of ${LINES_ONCE} lines arrived`);
  return seen.size === LINES_ONCE ? 0 : 1;
}

/** A cluster on this machine, with the image of this checkout. */
async function localTarget(): Promise<Target | undefined> {
  const preparation = defaultPreparation();
  const missing = missingForNode(preparation.cache);
  const availability = missing ?? (await SERVERS.cluster.availability(preparation.cache));
  if ('reason' in availability) {
    say(`This machine cannot run the cluster: ${availability.reason}.\nTo run it: ${availability.remedy}.`);
    say('Or use a cluster of your own: npm run cluster -- --context NAME --image NAME:TAG');
    return undefined;
  }
  await SERVERS.cluster.prepare(preparation);
  const building = buildImageFile();
  // Whoever waits for it gets the failure; nobody may be there yet.
  building.catch(() => {});
  undo.push(() =>
    building.then(
      (image) => image.discard(),
      () => {},
    ),
  );
  const cluster = await startCluster(preparation);
  undo.push(() => cluster.stop());
  const image = await building;
  step(`the cluster is up: Kubernetes ${cluster.plane.version}, node Ready`);
  await cluster.importImage(image.path);
  step(`image ${image.reference}@${image.digest}`);
  const { kubectlPath, kubeconfig } = cluster.plane;
  return {
    kubectl: kubectlFor(kubectlPath, [`--kubeconfig=${kubeconfig}`]),
    image: image.reference,
    command: `KUBECONFIG=${kubeconfig} ${kubectlPath}`,
  };
}

/** The user's own, where nothing of ours may be there yet. */
async function ownTarget({
  context,
  image,
}: {
  readonly context: string;
  readonly image: string;
}): Promise<Target | undefined> {
  const program = findProgram('kubectl');
  if (program === undefined) {
    say('kubectl was not found; to use your own cluster, install it: https://kubernetes.io/docs/tasks/tools');
    return undefined;
  }
  const kubectl = kubectlFor(program, [`--context=${context}`]);
  const { code, stderr } = await kubectl.outcome(['version', '-o', 'json']);
  if (code !== 0) {
    say(`context ${context}: expected a cluster that answers, got: ${stderr.trim()}`);
    return undefined;
  }
  for (const [kind, name] of [
    ['namespace', 'logtender'],
    ['namespace', EXAMPLE_NAMESPACE],
    ['mutatingwebhookconfiguration', 'logtender-injector'],
  ] as const) {
    if ((await kubectl.get(kind, name)) === undefined) continue;
    say(`context ${context}: expected a cluster without logtender, got ${kind} ${name}; it is left alone.`);
    return undefined;
  }
  step(`context ${context} answers`);
  return { kubectl, image, command: `kubectl --context ${context}` };
}

process.exitCode = await main();
