/**
 * The app comes first: whatever is wrong with sink, credentials or configuration, its pod becomes Ready, rolls out, ends in its grace
 * and completes as without us, and the status or the log says what is wrong.
 */
import assert from 'node:assert/strict';
import { eventually } from '../cluster/installation.ts';
import {
  createInjected,
  isReady,
  podThat,
  SHORT_GRACE,
  sidecarStatus,
  template,
  writer,
  type PodObject,
} from './pods.ts';
import { requireLogtender, type UnderTest } from './under-test.ts';

const TEST_MS_MAX = 180_000;
const NAMESPACE = 'app-first';

interface Trouble {
  readonly name: string;
  /** Annotation keys without prefix. */
  readonly words: Readonly<Record<string, string>>;
  /** Data of the sink Secret, named like the case. */
  readonly secret?: Readonly<Record<string, string>>;
  /** In the status annotation or in the sidecar's log. */
  readonly says: RegExp;
  /** In the last words of the Job's sidecar. */
  readonly ends?: RegExp;
}

const TROUBLES: readonly Trouble[] = [
  // Port 9 (discard) of the pod itself is closed: nobody answers there.
  {
    name: 'sink-down',
    words: {},
    secret: { 'elasticsearch-url': 'http://127.0.0.1:9' },
    says: /unreachable/,
    // A machine that is starved of processor time kills it with the grace over: then it is what it wrote at SIGTERM.
    ends: /pending=100 .*trouble=unreachable|killed while it drained/,
  },
  { name: 'sink-unknown', words: { sink: 'elastic' }, says: /invalid_value/ },
  { name: 'no-credentials', words: { sink: 'cloudwatch' }, says: /credential/i },
  { name: 'bad-url', words: {}, secret: { 'elasticsearch-url': 'not a url' }, says: /elasticsearch-url|URL/i },
  { name: 'bad-duration', words: { 'flush-interval': 'soon' }, says: /invalid_value[^\n]*flush-interval/ },
];

const labels = (name: string): Readonly<Record<string, string>> => ({ app: name });

describe('the app comes first', function () {
  this.timeout(TEST_MS_MAX);
  let real: UnderTest;

  const podTemplate = (trouble: Trouble, pod: ReturnType<typeof template>): unknown => {
    const words = { ...trouble.words, 'sink-secret': trouble.name };
    const annotations = Object.fromEntries(Object.entries(words).map(([key, value]) => [`logging.io/${key}`, value]));
    return { ...pod, metadata: { labels: labels(trouble.name), annotations } };
  };
  const objectsOf = (trouble: Trouble): readonly unknown[] => {
    const metadata = { name: trouble.name, namespace: NAMESPACE };
    const stays = podTemplate(trouble, template(writer({ count: 100, linger: -1 }), SHORT_GRACE));
    const ends = podTemplate(
      trouble,
      template(writer({ count: 100, rate: 0, linger: 5 }), { restartPolicy: 'Never', ...SHORT_GRACE }),
    );
    return [
      ...(trouble.secret === undefined
        ? []
        : [{ apiVersion: 'v1', kind: 'Secret', metadata, stringData: trouble.secret }]),
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata,
        spec: { replicas: 1, selector: { matchLabels: labels(trouble.name) }, template: stays },
      },
      { apiVersion: 'batch/v1', kind: 'Job', metadata, spec: { backoffLimit: 0, template: ends } },
    ];
  };

  /** They mostly wait for grace periods: side by side. */
  const cases = new Map<string, Promise<void>>();

  before(async function () {
    real = await requireLogtender(this);
    await createInjected(real.kubectl, NAMESPACE);
    const items = TROUBLES.flatMap(objectsOf);
    await real.kubectl.run(['apply', '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items } });
    for (const trouble of TROUBLES) {
      const work = caseOf(trouble);
      // Whoever waits for it gets the failure; nobody may be there yet.
      work.catch(() => {});
      cases.set(trouble.name, work);
    }
  });
  after(async () => {
    await real?.kubectl.run(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--wait=false']);
  });

  for (const { name } of TROUBLES)
    it(`${name}: rolls out, stays Ready, says what is wrong, ends and completes`, async () => {
      const work = cases.get(name);
      assert.ok(work !== undefined);
      await work;
    });

  const caseOf = async (trouble: Trouble): Promise<void> => {
    const { name } = trouble;
    const { kubectl } = real;
    await kubectl.run(['rollout', 'status', `deployment/${name}`, '-n', NAMESPACE, '--timeout=90s']);
    // The Job's pods have none.
    const isOurs = ({ metadata }: PodObject): boolean => metadata.labels?.['pod-template-hash'] !== undefined;
    const pod = await podThat(kubectl, NAMESPACE, `${name}-`, (found) => isOurs(found) && isReady(found));
    assert.ok(sidecarStatus(pod) !== undefined, 'the sidecar is there');
    const log = async (): Promise<string> =>
      (await kubectl.outcome(['logs', pod.metadata.name, '-n', NAMESPACE, '-c', 'logtender'])).stdout;
    const status = pod.metadata.annotations?.['logging.io/status'] ?? '';
    // It says so when it has tried, which takes seconds on a busy machine.
    await eventually(`${name}: words that match ${trouble.says.source}`, async () =>
      trouble.says.test(`${status}\n${await log()}`) ? true : undefined,
    );
    await kubectl.run(['wait', '--for=condition=Complete', `job/${name}`, '-n', NAMESPACE, '--timeout=90s']);
    if (trouble.ends !== undefined) {
      const done = await podThat(kubectl, NAMESPACE, `${name}-`, ({ status: is }) => is.phase === 'Succeeded');
      assert.match(sidecarStatus(done)?.state.terminated?.message ?? '', trouble.ends);
    }
    // Its grace is 10 s; without us it would be gone at once, with us within the grace.
    await kubectl.run(['delete', 'pod', pod.metadata.name, '-n', NAMESPACE, '--timeout=30s']);
    await podThat(
      kubectl,
      NAMESPACE,
      `${name}-`,
      (found) => found.metadata.name !== pod.metadata.name && isOurs(found) && isReady(found),
    );
  };
});
