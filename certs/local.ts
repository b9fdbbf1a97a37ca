/**
 * Certificates without a cluster, for `npm start`: the same replica against an API in memory, in this process.
 *
 * Nothing of the logic is repeated: there are Secrets, a webhook configuration with a caBundle, a watch; only the server is ours.
 * May import: src/core, src/config, src/kube, certs.
 */
import { randomBytes } from 'node:crypto';

import { certsNames, parseCertsConfig } from '../src/config/certs-config.ts';
import { problemText } from '../src/config/fields.ts';
import type { Clock, Random } from '../src/core/clock.ts';
import { OperationalError } from '../src/core/errors.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';
import { createMemoryKube } from '../src/kube/memory.ts';
import { webhookConfigurationPath } from '../src/kube/paths.ts';
import { toPem } from './bundle.ts';
import { entriesOf } from './ca-bundle.ts';
import { createSecretSource } from './certificate-source.ts';
import type { CertificateSource } from './certificate-source.ts';
import { leafHosts, startReplica } from './replica.ts';

export interface LocalOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** What clients will call the server: `localhost`, `127.0.0.1`, `::1`. */
  readonly hosts: readonly string[];
  /** Lives and waits as in certs.yaml (`leafLife: 20s`); the defaults of production otherwise. */
  readonly document?: Readonly<Record<string, unknown>>;
}

export interface LocalCertificates {
  /** Has a pair from the beginning. */
  readonly source: CertificateSource;
  /** What an API server would trust: PEM of the caBundle as it stands in the webhook configuration. */
  caBundlePem(): Promise<string>;
  /** Where the rotation stands. */
  status(): unknown;
  /** Looks at everything now: a client does not trust what is served. */
  repair(): void;
  close(): Promise<void>;
}

/**
 * Makes CA, leaf and caBundle, and goes on renewing them. Resolves when all is in order.
 *
 * @throws OperationalError CONFIG_INVALID when `document` is no certs.yaml
 */
export async function startLocalCertificates(options: LocalOptions): Promise<LocalCertificates> {
  const { clock, random, log, metrics } = options;
  const parsed = parseCertsConfig({ ...options.document, hosts: options.hosts }, {});
  if (!parsed.ok) throw new OperationalError('CONFIG_INVALID', parsed.problems.map(problemText).join('\n'));
  const config = parsed.value;
  const names = certsNames(config.instance);
  const client = createMemoryKube();
  await client.create(webhookConfigurationPath(), {
    metadata: { name: names.webhookConfiguration },
    webhooks: [
      {
        name: 'local.logtender.logging.io',
        clientConfig: { service: { name: names.service, namespace: config.namespace } },
      },
    ],
  });
  const replica = startReplica({ client, config, clock, random, randomBytes, log, metrics, usesLease: false });
  const hosts = leafHosts(config);
  const source = createSecretSource({
    client,
    clock,
    random,
    log,
    metrics,
    namespace: config.namespace,
    name: names.tlsSecret,
    owner: names.owner,
    hosts,
  });
  await Promise.all([replica.inOrder, firstPair(source)]);
  return {
    source,
    caBundlePem: async () => {
      const configuration = await client.get(webhookConfigurationPath(names.webhookConfiguration));
      const [entry] = configuration.ok ? entriesOf(configuration.value) : [];
      return entry === undefined ? '' : toPem(entry.bundle.certificates);
    },
    status: () => replica.status(),
    repair: () => {
      source.refresh();
      replica.wake();
    },
    close: async () => {
      await source.close();
      await replica.close();
      client.close();
    },
  };
}

function firstPair(source: CertificateSource): Promise<void> {
  if (source.current() !== undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const end = source.onChange(() => {
      end();
      resolve();
    });
  });
}
