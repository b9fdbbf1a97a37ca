/**
 * The bundled forwarder makes next to no garbage for a record, by whichever rules records are made: what V8 keeps of it between two
 * collections is what a hard memory limit has no room for (docs/performance.md).
 *
 * Garbage is counted in scavenges of the young generation, which has a fixed size: what many lines need more of them than few.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FORWARDER_NODE_FLAGS } from '../../src/config/forwarder-config.ts';
import { MiB } from '../../src/core/limits.ts';
import { writeWorkload } from '../bench/numbered-lines.ts';
import type { Workload } from '../bench/numbered-lines.ts';
import { bundleOf } from '../bundles.ts';
import { run } from '../servers/programs.ts';

const RUN_MS_MAX = 60_000;
const FEW = 20_000;
const MANY = 320_000;
/**
 * Bytes of garbage for a record: some numbers that are no small integers, what its request takes, and what code makes before it is optimised.
 * 40 to 200 are usual; an object for each record and step of the way made 1,400.
 */
const BYTES_MAX = 300;

const CASES: ReadonlyArray<{
  readonly name: string;
  readonly workload: Workload;
  readonly env: Record<string, string>;
}> = [
  { name: 'each line', workload: 'plain', env: {} },
  { name: 'multi-line records', workload: 'java', env: { MULTILINE: 'java' } },
  { name: 'a start pattern', workload: 'plain', env: { MULTILINE: 'start:^[0-9]{4}-' } },
  { name: 'redaction', workload: 'plain', env: { REDACT: '["seq=[0-9]"]' } },
  { name: 'filters', workload: 'plain', env: { INCLUDE: '["seq"]', EXCLUDE: '["seq=[0-9]*7 "]' } },
  { name: 'time and level', workload: 'plain', env: { DETECT: 'time,level' } },
  { name: 'a sample of a level', workload: 'plain', env: { SAMPLE: '50% level:info' } },
  { name: 'logfmt', workload: 'plain', env: { PARSER: 'logfmt' } },
  { name: 'JSON that is redacted', workload: 'json', env: { REDACT: '["seq=[0-9]"]' } },
  { name: 'container lines, multi-line', workload: 'cri', env: { PARSER: 'cri', MULTILINE: 'java' } },
];

describe('garbage of the forwarder', function () {
  this.timeout(2 * RUN_MS_MAX);
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'logtender-garbage-'))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const { name, workload, env } of CASES) {
    it(`${name}: at most ${BYTES_MAX} bytes a record`, async () => {
      const [few, many] = await Promise.all([scavenges(workload, env, FEW), scavenges(workload, env, MANY)]);
      const bytes = ((many - few) * MiB) / (MANY - FEW);
      assert.ok(few > 0, 'V8 says what it collects');
      assert.ok(bytes <= BYTES_MAX, `${Math.round(bytes)} bytes a record: ${few} scavenges, then ${many}`);
    });
  }

  async function scavenges(workload: Workload, env: Readonly<Record<string, string>>, lines: number): Promise<number> {
    const root = mkdtempSync(join(folder, 'run-'));
    const logs = join(root, 'logs');
    mkdirSync(logs);
    writeWorkload(join(logs, 'app.log'), workload, 0, lines);
    const args = [...FORWARDER_NODE_FLAGS, '--trace-gc', bundleOf('forwarder')];
    const { code, stdout, stderr } = await run(process.execPath, args, {
      cwd: root,
      timeoutMs: RUN_MS_MAX,
      env: { ...environment(root, logs), ...env },
    });
    assert.equal(code, 0, stderr);
    rmSync(root, { recursive: true });
    return [...stdout.matchAll(/: Scavenge /g)].length;
  }
});

function environment(root: string, logs: string): Record<string, string> {
  return {
    CLUSTER_NAME: 'test',
    POD_NAMESPACE: 'test',
    POD_NAME: 'test-5d4f8c7b9-x2x4z',
    POD_UID: '11111111-2222-3333-4444-555555555555',
    NODE_NAME: 'node-1',
    LOG_FILES: JSON.stringify([
      { container: 'app', path: '/var/log/app/*.log', directory: '/var/log/app', mount: logs },
    ]),
    SINKS: 'file',
    FILE_SINK_PATH: join(root, 'out.ndjson'),
    METADATA: 'full',
    ONCE: 'true',
    STATE_DIR: join(root, 'state'),
    TERMINATION_MESSAGE_PATH: join(root, 'termination-message'),
    ADMIN_PORT: '0',
    LOG_LEVEL: 'error',
  };
}
