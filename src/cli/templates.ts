/**
 * `logtender templates print|apply`: index template and lifecycle policy for Elasticsearch or OpenSearch.
 *
 * Applying twice changes nothing: both are PUT whole, a policy of ISM with the version that was read. May import: everything but test.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '../core/clock.ts';
import { OperationalError } from '../core/errors.ts';
import { callApi, memberOf, productOf, wordsOf } from '../sinks/elasticsearch/api.ts';
import type { ApiAnswer } from '../sinks/elasticsearch/api.ts';
import { ClusterConnection } from '../sinks/elasticsearch/connection.ts';
import {
  FLAVOURS,
  indexTemplate,
  lifecyclePolicy,
  TEMPLATE_NAME,
  TEMPLATE_PATTERN,
  TEMPLATE_RETENTION_DAYS,
  writerRole,
} from '../sinks/elasticsearch/templates.ts';
import type { Flavour, TemplateOptions } from '../sinks/elasticsearch/templates.ts';
import type { CommandIo } from './command-io.ts';
import { sinkEnvironment } from './sink-environment.ts';

/** A policy keeps at least one day, and no log longer than a century. */
const RETENTION_DAYS_MAX = 36_500;

const PATHS = {
  elasticsearch: { policy: `/_ilm/policy/${TEMPLATE_NAME}`, role: `/_security/role/${TEMPLATE_NAME}` },
  opensearch: {
    policy: `/_plugins/_ism/policies/${TEMPLATE_NAME}`,
    role: `/_plugins/_security/api/roles/${TEMPLATE_NAME}`,
  },
} as const;

/** What a cluster has unless it refuses. */
const WHOLE = { hasPolicy: true, hasMatchOnlyText: true } as const;

const TEMPLATE_PATH = `/_index_template/${TEMPLATE_NAME}`;

/** Exit 0, 1 when the cluster refuses. */
export async function runTemplates(
  args: readonly string[],
  io: CommandIo,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      flavour: { type: 'string' },
      pattern: { type: 'string', default: TEMPLATE_PATTERN },
      'retention-days': { type: 'string', default: String(TEMPLATE_RETENTION_DAYS) },
      url: { type: 'string' },
      'secret-dir': { type: 'string' },
    },
  });
  const [action] = positionals;
  if (positionals.length !== 1 || (action !== 'print' && action !== 'apply')) throw usage('expected print or apply');
  const flavour = FLAVOURS.find((name) => name === values.flavour);
  if (values.flavour !== undefined && flavour === undefined) {
    throw usage(`--flavour: expected ${FLAVOURS.join(' or ')}, got ${values.flavour}`);
  }
  const retentionDays = Number(values['retention-days']);
  if (!Number.isInteger(retentionDays) || retentionDays < 1 || retentionDays > RETENTION_DAYS_MAX) {
    throw usage(`--retention-days: expected a number from 1 to ${RETENTION_DAYS_MAX}, got ${values['retention-days']}`);
  }
  const { pattern } = values;
  if (action === 'print') {
    const options = { flavour: flavour ?? 'elasticsearch', pattern, retentionDays, ...WHOLE } as const;
    io.out(`${JSON.stringify(printed(options), undefined, 2)}\n`);
    return 0;
  }
  const cluster = new ClusterConnection({ config: sinkEnvironment(env, values), clock: systemClock });
  try {
    return await apply(cluster, io, { flavour, pattern, retentionDays });
  } finally {
    cluster.close();
  }
}

function usage(text: string): OperationalError {
  return new OperationalError('USAGE', `logtender templates: ${text}`, { hint: 'logtender help templates' });
}

function printed(options: TemplateOptions): Readonly<Record<string, unknown>> {
  const { policy, role } = PATHS[options.flavour];
  return { [policy]: lifecyclePolicy(options), [TEMPLATE_PATH]: indexTemplate(options), [role]: writerRole(options) };
}

async function apply(
  cluster: ClusterConnection,
  io: CommandIo,
  given: { readonly flavour: Flavour | undefined; readonly pattern: string; readonly retentionDays: number },
): Promise<number> {
  const flavour = given.flavour ?? (await flavourOf(cluster));
  const options = { ...given, flavour, ...WHOLE };
  const policy = await putPolicy(cluster, options);
  const hasPolicy = !('problem' in policy) && policy.status < 300;
  io.out(hasPolicy ? `${PATHS[flavour].policy}: applied\n` : '');
  if (!hasPolicy) {
    const why = 'problem' in policy ? policy.problem : wordsOf(policy);
    io.err(`${PATHS[flavour].policy}: not applied, the template goes without: ${why}\n`);
  }
  let template = await callApi(cluster, 'PUT', TEMPLATE_PATH, indexTemplate({ ...options, hasPolicy }));
  if ('status' in template && template.status === 400) {
    const plain = indexTemplate({ ...options, hasPolicy, hasMatchOnlyText: false });
    template = await callApi(cluster, 'PUT', TEMPLATE_PATH, plain);
  }
  if ('problem' in template || template.status >= 300) {
    io.err(`${TEMPLATE_PATH}: not applied: ${'problem' in template ? template.problem : wordsOf(template)}\n`);
    return 1;
  }
  io.out(`${TEMPLATE_PATH}: applied for ${given.pattern}\n`);
  return 0;
}

async function flavourOf(cluster: ClusterConnection): Promise<Flavour> {
  const root = await callApi(cluster, 'GET', '/');
  if ('problem' in root) throw new OperationalError('SINK_UNREACHABLE', root.problem, { hint: 'logtender check sink' });
  const { flavour } = productOf(root);
  if (flavour !== undefined) return flavour;
  throw new OperationalError('SINK_MISCONFIGURED', `the cluster does not say what it is (${wordsOf(root)})`, {
    hint: 'say it: --flavour elasticsearch or --flavour opensearch',
  });
}

/** OpenSearch takes a policy that exists only with the version that it has (ISM API, update policy). */
async function putPolicy(cluster: ClusterConnection, options: TemplateOptions): Promise<ApiAnswer> {
  const { policy: path } = PATHS[options.flavour];
  const body = lifecyclePolicy(options);
  if (options.flavour === 'elasticsearch') return callApi(cluster, 'PUT', path, body);
  const found = await callApi(cluster, 'GET', path);
  if ('problem' in found || found.status !== 200) return callApi(cluster, 'PUT', path, body);
  const [seqNo, term] = ['_seq_no', '_primary_term'].map((name) => String(memberOf(found.body, name)));
  return callApi(cluster, 'PUT', `${path}?if_seq_no=${seqNo ?? ''}&if_primary_term=${term ?? ''}`, body);
}
