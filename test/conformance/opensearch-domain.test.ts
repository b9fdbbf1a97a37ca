/**
 * A domain of Amazon OpenSearch Service: signature, region, identity, rights.
 *
 * In place of the service stands a front that judges as it does (OpenSearch Service developer guide, "Identity and Access Management": the
 * action is es:ESHttp<Method>, the resource the domain's ARN with the path; refusals are 403 with `message` or `Message`), by the
 * policies of deploy/iam; behind it the fake of `_bulk`. The service itself is not to be had here.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTemplates } from '../../src/cli/templates.ts';
import { elasticsearchRecords } from '../../src/cli/verify-elasticsearch.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { checkElasticsearch } from '../../src/sinks/elasticsearch/check.ts';
import { ElasticsearchSink } from '../../src/sinks/elasticsearch/sink.ts';
import type { Delivery } from '../../src/sinks/sink.ts';
import { isAllowed, readPolicy } from '../deploy/iam-policy.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { ScriptedServer } from '../fakes/scripted-server.ts';
import type { Answer } from '../fakes/scripted-server.ts';

const IAM = join(import.meta.dirname, '../../deploy/iam');
const DOMAIN = 'arn:aws:es:eu-central-1:111122223333:domain/logs';
const HOST = 'search-logs-abc123.eu-central-1.es.amazonaws.com';

type Env = Readonly<Record<string, string>>;
const json = (status: number, body: unknown): Answer => ({ status, body: JSON.stringify(body) });

describe('a domain of Amazon OpenSearch Service', () => {
  let dir = '';
  let policies: readonly string[] = [];
  let calls: string[] = [];
  let scopes: string[] = [];
  let written = 0;

  const front = new ScriptedServer((request, sent) => {
    const { pathname } = new URL(request.url ?? '', 'http://x');
    const method = request.method ?? '';
    calls.push(`${method} ${pathname}`);
    const scope = /Credential=[^/]+\/\d{8}\/([^/]+)\/([^/]+)\//.exec(request.headers.authorization ?? '');
    scopes.push(`${scope?.[1] ?? ''} ${scope?.[2] ?? ''}`);
    if (scope?.[1] !== 'eu-central-1') return json(403, { message: 'Credential should be scoped to a valid region.' });
    const action = `es:ESHttp${method.charAt(0)}${method.slice(1).toLowerCase()}`;
    if (!policies.some((name) => isAllowed(readPolicy(join(IAM, name)), action, `${DOMAIN}${pathname}`)))
      return json(403, {
        Message: `User: arn:aws:iam::111122223333:role/logs is not authorized to perform: ${action}`,
      });
    return cluster(method, pathname, sent.toString());
  });

  function cluster(method: string, path: string, sent: string): Answer {
    if (path === '/') return json(200, { version: { distribution: 'opensearch', number: '2.19.0' } });
    if (path.endsWith('/_bulk')) {
      const lines = sent.split('\n').filter((line) => line !== '');
      if (lines.length === 0) return json(400, { error: { type: 'action_request_validation_exception' }, status: 400 });
      written += 1;
      return json(200, { errors: false, items: [{ create: { status: 201, _index: 'logs-logtender-shop' } }] });
    }
    if (path.endsWith('/_search')) return json(200, { hits: { hits: [] } });
    return json(method === 'GET' ? 404 : 200, {});
  }

  before(async () => {
    await front.start();
    dir = mkdtempSync(join(tmpdir(), 'logtender-secret-'));
    writeFileSync(join(dir, 'aws-access-key-id'), 'AKIDEXAMPLE');
    writeFileSync(join(dir, 'aws-secret-access-key'), 'secret');
  });
  after(async () => {
    await front.stop();
    rmSync(dir, { recursive: true });
  });
  beforeEach(() => {
    policies = ['opensearch-domain-write.json'];
    [calls, scopes, written] = [[], [], 0];
  });

  const env = (more: Env = {}): Env => ({
    SINK_SECRET_DIR: dir,
    ELASTICSEARCH_URL: front.url,
    ELASTICSEARCH_SIGNING: 'aws',
    ELASTICSEARCH_REGION: 'eu-central-1',
    POD_NAMESPACE: 'shop',
    ...more,
  });

  async function deliver(more: Env = {}, lookup?: LookupFunction): Promise<Delivery> {
    const sink = new ElasticsearchSink({
      config: forwarderConfig(env(more)),
      clock: systemClock,
      metrics: createMetrics(),
      ...(lookup === undefined ? {} : { lookup }),
    });
    const encoder = sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 0, 0);
    const { signal } = new AbortController();
    try {
      return await sink.deliver(encoder.finish(), { selection: undefined, sentBefore: () => false, signal });
    } finally {
      await sink.close();
    }
  }

  async function check(more: Env = {}, writes = false): Promise<Readonly<Record<string, string>>> {
    const steps: Record<string, string> = {};
    const config = forwarderConfig(env(more));
    for await (const { name, outcome, text, remedy } of checkElasticsearch({ config, clock: systemClock, writes }))
      steps[name] = `${outcome}: ${text}; ${remedy ?? ''}`;
    return steps;
  }

  it('the policy to write is enough to write, and for nothing else', async () => {
    assert.equal((await deliver()).status, 'delivered');
    assert.deepEqual(calls, ['POST /logs-logtender-shop/_bulk']);
    const elsewhere = await deliver({ DATA_STREAM: 'audit' });
    assert(elsewhere.status === 'retryable' && elsewhere.reason === 'credentials');
    assert.match(
      elsewhere.text,
      /not authorized to perform: es:ESHttpPost; allow es:ESHttpPost .*opensearch-domain-write/,
    );
  });

  it('signs for the region of the domain’s own name, whatever AWS_REGION says, and for a configured one before that', async () => {
    const lookup: LookupFunction = (_, __, done) => done(null, [{ address: '127.0.0.1', family: 4 }]);
    const named = { ELASTICSEARCH_URL: front.url.replace('127.0.0.1', HOST), AWS_REGION: 'us-east-1' };
    const { ELASTICSEARCH_REGION: _, ...unconfigured } = env(named);
    const sink = new ElasticsearchSink({
      config: forwarderConfig(unconfigured),
      clock: systemClock,
      metrics: createMetrics(),
      lookup,
    });
    const encoder = sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 0, 0);
    const { signal } = new AbortController();
    const delivery = await sink.deliver(encoder.finish(), { selection: undefined, sentBefore: () => false, signal });
    await sink.close();
    assert.equal(delivery.status, 'delivered');
    await deliver({ ...named, ELASTICSEARCH_REGION: 'eu-west-3' }, lookup);
    assert.deepEqual(scopes, ['eu-central-1 es', 'eu-west-3 es']);
  });

  it('check sink: the right to write is told without a record, and the right to look is none that is needed', async () => {
    const steps = await check();
    assert.match(steps['region'] ?? '', /^ok: signed for eu-central-1, service es/);
    assert.match(steps['identity'] ?? '', /^ok: access key AKIDEXAMPLE/);
    assert.match(steps['auth'] ?? '', /^skipped: .*403 User: .*es:ESHttpGet/);
    assert.match(steps['privilege'] ?? '', /^ok: es:ESHttpPost on logs-logtender-shop\/_bulk/);
    assert.match(steps['template'] ?? '', /^skipped/);
    assert.equal(written, 0);
    policies = ['opensearch-domain-write.json', 'opensearch-domain-check.json'];
    const more = await check({}, true);
    assert.match(more['auth'] ?? '', /^ok: opensearch 2\.19\.0/);
    assert.match(more['template'] ?? '', /^warning: no index template/);
    assert.match(more['write'] ?? '', /^ok/);
  });

  it('check sink: a 403 is no good news: a right that is missing, a wrong region', async () => {
    policies = ['opensearch-domain-check.json'];
    const denied = await check();
    assert.match(
      denied['privilege'] ?? '',
      /^failed: 403 User: .*ESHttpPost; allow es:ESHttpPost .*opensearch-domain-write/,
    );
    policies = ['opensearch-domain-write.json'];
    const elsewhere = await check({ ELASTICSEARCH_REGION: 'us-east-1' });
    assert.match(elsewhere['auth'] ?? '', /^skipped: /);
    assert.match(elsewhere['privilege'] ?? '', /^failed: 403 Credential should be scoped to a valid region/);
    assert.match(elsewhere['privilege'] ?? '', /the region that is signed for/);
  });

  it('check sink: says that there is no region', async () => {
    const { ELASTICSEARCH_REGION: _, ...unconfigured } = env();
    const steps: string[] = [];
    const config = forwarderConfig(unconfigured);
    for await (const { name, outcome, remedy } of checkElasticsearch({ config, clock: systemClock, writes: false }))
      steps.push(`${name} ${outcome} ${remedy ?? ''}`);
    assert.match(steps.at(-1) ?? '', /^region failed set elasticsearchRegion/);
  });

  it('the policies of people are enough for templates apply and verify, and no less is', async () => {
    let text = '';
    const write = (part: string): void => void (text += part);
    const io = { read: async () => '', out: write, err: write, hasColour: false };
    policies = ['opensearch-domain-templates.json'];
    assert.equal(await runTemplates(['apply'], io, env()), 0, text);
    policies = ['opensearch-domain-write.json', 'opensearch-domain-check.json'];
    assert.equal(await runTemplates(['apply'], io, env()), 1, text);
    assert.match(
      text,
      /403 User: .*Mend the cause \(allow es:ESHttpGet on .*_ism\/policies.*opensearch-domain-templates\.json/s,
    );
    assert.doesNotMatch(text, /the user needs the right/);
    const read = async (): Promise<number> => {
      let count = 0;
      for await (const _ of elasticsearchRecords(forwarderConfig(env()), 'logs-logtender-shop', 'uid')) count += 1;
      return count;
    };
    await assert.rejects(read(), /403 User: .*es:ESHttpPost/);
    policies = ['opensearch-domain-verify.json'];
    assert.equal(await read(), 0);
    assert.equal((await deliver()).status, 'retryable');
  });

  it('missing credentials are called that, with what to set: by the sink, and by check', async () => {
    const kept = { ...process.env };
    // Nothing of this machine is asked, its metadata service least of all.
    Object.assign(process.env, { AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nonexistent' });
    for (const name of Object.keys(process.env).filter((key) => /^AWS_(?!EC2)/.test(key))) delete process.env[name];
    try {
      const delivery = await deliver({ SINK_SECRET_DIR: '/nonexistent' });
      assert(delivery.status === 'retryable' && delivery.reason === 'credentials', JSON.stringify(delivery));
      assert.match(delivery.text, /^no AWS credentials: .*aws-access-key-id and aws-secret-access-key/);
      const steps = await check({ SINK_SECRET_DIR: '/nonexistent' });
      assert.match(steps['identity'] ?? '', /^failed: no AWS credentials: .*; name a service account with a role/);
      assert.deepEqual(calls, []);
    } finally {
      for (const name of Object.keys(process.env)) if (!(name in kept)) delete process.env[name];
      Object.assign(process.env, kept);
    }
  });
});
