/**
 * The keys of the sink Secret that name an AWS user. Pure. May import: core, sinks.
 */
import type { SecretValues } from '../secret-files.ts';

/** The files of the sink Secret that AWS sinks read. */
export const AWS_SECRET_KEYS = ['aws-access-key-id', 'aws-secret-access-key', 'aws-session-token'] as const;

/** What a person does about `no AWS credentials`. */
export const NO_CREDENTIALS_REMEDY =
  'name a service account with a role (logging.io/service-account, logging.io/role-arn; deploy/iam has the trust policies), or put ' +
  'aws-access-key-id and aws-secret-access-key into the sink Secret';

/** Static keys of the sink Secret, when both are there. */
export function staticCredentials(
  secret: SecretValues,
): { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined {
  const accessKeyId = secret.value('aws-access-key-id');
  const secretAccessKey = secret.value('aws-secret-access-key');
  const sessionToken = secret.value('aws-session-token');
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}
