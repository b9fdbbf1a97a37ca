/**
 * The real forwarder as a process under measurement: its env as an admitted pod has it, its flags, and on demand a control group.
 */
import { spawn } from 'node:child_process';
import type { SpawnOptions } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { FORWARDER_NODE_FLAGS } from '../../src/config/forwarder-config.ts';
import type { DiscardOrders } from './discard-sink.ts';
import { underTest } from './process-under-test.ts';
import type { ProcessUnderTest } from './process-under-test.ts';

const ROOT = resolve(import.meta.dirname, '../..');

export interface ForwarderRun {
  /** Folder for state, Secret and termination message. */
  readonly root: string;
  /** Folder of the log files. */
  readonly logs: string;
  readonly sink: DiscardOrders['kind'];
  readonly metadata: 'full' | 'none';
  readonly port: number;
  /** PEM of the sink's certificate: TLS. */
  readonly ca: string | undefined;
  /** The program: a bundle or a source file. */
  readonly entry: string;
  /** The Node to run; the one that runs us unless given. */
  readonly node?: string;
  /** The file that takes the process into its control group. */
  readonly procsPath?: string;
  /** Keys of the AWS identity, for a server that checks them. */
  readonly keys?: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
  /** Further flags for Node. */
  readonly flags?: readonly string[];
  /** Further variables, which win over the usual ones. */
  readonly env?: Readonly<Record<string, string>>;
}

export type ForwarderUnderTest = ProcessUnderTest;

export function startForwarder(run: ForwarderRun): ForwarderUnderTest {
  const node = run.node ?? process.execPath;
  const args = [...FORWARDER_NODE_FLAGS, ...(run.flags ?? []), run.entry];
  const options: SpawnOptions = { env: { ...environment(run), ...run.env }, stdio: ['ignore', 'ignore', 'inherit'] };
  const child =
    run.procsPath === undefined
      ? spawn(node, args, options)
      : spawn('sh', ['-c', 'echo $$ > "$0" && exec "$@"', run.procsPath, node, ...args], options);
  return underTest(child, 'forwarder');
}

function environment({ root, logs, sink, metadata, port, ca, keys }: ForwarderRun): Record<string, string> {
  const secret = join(root, 'secret');
  mkdirSync(secret, { recursive: true });
  writeFileSync(join(secret, 'aws-access-key-id'), keys?.accessKeyId ?? 'AKIDBENCH');
  writeFileSync(join(secret, 'aws-secret-access-key'), keys?.secretAccessKey ?? 'bench');
  writeFileSync(join(root, 'ca.pem'), ca ?? '');
  const files = [{ container: 'app', path: '/var/log/app/*.log', directory: '/var/log/app', mount: logs }];
  return {
    CLUSTER_NAME: 'bench',
    POD_NAMESPACE: 'bench',
    POD_NAME: 'bench-5d4f8c7b9-x2x4z',
    POD_UID: '11111111-2222-3333-4444-555555555555',
    NODE_NAME: 'node-1',
    LOG_FILES: JSON.stringify(files),
    SINKS: sink,
    METADATA: metadata,
    ELASTICSEARCH_URL: `http://127.0.0.1:${port}`,
    CLOUDWATCH_ENDPOINT: `${ca === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    S3_ENDPOINT: `http://127.0.0.1:${port}`,
    S3_BUCKET: 'bench',
    S3_OBJECT_AGE: '1s',
    AWS_REGION: 'eu-central-1',
    SINK_SECRET_DIR: secret,
    STATE_DIR: join(root, 'state'),
    TERMINATION_MESSAGE_PATH: join(root, 'termination-message'),
    ADMIN_PORT: '0',
    FLUSH_INTERVAL: '200ms',
    LOG_LEVEL: 'error',
    ...(ca === undefined ? {} : { NODE_EXTRA_CA_CERTS: join(root, 'ca.pem') }),
  };
}

/** The bundle that ships, when it was built after the last change of the source; else the source, which needs more memory. */
export function forwarderEntry(): string {
  const bundle = join(ROOT, 'dist/forwarder.mjs');
  const source = join(ROOT, 'src/main.ts');
  if (!existsSync(bundle)) return source;
  const builtMs = statSync(bundle).mtimeMs;
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const isOld = sources.some(({ parentPath, name }) => statSync(join(parentPath, name)).mtimeMs > builtMs);
  return isOld ? source : bundle;
}
