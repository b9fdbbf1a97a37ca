/**
 * Our own webhook configuration as the API servers have it: whether it is there, and whom each entry trusts.
 *
 * Invariant: the copy is never older than `TRUST_AGE_MS_MAX` while the API server answers, whatever a watch does: readiness and the choice
 * of the serving pair hang on it. May import: core, kube, certs.
 */
import { entriesOf } from '../certs/ca-bundle.ts';
import type { LiveTrust } from '../certs/live-trust.ts';
import type { Clock, Random } from '../src/core/clock.ts';
import { TRUST_AGE_MS_MAX } from '../src/core/limits.ts';
import type { Log } from '../src/core/log.ts';
import type { KubeClient } from '../src/kube/client.ts';
import { createInformer } from '../src/kube/informer.ts';
import { byName, webhookConfigurationPath } from '../src/kube/paths.ts';

export interface WatchedTrust extends LiveTrust {
  /** Reads it anew at once: somebody does not trust what is served. */
  refresh(): void;
  close(): Promise<void>;
}

/** Follows one MutatingWebhookConfiguration by its name. Starts at once. */
export function watchTrust(options: {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly name: string;
}): WatchedTrust {
  const { client, clock, random, log, name } = options;
  const informer = createInformer({
    client,
    clock,
    random,
    log,
    path: webhookConfigurationPath(),
    query: byName(name),
    idleMsMax: TRUST_AGE_MS_MAX,
  });
  return {
    entries: () => {
      const live = informer.get('', name);
      return live === undefined ? undefined : entriesOf(live);
    },
    onChange: (listener) => informer.onChange(listener),
    refresh: () => informer.refresh(),
    close: () => informer.close(),
  };
}
