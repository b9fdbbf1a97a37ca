/**
 * A process that delivers one line to CloudWatch Logs and says which libraries it loaded for that: a JSON line with `status` and `packages`.
 *
 * Its configuration comes as JSON in the first argument. May import: test/fakes, src.
 */
import { registerHooks } from 'node:module';

const packages = new Set<string>();
registerHooks({
  resolve: (specifier, context, next) => {
    const found = next(specifier, context);
    const name = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(found.url)?.[1];
    if (name !== undefined) packages.add(name);
    return found;
  },
});

// After the hooks, so that they see everything.
const { systemClock, systemRandom } = await import('../../src/core/clock.ts');
const { silentLog } = await import('../../src/core/log.ts');
const { createMetrics } = await import('../../src/core/metrics.ts');
const { createSink } = await import('../../src/sinks/registry.ts');
const { forwarderConfig, sourceInfo } = await import('./forwarder-config.ts');

const config = forwarderConfig(JSON.parse(process.argv[2] ?? '{}') as Readonly<Record<string, string>>);
const deps = { log: silentLog, metrics: createMetrics(), clock: systemClock, random: systemRandom };
const sink = await createSink('cloudwatch', config, deps);
const encoder = sink.createEncoder();
encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 0, systemClock.now());
const { signal } = new AbortController();
const { status } = await sink.deliver(encoder.finish(), { selection: undefined, sentBefore: () => false, signal });
await sink.close();
process.stdout.write(`${JSON.stringify({ status, packages: [...packages].toSorted() })}\n`);
