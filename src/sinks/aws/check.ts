/**
 * The steps that the destinations of AWS have in common: region, way, clock, identity.
 *
 * May import: core, config, sinks.
 */
import type { ProxySettings } from '../../config/forwarder-config.ts';
import type { Clock } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import type { CheckStep } from '../check.ts';
import { openConnection } from '../http-exchange.ts';
import type { Exchange } from '../http-exchange.ts';
import { checkNetwork } from '../network-check.ts';
import type { NetworkTarget } from '../network-check.ts';
import { proxyOf } from '../proxy-way.ts';
import type { SecretValues } from '../secret-files.ts';
import { credentialProvider } from './credentials.ts';
import { credentialsRemedy } from './late-credentials.ts';
import { staticCredentials } from './static-credentials.ts';

/** A person waits. */
const CALL_TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 1024 * 1024;

/** Name, connection and certificate; gives whether the rest makes sense. Through a proxy the pod needs neither the name nor the way. */
export async function* checkWay(
  target: NetworkTarget,
  clock: Clock,
  proxy: ProxySettings,
): AsyncGenerator<CheckStep, boolean> {
  const through = proxyOf(target.url, proxy);
  if (through !== undefined) {
    yield {
      name: 'network',
      outcome: 'skipped',
      text: `the proxy ${through.host} is configured: name and connection are its own`,
    };
    return true;
  }
  let last: CheckStep | undefined;
  for await (const step of checkNetwork(target, clock)) {
    last = step;
    yield step;
  }
  return last?.outcome !== 'failed';
}

/** A request that nobody signed: every answer to it has a time, and that of S3 a region. */
export async function askUnsigned(
  { url, ca }: NetworkTarget,
  clock: Clock,
  { method, path, proxy }: { readonly method: 'GET' | 'HEAD'; readonly path: string; readonly proxy: ProxySettings },
): Promise<Exchange> {
  const connection = await openConnection({ url, ca, proxy, clock });
  try {
    return await connection.exchange({
      method,
      path,
      headers: {},
      body: [],
      timeoutMs: CALL_TIMEOUT_MS,
      answerBytesMax: ANSWER_BYTES_MAX,
      signal: new AbortController().signal,
    });
  } finally {
    connection.close();
  }
}

/** Whose name the requests bear, by the id of its access key, which is no secret (IAM user guide, "Access keys"). */
export async function checkIdentity(secret: SecretValues, proxy: ProxySettings, clock: Clock): Promise<CheckStep> {
  const isStatic = staticCredentials(secret) !== undefined;
  try {
    const { accessKeyId, sessionToken } = await credentialProvider(secret, proxy, clock)();
    const kind = sessionToken === undefined ? 'access key' : 'session key';
    const from = isStatic ? 'of the sink Secret' : 'found by the chain of the SDK (env, role, container, instance)';
    return { name: 'identity', outcome: 'ok', text: `${kind} ${accessKeyId} ${from}` };
  } catch (error) {
    return {
      name: 'identity',
      outcome: 'failed',
      text: `no AWS credentials: ${errorText(error)}`,
      remedy: credentialsRemedy(error),
    };
  }
}
