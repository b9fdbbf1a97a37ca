/**
 * Memory of the forwarder as a process with the CloudWatch Logs sink, by the provider that its credentials come from: every endpoint is a
 * fake on loopback, and what is measured is measured after the first lines were stored.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { instanceMetadata, podIdentityAgent, securityTokenService } from '../fakes/aws-credential-servers.ts';
import { FakeCloudWatchLogs } from '../fakes/cloudwatch-logs-server.ts';
import type { ScriptedServer } from '../fakes/scripted-server.ts';
import { startForwarder } from './forwarder-process.ts';
import { watchMemory } from './measured-process.ts';

/** After the first lines: long enough for what was only needed to connect to be let go of. */
const SETTLE_MS = 2_000;
const STORED_MS_MAX = 60_000;

export const PROVIDERS = ['secret', 'environment', 'web-identity', 'container', 'instance'] as const;
export type Provider = (typeof PROVIDERS)[number];

interface Way {
  readonly server: ScriptedServer | undefined;
  readonly env: (url: string) => Readonly<Record<string, string>>;
}

function wayOf(provider: Provider, root: string): Way {
  const token = join(root, 'identity-token');
  writeFileSync(token, 'jwt');
  const issued = { keys: ['AKIDBENCH'], asked: 0 };
  if (provider === 'web-identity')
    return {
      server: securityTokenService(issued, () => 'jwt'),
      env: (url) => ({
        AWS_ROLE_ARN: 'arn:aws:iam::111122223333:role/logs',
        AWS_WEB_IDENTITY_TOKEN_FILE: token,
        AWS_ENDPOINT_URL_STS: url,
      }),
    };
  if (provider === 'container')
    return {
      server: podIdentityAgent(issued, () => 'jwt'),
      env: (url) => ({
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/v1/credentials`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: token,
      }),
    };
  if (provider === 'instance')
    return {
      server: instanceMetadata(issued, 2),
      env: (url) => ({ AWS_EC2_METADATA_SERVICE_ENDPOINT: url }),
    };
  const keys = { AWS_ACCESS_KEY_ID: 'AKIDBENCH', AWS_SECRET_ACCESS_KEY: 'bench' };
  return { server: undefined, env: () => (provider === 'environment' ? keys : {}) };
}

/** Ships a line and gives the memory of the process two seconds later, in MiB. */
export async function runCredentialsCase(provider: Provider, entry: string): Promise<object> {
  const root = mkdtempSync(join(tmpdir(), 'logtender-credentials-'));
  const logs = mkdtempSync(join(tmpdir(), 'logtender-credentials-logs-'));
  const fake = new FakeCloudWatchLogs();
  fake.accessKeyId = 'AKIDBENCH';
  await fake.server.start();
  const { server, env } = wayOf(provider, root);
  await server?.start();
  writeFileSync(join(logs, 'a.log'), 'one line\n');
  const forwarder = startForwarder({
    ...{ root, logs, sink: 'cloudwatch', metadata: 'full', port: 0, ca: undefined, entry },
    env: {
      CLOUDWATCH_ENDPOINT: fake.server.url,
      ...(provider === 'secret' ? {} : { SINK_SECRET_DIR: join(root, 'no-secret') }),
      ...env(server?.url ?? ''),
    },
  });
  try {
    await Promise.race([stored(fake), forwarder.endedEarly]);
    await setTimeout(SETTLE_MS);
    return { provider, ...watchMemory(forwarder.pid).stop() };
  } finally {
    await forwarder.stop();
    await fake.server.stop();
    await server?.stop();
    for (const folder of [root, logs]) rmSync(folder, { recursive: true, force: true });
  }
}

async function stored(fake: FakeCloudWatchLogs): Promise<void> {
  for (let waitedMs = 0; fake.messages.length === 0; waitedMs += 50) {
    if (waitedMs > STORED_MS_MAX)
      throw new Error(`expected a stored line within ${STORED_MS_MAX} ms, got ${fake.calls.join()}`);
    await setTimeout(50);
  }
}
