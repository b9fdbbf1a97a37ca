/**
 * Credentials that do not come: an STS, a proxy or a metadata endpoint that takes the connection and never answers. No caller waits longer
 * than the bound, and what still comes after it is remembered by the chain for the next one. Loads no SDK.
 *
 * May import: core, sinks.
 */
import type { Clock } from '../../core/clock.ts';
import { errorText } from '../../core/errors.ts';
import { NO_CREDENTIALS_REMEDY } from './static-credentials.ts';

/**
 * One asking for credentials, and each attempt of the SDK at STS. STS and the metadata endpoints answer within some hundred milliseconds; the
 * SDK's four attempts at an agent of the pod take 4 s (1 s each, `@aws-sdk/credential-provider-http`), and a first packet that gets lost is
 * sent again after 1, 3 and 7 s (RFC 6298, initial RTO of 1 s, doubled): all of that fits. A person at `check sink` waits as long.
 */
export const CREDENTIALS_MS_MAX = 10_000;

/** What a person does about credentials that are late; nothing is wrong with the identity. */
export const LATE_REMEDY = 'look at proxy, NO_PROXY and network policy';

/** Name of the error, by which it is told from a chain that has no credentials. */
export const LATE_CREDENTIALS = 'CredentialsLateError';

class CredentialsLateError extends Error {
  override readonly name = LATE_CREDENTIALS;
}

/** What the asking gives, or rejects with a `CredentialsLateError` after the bound. */
export async function inTime<T>(asking: Promise<T>, clock: Clock): Promise<T> {
  const over = new AbortController();
  const late = clock.sleep(CREDENTIALS_MS_MAX, over.signal).then(() => undefined);
  try {
    const done = await Promise.race([asking.then((value) => ({ value })), late]);
    if (done !== undefined) return done.value;
  } finally {
    over.abort();
  }
  throw new CredentialsLateError(
    `credentials were not there within ${CREDENTIALS_MS_MAX / 1000} s: STS or the metadata endpoint did not answer`,
  );
}

/** What a person does about the error of a provider. */
export function credentialsRemedy(error: unknown): string {
  return error instanceof CredentialsLateError ? LATE_REMEDY : NO_CREDENTIALS_REMEDY;
}

/** The error of a provider as the words of a failed request. */
export function credentialsProblem(error: unknown): string {
  return `no AWS credentials: ${errorText(error)}; ${credentialsRemedy(error)}`;
}
