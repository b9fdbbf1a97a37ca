/**
 * Promises about certificates on a real API server, one test each: two webhooks behind one address, two certificate managers, all with
 * the rights of the manifests. Lives are those of production, waits are short.
 *
 * The cases use one installation, in this order; each leaves it in order.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { parseTrustBundle } from '../../certs/bundle.ts';
import type { CertificateFacts } from '../../certs/bundle.ts';
import { parseCaState } from '../../certs/ca-state.ts';
import type { CaState } from '../../certs/ca-state.ts';
import { newGeneration, newServingPair } from '../../certs/issuer.ts';
import { openOrders, ROTATE_ANNOTATION, ROTATION_KINDS } from '../../certs/orders.ts';
import { entriesOfSecret } from '../../certs/secret-store.ts';
import { parseServingPair, writeServingPair } from '../../certs/serving-state.ts';
import { systemClock } from '../../src/core/clock.ts';
import { isRecord } from '../../src/kube/client.ts';
import type { KubeClient, KubeObject } from '../../src/kube/client.ts';
import { corePath, webhookConfigurationPath } from '../../src/kube/paths.ts';
import { TcpRelay } from '../fakes/tcp-relay.ts';
import { ask } from '../servers/http-json.ts';
import { requireOwn } from '../servers/require-server.ts';
import { startControlPlane } from '../servers/servers.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { seriesSum } from '../soak/admission-meter.ts';
import { createSession } from '../soak/session.ts';
import type { SoakSession } from '../soak/session.ts';
import type { WebhookReplica } from './fleet.ts';
import { eventually } from './installation.ts';
import { servedFingerprint, watchServed } from './serving.ts';

const NAMESPACE = 'logtender';
const HOST = 'logtender-webhook.logtender.svc';
const CONFIGURATION = 'logtender-injector';
const CA_SECRET = 'logtender-ca';
const TLS_SECRET = 'logtender-tls';
const CERTS = 'settle: 1s\nrestoreGrace: 1s\ntick: 1s\nlease: 2s';
/** How soon drift is mended, and a change is seen although its watch was killed. */
const MENDED_MS_MAX = 5_000;
const SEEN_MS_MAX = 60_000;
/** Three settle times, and a busy machine. */
const ORDER_MS_MAX = 30_000;
const TICKS_3_MS = 3_000;
const RULES = { lifeMs: 3_600_000, backdateMs: 60_000 };

type Json = Readonly<Record<string, unknown>>;

describe('certificates on a real API server', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let relay: TcpRelay;
  let session: SoakSession;
  let client: KubeClient;
  let webhook: WebhookReplica;

  before(async function () {
    plane = await requireOwn(this, 'control-plane', () => startControlPlane());
    relay = new TcpRelay(plane.url);
    await relay.start();
    session = await createSession(plane, {
      certs: CERTS,
      webhooks: 2,
      certsReplicas: 2,
      webhookUrl: (replica) => (replica === 0 ? relay.url.replace('http:', 'https:') : undefined),
      perSecond: 20,
    });
    const [admin] = session.clients;
    assert(admin !== undefined);
    client = admin;
  });
  after(async () => {
    await session?.stop();
    await relay?.stop();
    await plane?.stop();
  });

  async function get(path: string): Promise<KubeObject> {
    const read = await client.get(path);
    assert(read.ok, `read ${path}`);
    return read.value;
  }

  const configuration = (): Promise<KubeObject> => get(webhookConfigurationPath(CONFIGURATION));
  const secret = (name: string): Promise<KubeObject> => get(corePath(NAMESPACE, 'secrets', name));

  async function caState(): Promise<CaState> {
    const parsed = parseCaState(entriesOfSecret(await secret(CA_SECRET)));
    assert(parsed.ok);
    return parsed.value;
  }

  async function bundles(name = CONFIGURATION): Promise<ReadonlyArray<readonly CertificateFacts[]>> {
    return webhooksOf(await get(webhookConfigurationPath(name))).map((entry) => {
      const { caBundle } = entry['clientConfig'] as { readonly caBundle?: string };
      return parseTrustBundle(Buffer.from(caBundle ?? '', 'base64').toString()).certificates;
    });
  }

  /** True when every entry trusts the CA. */
  async function isTrusted(fingerprint: string, name = CONFIGURATION): Promise<true | undefined> {
    const live = await bundles(name);
    return live.every((bundle) => bundle.some((ca) => ca.fingerprint === fingerprint)) ? true : undefined;
  }

  /** Every entry trusts our CA again within the promised time. */
  async function assertMended(fingerprint: string): Promise<void> {
    await eventually('our CA in every entry', () => isTrusted(fingerprint), MENDED_MS_MAX);
  }

  const patchConfiguration = (operations: readonly Json[]): Promise<unknown> =>
    ok(client.patch(webhookConfigurationPath(CONFIGURATION), operations, 'application/json-patch+json'));

  /** Replaces the data of a Secret of ours, whatever holds it. */
  const writeData = (name: string, entries: Readonly<Record<string, string>>): Promise<unknown> => {
    const data = Object.fromEntries(
      Object.entries(entries).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    );
    const path = corePath(NAMESPACE, 'secrets', name);
    return ok(client.patch(path, [{ op: 'add', path: '/data', value: data }], 'application/json-patch+json'));
  };

  async function haltCerts(): Promise<void> {
    await Promise.all(session.fleet.certs.map((replica) => replica.halt('SIGKILL')));
  }

  async function startCerts(): Promise<void> {
    await Promise.all(session.fleet.certs.map((replica) => replica.start()));
  }

  /** A replica that mends one thing too often in a minute holds back; new ones have no such memory. */
  async function restartCerts(): Promise<string> {
    await haltCerts();
    await startCerts();
    return (await caState()).current.certificate.fingerprint;
  }

  const readyz = async (): Promise<{ readonly status: number; readonly text: string }> => {
    const { status, body } = await ask(`http://127.0.0.1:${webhook.adminPort}/readyz`);
    return { status, text: String(body) };
  };

  /** Waits until /readyz says no because of that check. */
  const notReady = (check: string): Promise<true> =>
    eventually(`a webhook that is not ready: ${check}`, async () => {
      const { status, text } = await readyz().catch(() => ({ status: 0, text: '' }));
      return status === 503 && text.includes(`[-]${check}:`) ? true : undefined;
    });

  const ready = (): Promise<true> =>
    eventually('a webhook that is ready', async () => ((await readyz()).status === 200 ? true : undefined));

  /** Runs the work while pods are created; none of them may be refused or bare. */
  async function unharmed(work: () => Promise<void>): Promise<void> {
    const { load, meter } = await session.begin();
    try {
      await work();
    } finally {
      await load.stop();
    }
    const { refused, bare, unanswered, creations, failures } = load.counts();
    assert.deepEqual({ refused, bare, unanswered }, { refused: 0, bare: 0, unanswered: 0 }, failures.join('\n'));
    assert.deepEqual(await meter.growth(), { failOpen: 0, callErrors: 0 });
    assert.ok(creations > 0);
  }

  describe('at the start', () => {
    it('a webhook is not ready before it has a certificate and every entry trusts its CA (B8 19)', async () => {
      const starting = session.fleet.addWebhook();
      const waiting = await eventually('its admin server', async () => session.fleet.webhooks[0]);
      webhook = waiting;
      await notReady('certificate');
      await startCerts();
      await starting;
      await session.fleet.addWebhook();
      await session.prepare();
      assert.equal((await readyz()).status, 200);
    });

    it('two replicas make two Secrets and one CA in each of the four entries', async () => {
      const state = await caState();
      const live = await bundles();
      assert.equal(live.length, 4);
      for (const bundle of live)
        assert.deepEqual(
          bundle.map((ca) => ca.fingerprint),
          [state.current.certificate.fingerprint],
        );
      const keys = async (name: string): Promise<readonly string[]> =>
        Object.keys(entriesOfSecret(await secret(name))).toSorted();
      assert.deepEqual(await keys(CA_SECRET), ['ca.crt', 'ca.key', 'rotation']);
      const tls = await keys(TLS_SECRET);
      assert.ok(
        ['ca.crt', 'tls.crt', 'tls.key'].every((key) => tls.includes(key)),
        tls.join(' '),
      );
      assert.ok(!tls.includes('ca.key'), 'the webhook must not read the key of the CA');
    });

    it('a webhook whose CA an entry does not trust is not ready until the live bundle verifies its chain (B8 19)', async () => {
      const { current } = await caState();
      await haltCerts();
      const path = '/webhooks/2/clientConfig/caBundle';
      await patchConfiguration([{ op: 'remove', path }]);
      await notReady('ca-bundle');
      const other = await newGeneration({ ca: RULES, leaf: RULES, hosts: [], randomBytes }, 1, systemClock.now());
      const value = Buffer.from(other.certificate.pem).toString('base64');
      await patchConfiguration([{ op: 'add', path, value }]);
      await notReady('ca-bundle');
      await startCerts();
      await ready();
      assert.ok(await isTrusted(current.certificate.fingerprint));
      await patchConfiguration([{ op: 'replace', path, value: '' }]);
      await assertMended(current.certificate.fingerprint);
    });
  });

  describe('drift of the caBundle', () => {
    it('removed, emptied, garbled or another one: ours is back within 5 s (B8 4)', async () => {
      const fingerprint = await restartCerts();
      const path = '/webhooks/1/clientConfig/caBundle';
      const base64 = (text: string): string => Buffer.from(text).toString('base64');
      await patchConfiguration([{ op: 'remove', path }]);
      await assertMended(fingerprint);
      for (const value of ['', base64('garbage')]) {
        await patchConfiguration(
          [0, 1, 2, 3].map((i) => ({ op: 'replace', path: path.replace('1', String(i)), value })),
        );
        await assertMended(fingerprint);
      }
      await patchConfiguration([
        { op: 'replace', path, value: base64('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n') },
      ]);
      await assertMended(fingerprint);
    });

    it('a configuration that is deleted and applied again is filled within 5 s', async () => {
      const fingerprint = await restartCerts();
      await plane.kubectl(['delete', 'mutatingwebhookconfiguration', CONFIGURATION]);
      await plane.kubectl(['apply', '-k', session.fleet.folder]);
      await assertMended(fingerprint);
    });

    it('every entry is patched by its name, wherever it stands (B8 5)', async () => {
      const fingerprint = await restartCerts();
      const before = byName(await configuration());
      for (let round = 0; round < 4; round += 1) {
        await rearrange(round);
        // While that write is being mended the entries change their places again.
        await rearrange(-1);
        await assertMended(fingerprint);
      }
      assert.deepEqual(byName(await configuration()), before);
    });

    /** Rotates the entries by one place; the one of that number loses its bundle. */
    async function rearrange(stripped: number): Promise<void> {
      await eventually('a write that nobody overtook', async () => {
        const live = await configuration();
        const [head, ...rest] = webhooksOf(live);
        const moved = [...rest, head].map((entry, i) =>
          i === stripped ? { ...entry, clientConfig: withoutBundle(entry) } : entry,
        );
        const written = await client.update(webhookConfigurationPath(CONFIGURATION), { ...live, webhooks: moved });
        return written.ok ? true : undefined;
      });
    }

    it('an entry that is added gets the bundle within 5 s', async () => {
      const fingerprint = await restartCerts();
      const [entry] = webhooksOf(await configuration());
      const value = { ...entry, name: 'added.logtender.logging.io', clientConfig: withoutBundle(entry) };
      await patchConfiguration([{ op: 'add', path: '/webhooks/0', value }]);
      await assertMended(fingerprint);
      assert.equal((await bundles()).length, 5);
      await patchConfiguration([{ op: 'remove', path: '/webhooks/0' }]);
    });

    it('a CA of somebody else stays until it expires, then it goes', async () => {
      const fingerprint = await restartCerts();
      const rules = { lifeMs: 6_000, backdateMs: 1_000 };
      const other = await newGeneration({ ca: rules, leaf: rules, hosts: [], randomBytes }, 1, systemClock.now());
      const [[ours] = []] = await bundles();
      const value = Buffer.from(`${ours?.pem ?? ''}${other.certificate.pem}`).toString('base64');
      await patchConfiguration([{ op: 'replace', path: '/webhooks/3/clientConfig/caBundle', value }]);
      // A repair of another entry does not sweep it away.
      await patchConfiguration([{ op: 'replace', path: '/webhooks/0/clientConfig/caBundle', value: '' }]);
      await assertMended(fingerprint);
      const holds = async (): Promise<boolean> =>
        (await bundles())[3]?.some((ca) => ca.fingerprint === other.certificate.fingerprint) === true;
      assert.ok(await holds(), 'still trusted');
      await eventually('the expired CA gone', async () => ((await holds()) ? undefined : true));
      assert.ok(systemClock.now() >= other.certificate.notAfterMs, 'not before its end');
      assert.ok(await isTrusted(fingerprint));
    });

    it('kubectl apply and a server-side apply by another manager leave the bundle or it is back within 5 s (B8 9)', async () => {
      const fingerprint = await restartCerts();
      const apply = ['apply', '-k', session.fleet.folder];
      const server = ['--server-side', '--force-conflicts', '--field-manager=gitops'];
      const before = await configuration();
      await plane.kubectl(apply);
      assert.ok(await isTrusted(fingerprint), 'kubectl apply leaves it alone');
      await plane.kubectl([...apply, ...server]);
      assert.ok(await isTrusted(fingerprint), 'server-side apply leaves it alone');
      assert.deepEqual(byName(await configuration()), byName(before));
      // A manifest that brings a bundle of its own and takes the field.
      const entries = webhooksOf(await configuration()).map((entry) => ({
        ...entry,
        clientConfig: { ...withoutBundle(entry), caBundle: Buffer.from('none').toString('base64') },
      }));
      const input = {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'MutatingWebhookConfiguration',
        metadata: { name: CONFIGURATION },
        webhooks: entries,
      };
      await plane.kubectl(['apply', '-f', '-', ...server], { input });
      await assertMended(fingerprint);
      await plane.kubectl(['replace', '-f', '-'], { input });
      await assertMended(fingerprint);
    });
  });

  describe('Secrets', () => {
    it('deleted while a replica lives: the same again, no creation refused (B8 6)', async () => {
      await restartCerts();
      await unharmed(async () => {
        for (const name of [CA_SECRET, TLS_SECRET]) {
          const before = entriesOfSecret(await secret(name));
          await ok(client.delete(corePath(NAMESPACE, 'secrets', name)));
          await eventually(
            `${name} again`,
            async () => {
              const read = await client.get(corePath(NAMESPACE, 'secrets', name));
              return read.ok ? true : undefined;
            },
            MENDED_MS_MAX,
          );
          assert.deepEqual(entriesOfSecret(await secret(name)), before);
        }
      });
    });

    it('corrupted in each of six ways: what is served stays, then the Secret is as before (B8 7)', async () => {
      await restartCerts();
      const leaf = await servedFingerprint(webhook.port);
      const served = watchServed(webhook.port, systemClock);
      await unharmed(async () => {
        for (const [name, crt, key] of [
          [CA_SECRET, 'ca.crt', 'ca.key'],
          [TLS_SECRET, 'tls.crt', 'tls.key'],
        ] as const) {
          const before = entriesOfSecret(await secret(name));
          for (const [kind, entries] of Object.entries(await corruptions(before, crt, key))) {
            await writeData(name, entries);
            await eventually(
              `${name} repaired after: ${kind}`,
              async () => isSame(entriesOfSecret(await secret(name)), before),
              MENDED_MS_MAX,
            );
          }
        }
      });
      assert.deepEqual([...(await served.stop())], [leaf]);
    });

    it('a bad pair that nobody repairs: the old one is served, readiness stays, the metric says so (B8 15)', async () => {
      const leaf = await servedFingerprint(webhook.port);
      await haltCerts();
      const before = await refusedPairs();
      await unharmed(async () => {
        await writeData(TLS_SECRET, { ...entriesOfSecret(await secret(TLS_SECRET)), 'tls.key': 'garbage' });
        await eventually('a refused pair', async () => ((await refusedPairs()) > before ? true : undefined));
        assert.equal(await servedFingerprint(webhook.port), leaf);
        assert.equal((await readyz()).status, 200);
        // These replicas never saw the pair: it cannot come back, a new one does.
        await startCerts();
        await eventually('a new leaf', async () =>
          (await servedFingerprint(webhook.port)) === leaf ? undefined : true,
        );
      });
    });

    async function refusedPairs(): Promise<number> {
      const { body } = await ask(`http://127.0.0.1:${webhook.adminPort}/metrics`);
      return seriesSum(String(body).split('\n'), 'logtender_certificate_reloads_total', 'result="refused"');
    }

    it('a change is served within 60 s although the watch was killed before it (B8 20)', async () => {
      await unharmed(async () => {
        await relay.stop();
        const state = await caState();
        const pair = await newServingPair(
          { ca: RULES, leaf: RULES, hosts: [HOST], randomBytes },
          state,
          systemClock.now(),
        );
        await writeData(TLS_SECRET, { ...entriesOfSecret(await secret(TLS_SECRET)), ...writeServingPair(pair) });
        await systemClock.sleep(TICKS_3_MS);
        await relay.start();
        await eventually(
          'the new pair',
          async () => ((await servedFingerprint(webhook.port)) === pair.leaf.fingerprint ? true : undefined),
          SEEN_MS_MAX,
        );
      });
    });

    for (const name of [TLS_SECRET, CA_SECRET]) {
      it(`a Secret ${name} of somebody else is never written, and what is served stays (B8 8)`, async () => {
        const leaf = await servedFingerprint(webhook.port);
        const path = corePath(NAMESPACE, 'secrets', name);
        await unharmed(async () => {
          const ours = entriesOfSecret(await secret(name));
          await haltCerts();
          await ok(client.delete(path));
          // Word for word what ours held: only the label tells whose it is.
          const arguments_ = Object.entries(ours).map(([key, text]) => `--from-literal=${key}=${text}`);
          await plane.kubectl(['create', 'secret', 'generic', name, '-n', NAMESPACE, ...arguments_]);
          const { metadata } = await secret(name);
          const [replica] = session.fleet.certs;
          assert(replica !== undefined);
          replica.launch();
          await eventually('a replica that says why it is blocked', async () => {
            const answer = await ask(`http://127.0.0.1:${replica.adminPort}/readyz`).catch(() => undefined);
            const text = typeof answer?.body === 'string' ? answer.body : '';
            return text.includes('logging.io/owned-by=logtender-certs') ? true : undefined;
          });
          await systemClock.sleep(TICKS_3_MS);
          assert.equal((await secret(name)).metadata.resourceVersion, metadata.resourceVersion);
          assert.equal(await servedFingerprint(webhook.port), leaf);
          await replica.halt('SIGKILL');
          await plane.kubectl(['label', 'secret', name, '-n', NAMESPACE, 'logging.io/owned-by=logtender-certs']);
          await startCerts();
        });
      });
    }
  });

  describe('orders', () => {
    it('orders of an operator are executed once each, no creation refused, and a compromised CA is trusted no more', async () => {
      const before = await restartCerts();
      await unharmed(async () => {
        for (const kind of ROTATION_KINDS) {
          const text = `${kind}@${randomBytes(4).toString('hex')}`;
          const patch = { metadata: { annotations: { [ROTATE_ANNOTATION]: text } } };
          const leaf = await servedFingerprint(webhook.port);
          await ok(client.patch(corePath(NAMESPACE, 'secrets', CA_SECRET), patch, 'application/merge-patch+json'));
          await eventually(`${kind} done`, () => isDone(text), ORDER_MS_MAX);
          await eventually(
            'a new leaf',
            async () => (await servedFingerprint(webhook.port)) !== leaf || undefined,
            MENDED_MS_MAX,
          );
        }
      });
      const { generation, current, orders } = await caState();
      assert.equal(orders?.compromised.length, 2, 'the CA of the time and the one before it');
      const live = await bundles();
      assert.ok(
        live.every((bundle) => bundle.length === 1 && bundle[0]?.fingerprint === current.certificate.fingerprint),
      );
      assert.notEqual(current.certificate.fingerprint, before);
      await systemClock.sleep(TICKS_3_MS);
      assert.equal((await caState()).generation, generation, 'and not again');
      const events = await client.list(corePath(NAMESPACE, 'events'));
      assert.ok(events.ok);
      const told = new Set(events.value.items.map((event) => event['reason']));
      for (const reason of ['RotationRequested', 'CaGenerated', 'CaPromoted', 'CaDistrusted', 'CaPruned', 'LeafIssued'])
        assert.ok(told.has(reason), `${reason} in ${[...told].join(', ')}`);
    });
  });

  /** True when the order was taken up and nothing of it is open. */
  async function isDone(text: string): Promise<true | undefined> {
    const pair = parseServingPair(entriesOfSecret(await secret(TLS_SECRET)));
    const state = await caState();
    if (!pair.ok || state.orders?.handled !== text) return undefined;
    return openOrders(state, pair.value).length === 0 ? true : undefined;
  }

  it('has no right to anything but its own objects', async () => {
    const account = ['--as', 'system:serviceaccount:logtender:logtender-certs'];
    const refused: ReadonlyArray<readonly string[]> = [
      ['get', 'secrets', '-n', 'default'],
      ['get', 'secrets/other', '-n', NAMESPACE],
      ['delete', 'secrets/logtender-ca', '-n', NAMESPACE],
      ['patch', 'mutatingwebhookconfigurations/other'],
      ['create', 'mutatingwebhookconfigurations'],
      ['list', 'pods', '-n', NAMESPACE],
    ];
    for (const words of refused) {
      const { stdout } = await plane.kubectlOutcome(['auth', 'can-i', ...words, ...account]);
      assert.match(stdout, /^no/, words.join(' '));
    }
  });
});

async function ok(result: Promise<{ readonly ok: boolean }>): Promise<unknown> {
  const outcome = await result;
  assert.ok(outcome.ok, JSON.stringify(outcome));
  return outcome;
}

function isSame(a: unknown, b: unknown): true | undefined {
  return JSON.stringify(a) === JSON.stringify(b) ? true : undefined;
}

function webhooksOf(configuration: KubeObject): readonly Json[] {
  const webhooks: unknown = configuration['webhooks'];
  return Array.isArray(webhooks) ? webhooks.filter(isRecord) : [];
}

function withoutBundle(entry: Json | undefined): Json {
  const { caBundle: _, ...rest } = isRecord(entry?.['clientConfig']) ? entry['clientConfig'] : {};
  return rest;
}

/** Every entry by its name, bundles included: two configurations that differ in the order of their entries are equal. */
function byName(configuration: KubeObject): Readonly<Record<string, Json>> {
  return Object.fromEntries(webhooksOf(configuration).map((entry) => [String(entry['name']), entry]));
}

/** Six ways in which a Secret with a certificate and its key can be broken; the API server takes them all. */
async function corruptions(
  entries: Readonly<Record<string, string>>,
  crt: string,
  key: string,
): Promise<Readonly<Record<string, Readonly<Record<string, string>>>>> {
  const other = await newGeneration({ ca: RULES, leaf: RULES, hosts: [], randomBytes }, 1, systemClock.now());
  const pem = entries[crt] ?? '';
  const { [key]: _, ...withoutKey } = entries;
  return {
    'nothing in it': {},
    'a truncated certificate': { ...entries, [crt]: pem.slice(0, pem.length / 2) },
    'bytes that are no PEM': { ...entries, [crt]: randomBytes(64).toString('latin1') },
    'certificate and key in each other\u2019s place': { ...entries, [crt]: entries[key] ?? '', [key]: pem },
    'the key of another pair': { ...entries, [key]: other.keyPem },
    'no key': withoutKey,
  };
}
