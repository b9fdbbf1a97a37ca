/**
 * Who may ask, and under which path: both open unless the operator says otherwise.
 *
 * May import: core, config, certs.
 */
import type { WebhookServerConfig } from '../src/config/webhook-config.ts';
import type { Clock } from '../src/core/clock.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';
import { createClientAuth } from './client-auth.ts';
import type { ClientAuth } from './client-auth.ts';
import { createPathGate, followPathTokens } from './path-gate.ts';
import type { PathGate } from './path-gate.ts';

export interface Doors {
  readonly clientAuth: ClientAuth | undefined;
  readonly isOurPath: PathGate;
  close(): Promise<void>;
}

/**
 * Reads what the configuration names, and follows it.
 *
 * @throws OperationalError CONFIG_INVALID when a file cannot be read or used
 */
export async function openDoors(
  config: Pick<WebhookServerConfig, 'clientCa' | 'pathTokenFile'>,
  shared: {
    readonly clock: Clock;
    readonly log: Log;
    readonly metrics: Metrics;
    /** Milliseconds between two looks at the files; ten seconds by default. */
    readonly lookEveryMs?: number;
  },
): Promise<Doors> {
  const { clientCa, pathTokenFile } = config;
  const clientAuth = clientCa === undefined ? undefined : await createClientAuth({ config: clientCa, ...shared });
  const tokens = pathTokenFile === undefined ? undefined : await followPathTokens(pathTokenFile, shared);
  return {
    clientAuth,
    isOurPath: createPathGate(tokens?.current),
    close: async () => {
      await Promise.all([clientAuth?.close(), tokens?.close()]);
    },
  };
}
