/**
 * The end of the process that runs in a pod, and what it exposes while it lives: SIGTERM in order, readiness with reasons, metrics.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { certsNames } from '../../src/config/certs-config.ts';
import { systemClock } from '../../src/core/clock.ts';
import { webhookConfigurationPath } from '../../src/kube/paths.ts';
import { reviewOf } from '../fakes/webhook.ts';
import { SERVER_NAME, startWebhookProcess } from '../fakes/webhook-process.ts';
import type { WebhookProcess } from '../fakes/webhook-process.ts';
import { dial, requestText } from '../fakes/wire.ts';
import type { Wire } from '../fakes/wire.ts';
import { skip } from '../skip.ts';

const POD = { metadata: { name: 'p', annotations: { 'logging.io/inject': 'true' } }, spec: { containers: [{}] } };
const BODY = JSON.stringify(reviewOf(POD));
const ROOT = join(import.meta.dirname, '../..');
const METRICS_PAGE = join(ROOT, 'docs/metrics.md');

describe('webhook process, its end', function () {
  this.timeout(30_000);
  let webhook: WebhookProcess;
  beforeEach(async () => {
    webhook = await startWebhookProcess({ server: { drain: '1s' } });
  });
  afterEach(() => webhook.close());

  const open = (): Promise<Wire> => dial(webhook.port, { ca: webhook.ca, servername: SERVER_NAME });
  const ask = async (wire: Wire): Promise<readonly [status: number, connection: string | undefined]> => {
    wire.send(requestText(BODY));
    const { status, headers } = await wire.reply();
    return [status, headers.get('connection')];
  };

  it('SIGTERM: readiness fails first, answers close their connections, what is in flight is answered, exit 0 (B8 35)', async () => {
    const [idle, busy] = await Promise.all([open(), open()]);
    assert.deepEqual(await ask(idle), [200, 'keep-alive']);
    // This one is decided on for longer than the drain lasts: the API server is slow to say that there is no such namespace.
    webhook.kube.slow(/^\/api\/v1\/namespaces\/slow$/, 1_500);
    busy.send(requestText(JSON.stringify(reviewOf(POD, 'slow'))));
    const inFlight = busy.reply();
    await systemClock.sleep(100);
    webhook.signal('SIGTERM');
    let ready = await webhook.admin('/readyz');
    while (ready.status === 200) ready = await webhook.admin('/readyz');
    assert.deepEqual([ready.status, /^\[-\]serving: the server is about to end$/m.test(ready.body)], [503, true]);
    assert.deepEqual(await ask(idle), [200, 'close']);
    await idle.closed;
    assert.deepEqual(await ask(await open()), [200, 'close'], 'new connections are served while endpoints take notice');
    const { status, headers } = await inFlight;
    assert.deepEqual([status === 200 || status === 500, headers.get('connection')], [true, 'close']);
    assert.equal(await webhook.ended, 0);
    await assert.rejects(open(), /ECONNREFUSED/);
    const [last = ''] = (await webhook.log()).trimEnd().split('\n').slice(-1);
    assert.match(last, /"message":"webhook stopped"/);
  });

  it('readiness turns with the live caBundle, and says which check failed and why (B8 19)', async () => {
    const path = webhookConfigurationPath(certsNames('').webhookConfiguration);
    const { client } = webhook.kube;
    const reasons = async (wanted: number): Promise<string> => {
      const deadlineMs = systemClock.monotonic() + 10_000;
      for (;;) {
        const { status, body } = await webhook.admin('/readyz');
        if (status === wanted) return body;
        assert(systemClock.monotonic() < deadlineMs, body);
        await systemClock.sleep(10);
      }
    };
    await reasons(200);
    const live = await client.get(path);
    assert(live.ok);
    // It would repair the bundle before anybody could look.
    await webhook.stopCertificates();
    const webhooks = (live.value['webhooks'] as { clientConfig: object }[]).map((entry, i) =>
      i === 0 ? { ...entry, clientConfig: { ...entry.clientConfig, caBundle: '' } } : entry,
    );
    assert((await client.patch(path, { webhooks }, 'application/merge-patch+json')).ok);
    const body = await reasons(503);
    assert.match(body, /^\[-\]ca-bundle: .*caBundle/m);
    assert.match(body, /^\[-\]self-dial: an entry has an empty caBundle$/m);
    assert((await client.patch(path, { webhooks: live.value['webhooks'] }, 'application/merge-patch+json')).ok);
    await reasons(200);
  });

  it('a client that does not trust what is served makes it look at Secret and webhook configuration anew', async function () {
    if (spawnSync('openssl', ['version']).status !== 0) return skip(this, 'openssl is not installed (package openssl)');
    const lists = (): number =>
      webhook.kube.requests.filter((text) => /^GET .*(secrets|webhookconfigurations)\?.*limit=/.test(text)).length;
    const before = lists();
    const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${webhook.port}`, '-verify_return_error'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.stdin.end();
    await once(child, 'exit');
    const deadlineMs = systemClock.monotonic() + 5_000;
    while (lists() < before + 2) {
      assert(systemClock.monotonic() < deadlineMs, webhook.kube.requests.join('\n'));
      await systemClock.sleep(10);
    }
    assert.match(
      (await webhook.admin('/metrics')).body,
      /^logtender_tls_client_alerts_total\{reason="unknown_ca"\} 1$/m,
    );
    assert.equal((await webhook.admin('/readyz')).status, 200);
  });

  it('exposes what docs/metrics.md describes, and nothing else (B8 21)', async () => {
    const wire = await open();
    await ask(wire);
    wire.destroy();
    const { body } = await webhook.admin('/metrics');
    const exposed = [...body.matchAll(/^# TYPE (logtender_\S+)/gm)].map(([, name = '']) => name);
    const page = readFileSync(METRICS_PAGE, 'utf8');
    const begin = page.indexOf('\n## Webhook\n');
    const section = page.slice(begin, page.indexOf('\n## ', begin + 1));
    const described = [...section.matchAll(/^\| `(logtender_[a-z_]+)`/gm)].map(([, name = '']) => name);
    assert(exposed.length > 10, body);
    assert.deepEqual(
      exposed.filter((name) => !described.includes(name)),
      [],
      'exposed and not described',
    );
    // Some appear with their first use: the code has to know them.
    const code = ['webhook', 'certs', 'src/kube'].flatMap((room) =>
      readdirSync(join(ROOT, room)).map((file) => readFileSync(join(ROOT, room, file), 'utf8')),
    );
    const isKnown = (name: string): boolean =>
      exposed.includes(name) || code.some((text) => text.includes(`'${name}'`));
    assert.deepEqual(
      described.filter((name) => !isKnown(name)),
      [],
      'described and not there',
    );
    assert.match(body, /^logtender_admission_seconds_bucket\{le="0\.0005"\}/m);
    assert.match(body, /^logtender_tls_client_alerts_total\{reason="unknown_ca"\} 0$/m);
    assert.match(body, /^logtender_serving_certificate_not_after_seconds \d{10}/m);
    assert.match(body, /^nodejs_eventloop_lag_p99_seconds /m);
    assert.match(body, /^process_resident_memory_bytes \d+/m);
  });
});
