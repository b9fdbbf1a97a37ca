/**
 * The configuration of a forwarder for a command: the environment, with what the command line says in its place.
 *
 * May import: everything but test.
 */
import { problemText } from '../config/fields.ts';
import { ENV, parseForwarderEnv } from '../config/forwarder-config.ts';
import type { ForwarderConfig } from '../config/forwarder-config.ts';
import { OperationalError } from '../core/errors.ts';

/** @throws OperationalError CONFIG_INVALID with all problems */
export function sinkEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  given: { readonly url?: string | undefined; readonly 'secret-dir'?: string | undefined },
): ForwarderConfig {
  const parsed = parseForwarderEnv({
    ...env,
    ...(given.url === undefined ? {} : { [ENV.elasticsearchUrl]: given.url }),
    ...(given['secret-dir'] === undefined ? {} : { [ENV.sinkSecretDir]: given['secret-dir'] }),
  });
  if (parsed.ok) return parsed.value;
  throw new OperationalError('CONFIG_INVALID', parsed.problems.map(problemText).join('\n'));
}
