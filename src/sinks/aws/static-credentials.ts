/**
 * The keys of the sink Secret that name an AWS user. Pure. May import: core, sinks.
 */
import type { SecretValues } from '../secret-files.ts';

/** The files of the sink Secret that AWS sinks read. */
export const AWS_SECRET_KEYS = ['aws-access-key-id', 'aws-secret-access-key', 'aws-session-token'] as const;

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
