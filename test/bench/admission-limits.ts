/**
 * What the webhook costs when nobody asks, and what it does when too many ask: the bundled process that an image runs.
 *
 * `rest`: resident memory five seconds after readiness. `overload`: 64 clients with bodies of 100 KiB for ten seconds, the server on one
 * processor; a client that is told to come again (503, Retry-After: 1) does so after that second, as an API server does.
 */
import { systemClock } from '../../src/core/clock.ts';
import { SERVER_NAME } from '../fakes/webhook-process.ts';
import { dial, requestText } from '../fakes/wire.ts';
import { reviewOf } from '../fakes/webhook.ts';
import { withBundledWebhook } from './bundled-webhook.ts';
import { rounded } from './measured-process.ts';

const REST_MS = 5_000;
const CLIENTS = 64;
const WARM_MS = 2_000;
const MEASURED_MS = 10_000;
const ENV_VALUES = 2_000;

/** Memory at rest. */
export async function runRest(): Promise<object> {
  return withBundledWebhook(async (webhook) => {
    await systemClock.sleep(REST_MS);
    return { bench: 'admission', case: 'rest', rss_mib: rounded(webhook.rssMib(), 1) };
  });
}

/** Times of the accepted requests under overload, and how many were refused. */
export async function runOverload(): Promise<object> {
  return withBundledWebhook(async (webhook) => {
    const body = overloadBody();
    const request = requestText(body);
    const timesMs: number[] = [];
    let refused = 0;
    const startMs = systemClock.monotonic();
    const endMs = startMs + WARM_MS + MEASURED_MS;
    const client = async (): Promise<void> => {
      const wire = await dial(webhook.port, { ca: webhook.ca, servername: SERVER_NAME });
      while (systemClock.monotonic() < endMs) {
        const sentMs = systemClock.monotonic();
        wire.send(request);
        const { status } = await wire.reply();
        const isMeasured = sentMs - startMs >= WARM_MS;
        if (status === 503) {
          if (isMeasured) refused += 1;
          await systemClock.sleep(1_000);
        } else if (status === 200) {
          if (isMeasured) timesMs.push(systemClock.monotonic() - sentMs);
        } else {
          throw new Error(`expected 200 or 503, got ${status}`);
        }
      }
      wire.destroy();
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    const sorted = timesMs.toSorted((a, b) => a - b);
    const at = (share: number): number => rounded(sorted[Math.ceil(sorted.length * share) - 1] ?? 0, 1);
    return {
      bench: 'admission',
      case: 'overload',
      clients: CLIENTS,
      body_kib: rounded(body.length / 1024, 0),
      accepted: timesMs.length,
      accepted_per_s: Math.round((timesMs.length * 1000) / MEASURED_MS),
      refused,
      p50_ms: at(0.5),
      p99_ms: at(0.99),
      max_ms: at(1),
      rss_mib: rounded(webhook.rssMib(), 1),
    };
  });
}

function overloadBody(): string {
  const env = Array.from({ length: ENV_VALUES }, (_, i) => ({
    name: `VARIABLE_${i}`,
    value: `value number ${i} of many`,
  }));
  const annotations = { 'logging.io/inject': 'true', 'logging.io/files': '/var/log/app/*.log' };
  return JSON.stringify(
    reviewOf({ metadata: { name: 'web-1', annotations }, spec: { containers: [{ name: 'app', env }] } }),
  );
}
