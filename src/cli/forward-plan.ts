/**
 * What a forwarder's configuration would ship, and where: `logtender forward --check`.
 *
 * The files are looked for by the forwarder's own scan, the names made by the sinks' own functions. Nothing is opened but folders, and
 * nothing is asked of a destination (`logtender check sink` does that). May import: everything but test.
 */
import { accessSync, constants } from 'node:fs';
import type { FileGlob, ForwarderConfig, SinkName } from '../config/forwarder-config.ts';
import { systemClock } from '../core/clock.ts';
import type { SourceInfo } from '../core/record.ts';
import { logDestination } from '../sinks/cloudwatch-logs/request.ts';
import { indexName } from '../sinks/elasticsearch/encode.ts';
import { objectPlace, partitionOf } from '../sinks/s3/object-key.ts';
import { FolderScanner } from '../source/directory-scan.ts';

/** Files that are named in a plan, for each glob; the others are counted. */
const FILES_SHOWN_MAX = 20;

interface PlannedFile {
  readonly path: string;
  readonly bytes: number;
  /** Why it cannot be read; absent where it can. */
  readonly problem?: string;
  /** Sink -> where its records go. */
  readonly to: Readonly<Record<string, string>>;
}

interface PlannedGlob {
  readonly container: string;
  readonly path: string;
  readonly files: number;
  readonly bytes: number;
  readonly shown: readonly PlannedFile[];
  readonly problems: readonly string[];
}

export interface Plan {
  readonly sinks: readonly { readonly sink: SinkName; readonly at: string }[];
  readonly globs: readonly PlannedGlob[];
  readonly stateDir: string;
  readonly pages: string;
  /** Variables of env that hold in place of the file. */
  readonly overriding: readonly string[];
  /** What is legal and most likely not meant. */
  readonly warnings: readonly string[];
}

/** Looks at the folders as they are now. */
export function plan(config: ForwarderConfig, overriding: readonly string[]): Plan {
  const globs = config.files.map((glob) => planGlob(config, glob));
  const { adminHost, adminPort, stateDir } = config;
  return {
    sinks: config.sinks.map((sink) => ({ sink, at: addressOf(config, sink) })),
    globs,
    stateDir,
    pages: adminPort === 0 ? 'off' : `http://${adminHost.includes(':') ? `[${adminHost}]` : adminHost}:${adminPort}`,
    overriding,
    warnings: warningsOf(config, globs),
  };
}

function planGlob(config: ForwarderConfig, glob: FileGlob): PlannedGlob {
  const scan = new FolderScanner([glob]).scan();
  const files = scan.sightings.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return {
    container: glob.container,
    path: glob.path,
    files: files.length,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    shown: files.slice(0, FILES_SHOWN_MAX).map(({ name, path, size, base }) => {
      const app = base?.path ?? path;
      const source = { id: 'ID', container: glob.container, path: app, file: app.replace(/^\//, '') };
      const to = Object.fromEntries(config.sinks.map((sink) => [sink, placeOf(config, sink, source)]));
      const problem = unreadable(name);
      return { path, bytes: size, to, ...(problem === undefined ? {} : { problem }) };
    }),
    problems: scan.problems.map(({ name, code }) => `${name}: ${code}`),
  };
}

function unreadable(name: string): string | undefined {
  try {
    accessSync(name, constants.R_OK);
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
  }
}

/** The name that a record of now goes to. */
function placeOf(config: ForwarderConfig, sink: SinkName, source: SourceInfo): string {
  const now = systemClock.now();
  if (sink === 'elasticsearch') return indexName(config, source, now);
  if (sink === 'cloudwatch') {
    const { group, stream } = logDestination(config, source);
    return `${group} ${stream}`;
  }
  if (sink === 's3') {
    const { bucket, prefix } = objectPlace(config, source);
    return `s3://${bucket}/${prefix}${partitionOf(now)}`;
  }
  return sink === 'file' ? config.fileSink.path : 'standard output';
}

function addressOf(config: ForwarderConfig, sink: SinkName): string {
  const region = config.awsRegion ?? 'no region';
  if (sink === 'elasticsearch') return withoutPassword(config.elasticsearchUrl);
  if (sink === 'cloudwatch') return config.cloudwatchEndpoint ?? region;
  if (sink === 's3') return config.s3.endpoint ?? region;
  return sink === 'file' ? config.fileSink.path : 'standard output';
}

function withoutPassword(urls: string | undefined): string {
  if (urls === undefined) return 'the URL of the key elasticsearch-url';
  const shown = urls.split(',').map((text) => {
    const url = new URL(text.trim());
    url.username = '';
    url.password = '';
    return url.href;
  });
  return shown.join(', ');
}

function warningsOf(config: ForwarderConfig, globs: readonly PlannedGlob[]): readonly string[] {
  const { sinks, s3, awsRegion, cloudwatchEndpoint, metadata, sinkSecretDir } = config;
  return [
    ...(globs.length === 0 ? ['files: no glob, nothing would be shipped'] : []),
    ...globs
      .filter(({ files }) => files === 0)
      .map(({ path }) => `${path}: no file yet; it is looked for every second`),
    ...(sinks.includes('s3') && s3.bucket === undefined ? ['s3.bucket: none is named, nothing can be stored'] : []),
    ...(sinks.includes('s3') && awsRegion === undefined && s3.endpoint === undefined
      ? ['awsRegion: S3 needs one']
      : []),
    ...(sinks.includes('cloudwatch') && awsRegion === undefined && cloudwatchEndpoint === undefined
      ? ['awsRegion: CloudWatch Logs needs one, unless the AWS configuration of this user names it']
      : []),
    ...(sinks.includes('elasticsearch') && config.elasticsearchUrl === undefined
      ? [`elasticsearch.url: none, so the file elasticsearch-url in ${sinkSecretDir} has to say it`]
      : []),
    ...(metadata === 'none' ? ['metadata: none, so records do not say from which file they are'] : []),
  ];
}

/** The plan as lines. */
export function checkText(planned: Plan): string {
  const lines = [
    ...planned.sinks.map(({ sink, at }) => `sink ${sink}: ${at}`),
    ...planned.globs.flatMap(globLines),
    `state in ${planned.stateDir}`,
    `pages ${planned.pages}`,
    ...planned.overriding.map((name) => `env ${name} holds in place of the file`),
    ...planned.warnings.map((warning) => `warning: ${warning}`),
    'the configuration is valid',
  ];
  return `${lines.join('\n')}\n`;
}

function globLines({ container, path, files, bytes, shown, problems }: PlannedGlob): readonly string[] {
  const more = files - shown.length;
  return [
    `files ${container}:${path}: ${files} now, ${bytes} bytes`,
    ...shown.map(({ path: name, bytes: size, problem, to }) => {
      const where = Object.entries(to).map(([sink, place]) => `${sink} ${place}`);
      return `  ${name}: ${size} bytes${problem === undefined ? '' : `, cannot be read: ${problem}`} -> ${where.join('; ')}`;
    }),
    ...(more > 0 ? [`  and ${more} more`] : []),
    ...problems.map((problem) => `  ${problem}`),
  ];
}
