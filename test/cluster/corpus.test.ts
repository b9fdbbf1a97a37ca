/**
 * Every pod template of the third-party corpus on a real API server, and a hardened copy of each under Pod Security `restricted`.
 *
 * What is compared is what the API server itself says of a pod without us and with us, so that its defaults are in both.
 */
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { applyPatch as applySecondImplementation } from 'rfc6902';
import { runInject } from '../../src/cli/inject.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { at, isObject, listAt, textAt } from '../../webhook/json.ts';
import { applyPatch } from '../../webhook/patch.ts';
import type { Operation } from '../../webhook/patch.ts';
import { uninject } from '../../webhook/uninjection.ts';
import { CORPUS_MISSING, corpusTemplates, hasCorpus, withAnnotations } from '../corpus-pods.ts';
import type { Template } from '../corpus-pods.ts';
import { ask } from '../servers/http-json.ts';
import type { Answer } from '../servers/http-json.ts';
import { requireServer } from '../servers/require-server.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { skip } from '../skip.ts';
import { withoutOurs } from '../webhook/survival.ts';
import { connectApi, inParallel } from './api-connection.ts';
import type { ApiConnection } from './api-connection.ts';
import { eventually, install } from './installation.ts';
import type { Installation } from './installation.ts';
import { createNamespace, RESTRICTED_CONTAINER } from './pods.ts';

const POLICY = resolve(import.meta.dirname, '../../deploy/policy/deny');
/** As many as the webhook and the API server of two cores answer without waiting. */
const WIDTH = 8;
/** The first enforces nothing but that a pod which asked has its sidecar; the second Pod Security as well. */
const OPEN = 'corpus';
const RESTRICTED = 'corpus-restricted';
const CONFIG = 'cluster: test\nelasticsearchUrl: http://elasticsearch.example:9200\n';
const ASKS = {
  'logging.io/inject': 'true',
  'logging.io/files': '/var/log/app/*.log,/data/**/*.log',
  'logging.io/sink': 'elasticsearch,cloudwatch',
  'logging.io/service-account': 'logtender-forwarder',
};

interface Case {
  readonly name: string;
  /** The template that asks, in the namespace of the test. */
  readonly pod: JsonObject;
  /** What the API server says while there is no webhook; for both namespaces. */
  readonly open: Answer;
  readonly restricted: Answer;
}

describe('corpus on a real API server', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  let api: ApiConnection;
  let installed: Installation;
  let cases: readonly Case[] = [];

  /** A dry run goes the whole way through admission and leaves nothing behind. */
  const create = (namespace: string, pod: JsonObject): Promise<Answer> =>
    api.request('POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All`, pod);
  const created = async (namespace: string, name: string, pod: JsonObject): Promise<JsonObject> => {
    const answer = await create(namespace, pod);
    assert.equal(answer.status, 201, `${name}: ${messageOf(answer)}`);
    return podIn(answer);
  };
  const isAccepted = ({ open }: Case): boolean => open.status === 201;
  const each = async (chosen: readonly Case[], work: (one: Case) => Promise<void>): Promise<void> => {
    assert.ok(chosen.length > 0);
    await inParallel(chosen, WIDTH, work);
  };

  before(async function () {
    if (!hasCorpus()) skip(this, CORPUS_MISSING);
    plane = await requireServer(this, 'control-plane');
    await plane.registerNode();
    api = connectApi(plane, WIDTH);
    await createNamespace(plane, OPEN, { 'logging.io/failure-policy': 'fail' });
    await createNamespace(plane, RESTRICTED, {
      'logging.io/failure-policy': 'fail',
      'pod-security.kubernetes.io/enforce': 'restricted',
    });
    const templates = corpusTemplates().flatMap((one) => [one, hardened(one)]);
    await createAccounts(plane, templates);
    cases = await inParallel(templates, WIDTH, async ({ name, pod }) => {
      const asking = placed(withAnnotations(pod, ASKS));
      const [open, restricted] = [await create(OPEN, asking), await create(RESTRICTED, asking)];
      return { name, pod: asking, open, restricted };
    });
    // From here on a sound pod that the policy takes for a broken one would be refused.
    await plane.kubectl(['apply', '-k', POLICY]);
    const bare = cases.find(isAccepted);
    assert.ok(bare !== undefined);
    await eventually('the policy', async () => ((await create(OPEN, bare.pod)).status === 422 ? true : undefined));
    installed = await install(plane, { webhook: CONFIG });
  });
  after(async function () {
    this.timeout(60_000);
    api?.close();
    await plane?.kubectl(['delete', '-k', POLICY, '--ignore-not-found']);
    await installed?.uninstall();
  });

  it('every pod that is accepted without us is accepted with us, and has the sidecar or is told why not', async () => {
    let bare = 0;
    await each(cases.filter(isAccepted), async ({ name, pod }) => {
      const injected = await created(OPEN, name, pod);
      if (oursIn(injected) !== undefined) return;
      bare += 1;
      assert.match(statusIn(injected), /^\{"decision":"skipped","reason":"[a-z_]+"/, name);
    });
    const accepted = cases.filter(isAccepted).length;
    assert.ok(accepted > cases.length / 2 && bare < accepted / 10, `${accepted} accepted, ${bare} of them bare`);
    process.stdout.write(
      `      ${cases.length} pods (${cases.length / 2} templates, each also hardened): ${accepted} accepted without us and with us, ` +
        `${accepted - bare} injected, ${bare} left alone with a reason\n`,
    );
  });

  it('a pod that is refused without us is refused with us, with the same status', async () => {
    await each(
      cases.filter((one) => !isAccepted(one)),
      async ({ name, pod, open }) => {
        const answer = await create(OPEN, pod);
        assert.equal(answer.status, open.status, `${name}: ${messageOf(answer)} instead of ${messageOf(open)}`);
      },
    );
  });

  it('every field but the declared few is as it was (and the defaults of the API server as well)', async () => {
    await each(cases.filter(isAccepted), async ({ name, pod, open }) => {
      const injected = await created(OPEN, name, pod);
      assert.deepEqual(lasting(withoutOurs(injected)), lasting(withoutOurs(podIn(open))), name);
    });
  });

  it('injecting twice changes nothing the second time', async () => {
    await each(cases.filter(isAccepted), async ({ name, pod }) => {
      const once = sendable(await created(OPEN, name, pod));
      assert.deepEqual(sendable(await created(OPEN, name, once)), once, name);
    });
  });

  it('a second implementation of RFC 6902 makes of our patches what the API server makes of them (B8 42)', async () => {
    let operations = 0;
    const ca = await installed.caBundle();
    await each(cases.filter(isAccepted), async ({ name, pod, open }) => {
      // What an API server would send: its defaults are in, what it sets when it stores the pod is not.
      const sent = sendable(podIn(open));
      const patch = await patchOf(installed, ca, sent);
      operations += patch.length;
      const copy: unknown = structuredClone(sent);
      const failures = applySecondImplementation(copy, structuredClone([...patch])).filter((one) => one !== null);
      assert.deepEqual(failures, [], name);
      assert.deepEqual(copy, applyPatch(sent, patch), name);
      const patched = sendable(await created(OPEN, name, copy));
      assert.deepEqual(sameToken(patched), sameToken(sendable(await created(OPEN, name, pod))), name);
    });
    process.stdout.write(`      ${operations} operations in ${cases.filter(isAccepted).length} patches\n`);
  });

  it('uninject gives back what the API server makes of the pod without us', async () => {
    await each(cases.filter(isAccepted), async ({ name, pod, open }) => {
      const injected = sendable(await created(OPEN, name, pod));
      const { found, operations: undoing } = uninject(injected);
      assert.equal(found, 'injected', name);
      const restored = applyPatch(injected, undoing);
      assert.deepEqual(sameToken(restored), sameToken(sendable(podIn(open))), name);
    });
  });

  it('the webhook and the command line give the same patch, byte by byte', async () => {
    const ca = await installed.caBundle();
    await each(cases.filter(isAccepted), async ({ name, open }) => {
      const sent = sendable(podIn(open));
      assert.equal(await patchOfCommand(sent), JSON.stringify(await patchOf(installed, ca, sent)), name);
    });
  });

  it('a pod that passes Pod Security restricted before passes it afterwards (B8 57)', async () => {
    const passing = cases.filter(({ restricted }) => restricted.status === 201);
    let injected = 0;
    await each(passing, async ({ name, pod }) => {
      if (oursIn(await created(RESTRICTED, name, pod)) !== undefined) injected += 1;
    });
    assert.ok(injected > 40, `${injected} injected`);
    process.stdout.write(
      `      ${passing.length} pass restricted without us and with us, ${injected} of them injected\n`,
    );
  });
});

/** The template in a shape that Pod Security `restricted` takes, where its host settings and volumes let it. */
function hardened({ name, pod }: Template): Template {
  const spec = isObject(pod['spec']) ? pod['spec'] : {};
  const harden = (list: readonly Json[]): readonly JsonObject[] =>
    list.filter(isObject).map((one) => ({ ...one, securityContext: { ...RESTRICTED_CONTAINER, runAsUser: 1000 } }));
  const inits = harden(listAt(spec, 'initContainers'));
  const { securityContext: _replaced, initContainers: _hardened, ...rest } = spec;
  return {
    name: `${name}, hardened`,
    pod: {
      ...pod,
      spec: {
        ...rest,
        securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
        containers: harden(listAt(spec, 'containers')),
        ...(inits.length === 0 ? {} : { initContainers: inits }),
      },
    },
  };
}

/** A name where there is none; the namespace is that of the request. */
function placed(pod: JsonObject): JsonObject {
  const { namespace: _elsewhere, ...metadata } = isObject(pod['metadata']) ? pod['metadata'] : {};
  const isNamed = textAt(metadata, 'name') !== undefined || textAt(metadata, 'generateName') !== undefined;
  return { ...pod, metadata: { ...(isNamed ? {} : { name: 'corpus' }), ...metadata } };
}

/** The accounts that the templates name, and the one that their annotation names. */
async function createAccounts(plane: ControlPlane, templates: readonly Template[]): Promise<void> {
  const named = templates.map(
    ({ pod }) => textAt(pod, 'spec', 'serviceAccountName') ?? textAt(pod, 'spec', 'serviceAccount') ?? '',
  );
  const names = [...new Set(['logtender-forwarder', ...named])].filter((name) => name !== '' && name !== 'default');
  for (const namespace of [OPEN, RESTRICTED]) {
    const items = names.map((name) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } }));
    await plane.kubectl(['create', '-n', namespace, '-f', '-'], { input: { apiVersion: 'v1', kind: 'List', items } });
    await eventually('an account to be seen by admission', async () => {
      const last = `/api/v1/namespaces/${namespace}/serviceaccounts/${names.at(-1)}`;
      return (await plane.request('GET', last)).status === 200 ? true : undefined;
    });
  }
}

function podIn({ body }: Answer): JsonObject {
  const pod = body as Json;
  assert.ok(isObject(pod));
  return pod;
}

const messageOf = ({ status, body }: Answer): string => `${status} ${textAt(body as Json, 'message') ?? ''}`;
const statusIn = (pod: JsonObject): string => textAt(pod, 'metadata', 'annotations', 'logging.io/status') ?? '';
const oursIn = (pod: JsonObject): Json | undefined =>
  [...listAt(pod, 'spec', 'initContainers'), ...listAt(pod, 'spec', 'containers')].find(
    (one) => textAt(one, 'name') === 'logtender',
  );

/** Without what an API server sets when it stores a pod: as it could be sent again. */
function sendable(pod: JsonObject): JsonObject {
  const { status: _stored, ...rest } = pod;
  return { ...rest, metadata: lastingMetadata(at(pod, 'metadata')) };
}

/** The same where the pod is no longer one, but lists of its members (survival.ts). */
function lasting(value: Json): Json {
  return isObject(value) ? sendable(value) : value;
}

function lastingMetadata(metadata: Json | undefined): JsonObject {
  const {
    uid: _uid,
    creationTimestamp: _time,
    managedFields: _fields,
    generation: _count,
    ...rest
  } = isObject(metadata) ? metadata : {};
  // A generated name differs each time; its prefix stays.
  if (textAt(rest, 'generateName') === undefined) return rest;
  const { name: _generated, ...prefixed } = rest;
  return prefixed;
}

/** The API server's own token volume ends with five random characters. */
function sameToken(pod: JsonObject): Json {
  return JSON.parse(JSON.stringify(pod).replaceAll(/kube-api-access-[a-z0-9]{5}/g, 'kube-api-access-xxxxx')) as Json;
}

/** The patch that the running webhook answers with, asked as an API server asks. */
async function patchOf(installed: Installation, ca: string, pod: JsonObject): Promise<readonly Operation[]> {
  const request = {
    uid: 'c0ffee00-0000-4000-8000-000000000042',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    namespace: OPEN,
    operation: 'CREATE',
    object: pod,
    dryRun: true,
  };
  const answer = await ask(`https://127.0.0.1:${installed.port}/mutate`, {
    ca,
    servername: 'logtender-webhook.logtender.svc',
    body: { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request },
  });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const patch = textAt(answer.body as Json, 'response', 'patch');
  return patch === undefined ? [] : (JSON.parse(Buffer.from(patch, 'base64').toString('utf8')) as Operation[]);
}

/** The patch that the command prints for the same pod; it is told what the webhook finds out from the cluster. */
async function patchOfCommand(pod: JsonObject): Promise<string> {
  let printed = '';
  let said = '';
  const facts = ['--config', 'webhook.yaml', '--kubelet-version', '1.36', '--service-account', 'logtender-forwarder'];
  const code = await runInject(['-f', 'pod.json', '-n', OPEN, ...facts, '-o', 'patch'], {
    read: async (file) => (file === 'webhook.yaml' ? CONFIG : JSON.stringify(pod)),
    out: (text) => void (printed += text),
    err: (text) => void (said += text),
    hasColour: false,
  });
  assert.equal(code, 0, said);
  return JSON.stringify((JSON.parse(printed) as { patch: readonly Operation[] }).patch);
}
