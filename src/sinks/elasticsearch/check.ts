/**
 * What stands between a pod and its Elasticsearch or OpenSearch, from the name of the host to the privilege on the index.
 *
 * Nothing is written unless it is asked for. Sources: Elasticsearch reference, "Has privileges" and "Authenticate" API; OpenSearch
 * documentation, Security plugin, `authinfo`. May import: core, config.
 */
import type { CheckOptions, CheckStep } from '../check.ts';
import { exampleSource } from '../check-record.ts';
import { checkClock, checkNetwork } from '../network-check.ts';
import { AWS_SECRET_KEYS } from '../aws/static-credentials.ts';
import { proxyOf } from '../proxy-way.ts';
import { createSecretFiles } from '../secret-files.ts';
import { awsRefusal, callApi, gateWords, memberOf, productOf, wordsOf } from './api.ts';
import type { ApiAnswer, Product } from './api.ts';
import { awsWriteDenied, GATE_DENIED } from './aws-denied.ts';
import { ClusterConnection } from './connection.ts';
import { indexName } from './encode.ts';
import { ELASTICSEARCH_SECRET_KEYS, endpointOf, signingScope } from './request.ts';
import { TEMPLATE_NAME } from './templates.ts';

const CA_PLACE = 'the key elasticsearch-ca.crt of the sink Secret';
const CREDENTIALS = 'correct elasticsearch-api-key, -bearer-token, or -username and -password in the sink Secret';
const PRIVILEGES = ['create_doc', 'auto_configure'] as const;
const ROLE = 'give the user the role of logtender templates print (deploy/elasticsearch)';

/** All steps; those of the network for every node. */
export async function* checkElasticsearch(options: CheckOptions): AsyncGenerator<CheckStep> {
  const { config, clock } = options;
  const isSigned = config.elasticsearchSigning === 'aws';
  const keys = [...ELASTICSEARCH_SECRET_KEYS, ...(isSigned ? AWS_SECRET_KEYS : [])];
  const secret = await createSecretFiles({ dir: config.sinkSecretDir, keys, clock }).read();
  const endpoint = endpointOf(config, secret);
  if ('problem' in endpoint) {
    yield { name: 'configuration', outcome: 'failed', text: endpoint.problem };
    return;
  }
  const { urls, ca, client } = endpoint;
  let reached = 0;
  for (const url of urls) {
    const through = proxyOf(url, config.proxy);
    if (through !== undefined) {
      // The pod needs neither the name nor the way.
      const text = `the proxy ${through.host} is configured: name and connection of ${url.host} are its own`;
      yield { name: 'network', outcome: 'skipped', text };
      reached += 1;
      continue;
    }
    let last: CheckStep | undefined;
    for await (const step of checkNetwork({ url, ca, client, caPlace: CA_PLACE }, clock)) {
      last = step;
      yield step;
    }
    if (last?.outcome !== 'failed') reached += 1;
  }
  if (reached === 0) return;
  if (isSigned) {
    const region = regionStep(config, urls);
    yield region;
    if (region.outcome === 'failed') return;
    // The SDK's chain of credentials is loaded only where requests are signed.
    const { checkIdentity } = await import('../aws/check.ts');
    const identity = await checkIdentity(secret, config.proxy, clock);
    yield identity;
    if (identity.outcome === 'failed') return;
  }
  const cluster = new ClusterConnection({ config, clock });
  try {
    yield* checkApi(cluster, options);
  } finally {
    cluster.close();
  }
}

async function* checkApi(cluster: ClusterConnection, options: CheckOptions): AsyncGenerator<CheckStep> {
  const { config, clock } = options;
  const root = await callApi(cluster, 'GET', '/');
  if ('problem' in root) {
    yield { name: 'auth', outcome: 'failed', text: root.problem };
    return;
  }
  const date = root.headers['date'];
  // A node of the two sends no Date: then a proxy or load balancer before it may.
  yield checkClock(typeof date === 'string' ? date : undefined, clock);
  const product = productOf(root);
  yield productStep(root, product);
  if (root.status === 401) return;
  const index = indexName(config, exampleSource(config), clock.now());
  if (config.elasticsearchSigning === 'aws') {
    const right = await awsRightStep(cluster, index);
    yield right;
    if (right.outcome === 'failed') return;
  } else yield await privilegeStep(cluster, index, product);
  yield await templateStep(cluster);
  if (options.writes) yield await writeStep(cluster, index, clock.now());
}

function productStep(root: Extract<ApiAnswer, { readonly status: number }>, product: Product): CheckStep {
  if (root.status === 401) return { name: 'auth', outcome: 'failed', text: wordsOf(root), remedy: CREDENTIALS };
  const what =
    `${product.flavour ?? 'neither Elasticsearch nor OpenSearch by its own words'} ${product.version ?? ''}`.trimEnd();
  const refusedByAws = awsRefusal(root) === undefined ? undefined : gateWords(root);
  if (refusedByAws !== undefined) {
    // The same status for a right that no writer needs and for a signature that is wrong: the next step tells them apart.
    return { name: 'auth', outcome: 'skipped', text: `OpenSearch Service does not let us ask: 403 ${refusedByAws}` };
  }
  if (root.status === 403 && gateWords(root) !== undefined)
    return { name: 'auth', outcome: 'warning', text: wordsOf(root), remedy: GATE_DENIED };
  // 403: known, but without the right to ask for the version, which nobody needs to write.
  if (root.status === 403) return { name: 'auth', outcome: 'ok', text: `the credentials are known to ${what}` };
  if (root.status >= 300 && root.status < 400) {
    const remedy = 'correct the URL: redirects are not followed';
    return { name: 'auth', outcome: 'failed', text: `redirected to ${String(root.headers['location'])}`, remedy };
  }
  return { name: 'auth', outcome: product.flavour === undefined ? 'warning' : 'ok', text: what };
}

async function privilegeStep(cluster: ClusterConnection, index: string, product: Product): Promise<CheckStep> {
  if (product.flavour === 'opensearch') {
    const text = `OpenSearch does not tell what a user may do with ${index}`;
    return { name: 'privilege', outcome: 'skipped', text, remedy: 'send one record: check sink --write' };
  }
  const question = { index: [{ names: [index], privileges: PRIVILEGES }] };
  const answer = await callApi(cluster, 'POST', '/_security/user/_has_privileges', question);
  if ('problem' in answer) return { name: 'privilege', outcome: 'failed', text: answer.problem };
  if (answer.status === 401)
    return { name: 'privilege', outcome: 'failed', text: wordsOf(answer), remedy: CREDENTIALS };
  if (answer.status !== 200) {
    const text = `the cluster does not tell (${wordsOf(answer)}): security may be off`;
    return { name: 'privilege', outcome: 'skipped', text, remedy: 'send one record: check sink --write' };
  }
  const missing = PRIVILEGES.filter((privilege) => memberOf(answer.body, 'index', index, privilege) !== true);
  if (missing.length === 0)
    return { name: 'privilege', outcome: 'ok', text: `${PRIVILEGES.join(' and ')} on ${index}` };
  const text = `${String(memberOf(answer.body, 'username'))} lacks ${missing.join(' and ')} on ${index}`;
  return { name: 'privilege', outcome: 'failed', text, remedy: ROLE };
}

/** What requests are signed for, and how that is known. */
function regionStep(config: CheckOptions['config'], [url]: readonly URL[]): CheckStep {
  const { region, service } = url === undefined ? { region: undefined, service: 'es' } : signingScope(config, url);
  if (region !== undefined) return { name: 'region', outcome: 'ok', text: `signed for ${region}, service ${service}` };
  const text = 'no region to sign for: the host name is none of OpenSearch Service';
  return {
    name: 'region',
    outcome: 'failed',
    text,
    remedy: 'set elasticsearchRegion (ELASTICSEARCH_REGION), or awsRegion',
  };
}

/**
 * Whether Amazon OpenSearch Service lets a bulk through: one without a record. The service judges identity, signature and right before
 * the cluster sees the request, and the cluster refuses a bulk without actions (400 with a type, test/cluster/sinks.test.ts): nothing is
 * written. Fine-grained access control inside the domain comes only after that.
 */
async function awsRightStep(cluster: ClusterConnection, index: string): Promise<CheckStep> {
  const answer = await callApi(cluster, 'POST', `/${encodeURIComponent(index)}/_bulk`, '\n');
  if ('problem' in answer) return { name: 'privilege', outcome: 'failed', text: answer.problem };
  if (answer.status === 400 && typeof memberOf(answer.body, 'error', 'type') === 'string') {
    const text = `es:ESHttpPost on ${index}/_bulk; what the domain itself allows (fine-grained access control) only a record tells`;
    return { name: 'privilege', outcome: 'ok', text, remedy: 'send one record: check sink --write' };
  }
  const refusing = awsRefusal(answer);
  const ofCluster = answer.status === 403 ? ROLE : 'see docs/errors.md';
  const remedy = refusing === undefined ? ofCluster : awsWriteDenied(refusing);
  return { name: 'privilege', outcome: 'failed', text: wordsOf(answer), remedy };
}

async function templateStep(cluster: ClusterConnection): Promise<CheckStep> {
  const answer = await callApi(cluster, 'GET', `/_index_template/${TEMPLATE_NAME}`);
  if ('problem' in answer) return { name: 'template', outcome: 'failed', text: answer.problem };
  if (answer.status === 200)
    return { name: 'template', outcome: 'ok', text: `the index template ${TEMPLATE_NAME} is there` };
  if (answer.status === 404) {
    const text = `no index template ${TEMPLATE_NAME}: field types are guessed, and a name without a template becomes a plain index`;
    return { name: 'template', outcome: 'warning', text, remedy: 'logtender templates apply, with a user that may' };
  }
  return { name: 'template', outcome: 'skipped', text: `may not be looked at (${wordsOf(answer)})` };
}

/** One record, told by its text. */
async function writeStep(cluster: ClusterConnection, index: string, now: number): Promise<CheckStep> {
  const document = { '@timestamp': new Date(now).toISOString(), message: 'logtender check sink' };
  const body = `{"create":{}}\n${JSON.stringify(document)}\n`;
  const answer = await callApi(cluster, 'POST', `/${encodeURIComponent(index)}/_bulk`, body);
  if ('problem' in answer) return { name: 'write', outcome: 'failed', text: answer.problem };
  const items = memberOf(answer.body, 'items');
  const item: unknown = Array.isArray(items) ? memberOf(items[0], 'create') : undefined;
  const status = Number(memberOf(item, 'status') ?? answer.status);
  if (status === 201)
    return { name: 'write', outcome: 'ok', text: `one record is in ${String(memberOf(item, '_index'))}` };
  const text = wordsOf({ status, body: item ?? answer.body });
  return { name: 'write', outcome: 'failed', text, remedy: status === 403 ? ROLE : 'see docs/errors.md' };
}
