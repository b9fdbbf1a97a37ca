/**
 * The forwarder, started with what an admitted pod says, ships 100,000 lines from 5 files with 3 rotations in flight to the real
 * servers; once undisturbed, once killed ten times with the sink away for 20 s. What arrived is read back from the server and counted.
 */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunnablePod } from '../../src/cli/sidecar-process.ts';
import { systemClock } from '../../src/core/clock.ts';
import { requireServer } from '../servers/require-server.ts';
import type { CloudWatchServer, ControlPlane, SearchServer } from '../servers/servers.ts';
import { discardWorkFolder } from '../servers/work-folder.ts';
import { AdmittedForwarder } from './admitted-forwarder.ts';
import { eventually, install } from './installation.ts';
import type { Installation } from './installation.ts';
import { judge, writeLoad } from './numbered-lines.ts';
import type { Load } from './numbered-lines.ts';

const LOAD: Load = { files: 5, linesPerFile: 20_000, rotations: 3 };
const LINES = LOAD.files * LOAD.linesPerFile;
const NAMES = ['elasticsearch', 'opensearch', 'cloudwatch'];
const KILLS = 10;
const OUTAGE_MS = 20_000;
const TEST_MS_MAX = 240_000;

/** One destination: how the pod names it, how it goes away, how it is read back. */
interface Destination {
  readonly sink: string;
  readonly secret: Readonly<Record<string, string>>;
  halt(): Promise<void>;
  resume(): Promise<void>;
  /** Messages of one run, per log stream where order counts. */
  read(namespace: string, pod: string): Promise<readonly string[]>;
}

function searchDestination(server: SearchServer): Destination {
  return {
    sink: 'elasticsearch',
    secret: { 'elasticsearch-url': server.url },
    halt: () => server.halt('SIGKILL'),
    resume: () => server.resume(),
    read: (namespace) => readIndex(server, `logs-logtender-${namespace.replaceAll('-', '_')}`),
  };
}

async function readIndex(server: SearchServer, index: string): Promise<readonly string[]> {
  interface Page {
    readonly _scroll_id: string;
    readonly hits: { readonly hits: ReadonlyArray<{ readonly _source: { readonly message: string } }> };
  }
  await server.request('POST', `/${index}/_refresh`);
  const messages: string[] = [];
  let answer = await server.request('POST', `/${index}/_search?scroll=1m`, {
    size: 10_000,
    sort: ['_doc'],
    _source: ['message'],
  });
  for (;;) {
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const page = answer.body as Page;
    if (page.hits.hits.length === 0) return messages;
    messages.push(...page.hits.hits.map((hit) => hit._source.message));
    answer = await server.request('POST', '/_search/scroll', { scroll: '1m', scroll_id: page._scroll_id });
  }
}

function cloudwatchDestination(server: CloudWatchServer): Destination {
  return {
    sink: 'cloudwatch',
    secret: {
      'aws-access-key-id': server.credentials.accessKeyId,
      'aws-secret-access-key': server.credentials.secretAccessKey,
    },
    halt: () => server.halt(),
    resume: () => server.resume(),
    read: async (namespace, pod) => {
      const group = `/k8s/test/${namespace}/web`;
      const streams = await server.logStreams(group);
      assert.deepEqual(
        streams,
        Array.from({ length: LOAD.files }, (_, file) => `${pod}/app/var/log/app/app-${file}.log`),
        'one log stream per file, named for people',
      );
      const messages: string[] = [];
      for (const stream of streams)
        messages.push(...(await server.readEvents(group, stream)).map((event) => event.message));
      return messages;
    },
  };
}

function counts(summary: string): Readonly<Record<string, number>> {
  return Object.fromEntries([...summary.matchAll(/(\w+)=(\d+)/g)].map((match) => [match[1] ?? '', Number(match[2])]));
}

describe('delivery to real servers', function () {
  this.timeout(TEST_MS_MAX);
  let plane: ControlPlane;
  let installed: Installation;
  const destinations = new Map<string, Destination>();
  const roots: string[] = [];

  before(async function () {
    destinations.set('elasticsearch', searchDestination(await requireServer(this, 'elasticsearch')));
    destinations.set('opensearch', searchDestination(await requireServer(this, 'opensearch')));
    const cloudwatch = await requireServer(this, 'cloudwatch');
    destinations.set('cloudwatch', cloudwatchDestination(cloudwatch));
    plane = await requireServer(this, 'control-plane');
    await plane.registerNode();
    installed = await install(plane, {
      webhook: `cluster: test\ncloudwatchEndpoint: ${cloudwatch.url}\nawsRegion: ${cloudwatch.region}\n`,
    });
  });
  after(async function () {
    this.timeout(60_000);
    await installed?.uninstall();
    for (const root of roots) discardWorkFolder(root);
  });

  /** Creates the pod through the API server, as a user does, and prepares its sidecar as a process. */
  const admit = async (
    namespace: string,
    destination: Destination,
  ): Promise<{ readonly forwarder: AdmittedForwarder; readonly pod: string }> => {
    await plane.kubectl(['create', 'namespace', namespace]);
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
    await eventually('the default account', async () =>
      (await plane.request('GET', path)).status === 200 ? true : undefined,
    );
    const asked = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'web-0',
        labels: { app: 'web' },
        annotations: {
          'logging.io/inject': 'true',
          'logging.io/files': '/var/log/app/*.log',
          'logging.io/stdout': 'off',
          'logging.io/sink': destination.sink,
          'logging.io/flush-interval': '200ms',
        },
      },
      spec: { containers: [{ name: 'app', image: 'example/web:1' }] },
    };
    const pod = JSON.parse(
      await plane.kubectl(['create', '-n', namespace, '-o', 'json', '-f', '-'], { input: asked }),
    ) as RunnablePod;
    const root = mkdtempSync(join(tmpdir(), 'logtender-delivery-'));
    roots.push(root);
    return { forwarder: await AdmittedForwarder.of(pod, root, destination.secret), pod: pod.metadata.name ?? '' };
  };

  const destinationOf = (name: string): Destination => {
    const destination = destinations.get(name);
    assert.ok(destination !== undefined);
    return destination;
  };

  const undisturbed = async (name: string): Promise<void> => {
    const destination = destinationOf(name);
    const { forwarder, pod } = await admit(`calm-${name}`, destination);
    forwarder.start();
    await writeLoad(forwarder.appFolder('app', '/var/log/app'), LOAD);
    await forwarder.caughtUp(LINES);
    const { code, summary } = await forwarder.drain();
    assert.equal(code, 0, forwarder.log());
    const ledger = counts(summary);
    assert.deepEqual(
      [ledger['read'], ledger['delivered'], ledger['dropped'], ledger['pending']],
      [LINES, LINES, 0, 0],
      summary,
    );
    const verdict = judge(LOAD, await destination.read(`calm-${name}`, pod));
    assert.deepEqual(
      { ...verdict, outOfOrder: name === 'cloudwatch' ? verdict.outOfOrder : 0 },
      {
        arrived: LINES,
        lost: 0,
        duplicates: 0,
        strangers: [],
        outOfOrder: 0,
      },
    );
  };

  const throughFaults = async (name: string): Promise<void> => {
    const destination = destinationOf(name);
    const { forwarder, pod } = await admit(`faults-${name}`, destination);
    forwarder.start();
    const written = writeLoad(forwarder.appFolder('app', '/var/log/app'), LOAD);
    for (let kill = 0; kill < KILLS / 2; kill += 1) {
      await forwarder.started();
      await systemClock.sleep(500);
      await forwarder.kill();
      forwarder.start();
    }
    await destination.halt();
    for (let kill = 0; kill < KILLS / 2; kill += 1) {
      await forwarder.started();
      await systemClock.sleep(kill === 0 ? OUTAGE_MS : 500);
      if (kill === 0) await destination.resume();
      await forwarder.kill();
      forwarder.start();
    }
    await written;
    await forwarder.caughtUp(LINES);
    const { code, summary } = await forwarder.drain();
    assert.equal(code, 0, forwarder.log());
    const ledger = counts(summary);
    assert.deepEqual([ledger['dropped'], ledger['pending']], [0, 0], `${summary}\n${forwarder.log()}`);
    const verdict = judge(LOAD, await destination.read(`faults-${name}`, pod));
    assert.equal(verdict.lost, 0);
    assert.deepEqual(verdict.strangers, []);
    if (name !== 'cloudwatch') assert.equal(verdict.duplicates, 0);
    else {
      assert.equal(verdict.outOfOrder, 0);
      const most = ledger['duplicates_max'] ?? 0;
      assert(verdict.duplicates <= most, `${verdict.duplicates} twice, the books say at most ${most}; ${summary}`);
    }
    process.stdout.write(
      `      ${verdict.arrived} arrived, ${verdict.lost} lost, ${verdict.duplicates} twice; ${summary}\n`,
    );
  };

  /** One test for each destination. They mostly wait, for their writers and sinks: side by side. */
  const sideBySide = (title: string, words: string, work: (name: string) => Promise<void>): void => {
    describe(title, () => {
      const cases = new Map<string, Promise<void>>();
      before(() => {
        for (const name of NAMES) {
          const done = work(name);
          // Whoever waits for it gets the failure; nobody may be there yet.
          done.catch(() => {});
          cases.set(name, done);
        }
      });
      for (const name of NAMES)
        it(`${name}: ${words}`, async () => {
          const done = cases.get(name);
          assert.ok(done !== undefined);
          await done;
        });
    });
  };

  sideBySide('undisturbed', 'every line once and in order, through 3 rotations of each file', undisturbed);
  sideBySide(
    'through faults',
    `killed ${KILLS} times, the sink away for ${OUTAGE_MS / 1000} s, and still every line`,
    throughFaults,
  );
});
