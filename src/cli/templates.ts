/**
 * `logtender templates print|apply`: index template and lifecycle policy for Elasticsearch or OpenSearch.
 *
 * Applying twice changes nothing: both are PUT whole, a policy of ISM with the version that was read. The policy goes first, and where it
 * does not arrive no template is written: its data streams would grow for ever. May import: everything but test.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '../core/clock.ts';
import { OperationalError } from '../core/errors.ts';
import {
  awsRefusal,
  callApi,
  gateWords,
  isMissingApi,
  memberOf,
  productOf,
  wordsOf,
} from '../sinks/elasticsearch/api.ts';
import type { ApiAnswer } from '../sinks/elasticsearch/api.ts';
import { awsDenied, GATE_DENIED } from '../sinks/elasticsearch/aws-denied.ts';
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
const WHOLE = { hasPolicy: true, hasMatchOnlyText: true, hasFailureStore: true } as const;

/**
 * What is left out, one after the other, while a cluster answers 400 to the template: what it does not know is not told by a code that
 * all versions share, and the version itself is not everybody's to ask for (privilege `monitor`).
 */
const LEFT_OUT = [
  { fields: { hasFailureStore: false }, says: 'data_stream_options (known since 8.19 and 9.1)' },
  { fields: { hasMatchOnlyText: false }, says: 'the type match_only_text (known since 7.14)' },
  { fields: { hasFailureStore: false, hasMatchOnlyText: false }, says: 'data_stream_options and match_only_text' },
] as const;

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
      'without-policy': { type: 'boolean', default: false },
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
    const hasPolicy = !values['without-policy'];
    const options = { flavour: flavour ?? 'elasticsearch', pattern, retentionDays, ...WHOLE, hasPolicy } as const;
    io.out(`${JSON.stringify(printed(options), undefined, 2)}\n`);
    return 0;
  }
  const cluster = new ClusterConnection({ config: sinkEnvironment(env, values), clock: systemClock });
  try {
    return await apply(cluster, io, { flavour, pattern, retentionDays, hasPolicy: !values['without-policy'] });
  } finally {
    cluster.close();
  }
}

function usage(text: string): OperationalError {
  return new OperationalError('USAGE', `logtender templates: ${text}`, { hint: 'logtender help templates' });
}

function printed(options: TemplateOptions): Readonly<Record<string, unknown>> {
  const { policy, role } = PATHS[options.flavour];
  return {
    ...(options.hasPolicy ? { [policy]: lifecyclePolicy(options) } : {}),
    [TEMPLATE_PATH]: indexTemplate(options),
    [role]: writerRole(options),
  };
}

interface Given {
  readonly flavour: Flavour | undefined;
  readonly pattern: string;
  readonly retentionDays: number;
  readonly hasPolicy: boolean;
}

async function apply(cluster: ClusterConnection, io: CommandIo, given: Given): Promise<number> {
  const flavour = given.flavour ?? (await flavourOf(cluster));
  const options = { ...WHOLE, ...given, flavour };
  const policy = given.hasPolicy ? await applyPolicy(cluster, io, options) : 'none';
  if (policy === 'failed') return 1;
  return (await applyTemplate(cluster, io, { ...options, hasPolicy: policy === 'applied' })) ? 0 : 1;
}

/** `none`: the cluster has no such API, so the template has to go without. Anything else that is not taken stops the command. */
async function applyPolicy(
  cluster: ClusterConnection,
  io: CommandIo,
  options: TemplateOptions,
): Promise<'applied' | 'none' | 'failed'> {
  const { policy: path } = PATHS[options.flavour];
  const { method, answer } = await putPolicy(cluster, options);
  if ('status' in answer && answer.status < 300) {
    io.out(`${path}: applied\n`);
    return 'applied';
  }
  if (isMissingApi(answer)) {
    io.err(`${path}: this cluster has no such API, the template goes without a policy: ${refusal(answer)}\n`);
    return 'none';
  }
  io.err(
    `${path}: not applied: ${refusal(answer)}\n` +
      `${TEMPLATE_PATH}: not written: without its policy nothing would ever be deleted. Mend the cause` +
      remedy(answer, method, options.flavour) +
      ', or say that you keep logs in another way: --without-policy\n',
  );
  return 'failed';
}

/**
 * What a user needs for the policy (Elasticsearch reference, "Create or update lifecycle policy" and "Security privileges"; OpenSearch
 * documentation, Security, "Permissions", ISM).
 */
const RIGHTS = {
  elasticsearch: { GET: 'read_ilm', PUT: 'manage_ilm' },
  opensearch: { GET: 'cluster:admin/opendistro/ism/policy/get', PUT: 'cluster:admin/opendistro/ism/policy/write' },
} as const;

/** What to do about a 403 to the policy, in brackets; nothing about other answers. */
function remedy(answer: ApiAnswer, method: 'GET' | 'PUT', flavour: Flavour): string {
  if ('problem' in answer || answer.status !== 403) return '';
  const service = awsRefusal(answer);
  if (service === undefined)
    return ` (${gateWords(answer) === undefined ? `the user needs the right ${RIGHTS[flavour][method]}` : GATE_DENIED})`;
  return ` (${awsDenied(service, method, PATHS[flavour].policy, 'opensearch-domain-templates.json')})`;
}

async function applyTemplate(cluster: ClusterConnection, io: CommandIo, options: TemplateOptions): Promise<boolean> {
  let answer = await callApi(cluster, 'PUT', TEMPLATE_PATH, indexTemplate(options));
  let leftOut = '';
  for (const { fields, says } of options.flavour === 'elasticsearch' ? LEFT_OUT : []) {
    if ('problem' in answer || answer.status !== 400) break;
    answer = await callApi(cluster, 'PUT', TEMPLATE_PATH, indexTemplate({ ...options, ...fields }));
    leftOut = `, without ${says}, which this cluster refuses`;
  }
  if ('problem' in answer || answer.status >= 300) {
    io.err(`${TEMPLATE_PATH}: not applied: ${refusal(answer)}\n`);
    return false;
  }
  io.out(`${TEMPLATE_PATH}: applied for ${options.pattern}${leftOut}\n`);
  return true;
}

function refusal(answer: ApiAnswer): string {
  return 'problem' in answer ? answer.problem : wordsOf(answer);
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

/**
 * OpenSearch takes a policy that exists only with the version that it has (ISM API, update policy); 404 is that there is none yet. Gives
 * the last answer, and what it answers.
 */
async function putPolicy(
  cluster: ClusterConnection,
  options: TemplateOptions,
): Promise<{ readonly method: 'GET' | 'PUT'; readonly answer: ApiAnswer }> {
  const { policy: path } = PATHS[options.flavour];
  const body = lifecyclePolicy(options);
  const put = async (query = ''): Promise<{ method: 'PUT'; answer: ApiAnswer }> => ({
    method: 'PUT',
    answer: await callApi(cluster, 'PUT', `${path}${query}`, body),
  });
  if (options.flavour === 'elasticsearch') return put();
  const found = await callApi(cluster, 'GET', path);
  if ('status' in found && found.status === 404) return put();
  if ('problem' in found || found.status !== 200) return { method: 'GET', answer: found };
  const [seqNo, term] = ['_seq_no', '_primary_term'].map((name) => String(memberOf(found.body, name)));
  return put(`?if_seq_no=${seqNo ?? ''}&if_primary_term=${term ?? ''}`);
}
