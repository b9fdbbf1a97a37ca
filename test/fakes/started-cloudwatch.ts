/**
 * The CloudWatch Logs sink before its fake, as the suites of its conformance start it. May import: test/fakes, src.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REQUEST_TIMEOUT_MS } from '../../src/core/limits.ts';
import { silentLog } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { SessionOptions } from '../../src/sinks/cloudwatch-logs/session.ts';
import { CloudWatchLogsSink } from '../../src/sinks/cloudwatch-logs/sink.ts';
import type { Delivery } from '../../src/sinks/sink.ts';
import { FakeCloudWatchLogs } from './cloudwatch-logs-server.ts';
import { forwarderConfig } from './forwarder-config.ts';
import type { Fault } from './scripted-server.ts';
import { VirtualClock } from './virtual-clock.ts';

/** Where the lines of `sourceInfo()` go. */
export const GROUP = '/k8s/test/shop/web';
export const STREAM = 'web-7d9f-x2x/app/var/log/app/a.log';

/** An answer as the service fails. */
export function failure(type: string, status = 400): Fault {
  return {
    status,
    headers: { 'content-type': 'application/x-amz-json-1.1' },
    body: JSON.stringify({ __type: type, message: 'words' }),
  };
}

async function secretDir(values: Readonly<Record<string, string>>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'logtender-secret-'));
  for (const [key, value] of Object.entries(values)) await writeFile(join(dir, key), value);
  return dir;
}

export const KEYS = { 'aws-access-key-id': 'AKIDTEST', 'aws-secret-access-key': 'secret' };

export interface Started {
  readonly fake: FakeCloudWatchLogs;
  readonly clock: VirtualClock;
  readonly sink: CloudWatchLogsSink;
  readonly dir: string;
  readonly stop: () => Promise<void>;
}

/** Waits of seconds are over at once; the time limit of a request is not. */
export class ImpatientClock extends VirtualClock {
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return ms < REQUEST_TIMEOUT_MS ? Promise.resolve() : super.sleep(ms, signal);
  }
}

/** A sink with its keys in a Secret, before a server that checks every signature. */
export async function start(
  env: Readonly<Record<string, string>> = {},
  keys: Readonly<Record<string, string>> = KEYS,
  clock: VirtualClock = new VirtualClock(Date.now()),
  more: Partial<SessionOptions> = {},
): Promise<Started> {
  const fake = new FakeCloudWatchLogs();
  fake.secretAccessKey = KEYS['aws-secret-access-key'];
  await fake.server.start();
  const dir = await secretDir(keys);
  const config = forwarderConfig({
    CLOUDWATCH_ENDPOINT: fake.server.url,
    AWS_REGION: 'eu-central-1',
    SINK_SECRET_DIR: dir,
    ...env,
  });
  const sink = new CloudWatchLogsSink({ config, clock, log: silentLog, metrics: createMetrics(), ...more });
  const stop = async (): Promise<void> => {
    await sink.close();
    await fake.server.stop();
    await rm(dir, { recursive: true });
  };
  return { fake, clock, sink, dir, stop };
}

/** Waits until an action was called so often. */
export async function seen(fake: FakeCloudWatchLogs, action: string, times: number): Promise<void> {
  while (fake.calls.filter((call) => call === action).length < times)
    await new Promise((resolve) => setImmediate(resolve));
}

/** What a person reads of a delivery. */
export function words(delivery: Delivery): string {
  return 'text' in delivery ? delivery.text : delivery.status;
}
