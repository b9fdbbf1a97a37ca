/**
 * From a sink's name to the sink: the one place that knows them all. Each is loaded only when it is configured.
 *
 * May import: core, config.
 */
import type { ForwarderConfig, SinkName } from '../config/forwarder-config.ts';
import type { Clock, Random } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { createInstanceRegion } from './aws/instance-region.ts';
import type { Sink } from './sink.ts';

export interface SinkDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: Random;
  /** Where the console sink prints: resolves when the bytes were taken. Standard output unless given. */
  readonly write?: (bytes: Buffer) => Promise<void>;
}

/** A sink that is ready to make encoders. It connects with its first delivery; a wrong configuration shows there, not here. */
export async function createSink(name: SinkName, config: ForwarderConfig, deps: SinkDeps): Promise<Sink> {
  const { clock, log, metrics } = deps;
  if (name === 'elasticsearch') {
    const { ElasticsearchSink } = await import('./elasticsearch/sink.ts');
    return new ElasticsearchSink({ config, clock, metrics });
  }
  if (name === 'cloudwatch') {
    const { CloudWatchLogsSink } = await import('./cloudwatch-logs/sink.ts');
    return new CloudWatchLogsSink({ config, clock, log, metrics, instanceRegion: createInstanceRegion({ clock }) });
  }
  if (name === 's3') {
    const { S3Sink } = await import('./s3/sink.ts');
    return new S3Sink({ config, clock, metrics, instanceRegion: createInstanceRegion({ clock }) });
  }
  if (name === 'file') {
    const { FileSink } = await import('./file/sink.ts');
    return new FileSink({ config, metrics });
  }
  const { ConsoleSink } = await import('./console/sink.ts');
  return new ConsoleSink({ config, metrics, write: deps.write ?? writeToStdout });
}

function writeToStdout(bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
