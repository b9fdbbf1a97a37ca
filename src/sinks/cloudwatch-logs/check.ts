/**
 * What stands between a pod and CloudWatch Logs, from the name of the host to the right to put events.
 *
 * Nothing is written unless it is asked for: the right is asked with an event for a log stream that is not there. IAM decides by action
 * and ARN before the service looks for the stream (IAM user guide, "Policy evaluation logic"), so the answer is AccessDeniedException
 * without the right and ResourceNotFoundException with it. May import: core, config, sinks.
 */
import { AWS_SECRET_KEYS } from '../aws/static-credentials.ts';
import { createInstanceRegion } from '../aws/instance-region.ts';
import { askUnsigned, checkIdentity, checkWay } from '../aws/check.ts';
import { exampleSource, writeRecord } from '../check-record.ts';
import type { CheckOptions, CheckStep } from '../check.ts';
import { silentLog } from '../../core/log.ts';
import { createMetrics } from '../../core/metrics.ts';
import { checkClock } from '../network-check.ts';
import type { NetworkTarget } from '../network-check.ts';
import { createSecretFiles } from '../secret-files.ts';
import { callContext } from './arns.ts';
import { logDestination } from './request.ts';
import type { LogDestination } from './request.ts';
import { Session } from './session.ts';
import type { Connected } from './session.ts';
import { CloudWatchLogsSink } from './sink.ts';

const CA_PLACE = 'NODE_EXTRA_CA_CERTS';
/** A name has 512 characters at most (CloudWatch Logs API reference, CreateLogStream). */
const STREAM_CHARS_KEPT = 480;

/** All steps. */
export async function* checkCloudWatch(options: CheckOptions): AsyncGenerator<CheckStep> {
  const { config, clock } = options;
  const instanceRegion = createInstanceRegion({ clock });
  const session = new Session({ config, clock, log: silentLog, instanceRegion });
  try {
    const connected = await session.connect();
    if ('problem' in connected) {
      const remedy = 'set AWS_REGION, or awsRegion of the operator’s configuration';
      yield { name: 'region', outcome: 'failed', text: connected.problem, remedy };
      return;
    }
    yield* checkConnected({ ...options, config: { ...config, awsRegion: connected.region } }, connected);
  } finally {
    session.close();
  }
}

async function* checkConnected(options: CheckOptions, connected: Connected): AsyncGenerator<CheckStep> {
  const { config, clock, writes } = options;
  const target: NetworkTarget = {
    url: connected.calls.endpoint,
    ca: undefined,
    client: undefined,
    caPlace: CA_PLACE,
  };
  yield { name: 'region', outcome: 'ok', text: `${connected.region} at ${target.url.origin}` };
  if (!(yield* checkWay(target, clock, config.proxy))) return;
  const answer = await askUnsigned(target, clock, { method: 'GET', path: '/', proxy: config.proxy });
  const date = answer.kind === 'answer' ? answer.headers['date'] : undefined;
  yield checkClock(typeof date === 'string' ? date : undefined, clock);
  const secret = await createSecretFiles({ dir: config.sinkSecretDir, keys: AWS_SECRET_KEYS, clock }).read();
  const identity = await checkIdentity(secret, config.proxy, clock);
  yield identity;
  if (identity.outcome === 'failed') return;
  const destination = logDestination(config, exampleSource(config));
  const permission = await permissionStep(connected, destination, clock.now());
  yield permission;
  if (permission.outcome === 'failed') return;
  if (!writes) {
    yield createStep(destination, connected.region);
    return;
  }
  const sink = new CloudWatchLogsSink({ config, clock, log: silentLog, metrics: createMetrics() });
  try {
    yield await writeRecord(sink, config, clock, `${destination.group}, log stream ${destination.stream}`);
  } finally {
    await sink.close();
  }
}

async function permissionStep(connected: Connected, destination: LogDestination, now: number): Promise<CheckStep> {
  const name = 'permission';
  // Beside the pod's own: a policy may name the beginning of its log streams.
  const stream = `${destination.stream.slice(0, STREAM_CHARS_KEPT)}-logtender-check-${now.toString(36)}`;
  const absent = { group: destination.group, stream };
  const event = Buffer.from(`${JSON.stringify({ timestamp: now, message: 'logtender check sink' })},`);
  const { action, resource } = callContext('PutLogEvents', absent, connected.region);
  const called = await connected.calls.putLogEvents(absent, [event], new AbortController().signal);
  if (called.kind !== 'failed') return { name, outcome: 'ok', text: `${action} on ${resource}` };
  const { delivery } = called;
  const isIdentity =
    called.isIdentity === true || (delivery.status === 'retryable' && delivery.reason === 'credentials');
  return {
    name: called.isIdentity === true ? 'auth' : name,
    outcome: 'failed',
    text: delivery.text,
    ...(isIdentity ? {} : { remedy: 'see docs/errors.md' }),
  };
}

/** What is made only when the first line comes cannot be asked for without making it. */
function createStep(destination: LogDestination, region: string): CheckStep {
  const actions = (['CreateLogStream', 'CreateLogGroup'] as const).map((action) => `logs:${action}`);
  const { resource } = callContext('CreateLogStream', destination, region);
  return {
    name: 'create',
    outcome: 'skipped',
    text: `${actions.join(', and where the group is not there ')}, on ${resource}: only making them tells`,
    remedy: 'send one record: check sink --write',
  };
}
