/**
 * The forwarder as process 1, as it is in a container: a SIGTERM that comes while Node is still starting ends it all the same.
 *
 * Process 1 of a namespace of its own by unshare(1). It stands still before its first line until its standard input ends, so that the
 * moment of the signal is no matter of luck.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { eventually } from '../cluster/installation.ts';
import { plainEnv } from '../plain-env.ts';
import { skip } from '../skip.ts';
import { findProgram, run } from './programs.ts';

const MAIN = resolve(import.meta.dirname, '../../src/main.ts');
const PROBE_MS_MAX = 10_000;
const STEP_MS_MAX = 20_000;
/** Before anything of ours runs. */
const STANDS_STILL = `data:text/javascript,${encodeURIComponent(
  `import { readSync, writeSync } from 'node:fs';
writeSync(1, 'here');
for (let isOpen = true; isOpen; )
  try { isOpen = readSync(0, Buffer.alloc(1)) > 0; } catch (error) { if (error.code !== 'EINTR') throw error; }`,
)}`;
const NAMESPACES = ['--fork', '--pid', '--mount-proc', '--kill-child=KILL'];
const SIGTERM_BIT = 0x4000n;

describe('SIGTERM before process 1 listens', function () {
  this.timeout(60_000);
  let folder: string;

  before(async function () {
    const unshare = findProgram('unshare');
    const args = [...NAMESPACES, 'true'];
    const isPossible = unshare !== undefined && (await run(unshare, args, { timeoutMs: PROBE_MS_MAX })).code === 0;
    if (!isPossible)
      skip(this, 'process 1: unshare(1) cannot make namespaces here; to run it: run it as root, on Linux');
    folder = mkdtempSync(join(tmpdir(), 'logtender-one-'));
  });
  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  it('is told by its trace, and the forwarder ends in order', async () => {
    const message = join(folder, 'message');
    const child = spawn('unshare', [...NAMESPACES, process.execPath, '--import', STANDS_STILL, MAIN], {
      stdio: ['pipe', 'pipe', 'pipe'],
      // A configuration that is wrong: it stays until it is told to end, whatever else.
      env: {
        ...plainEnv(),
        ADMIN_PORT: '0',
        SINKS: 'none of ours',
        TERMINATION_MESSAGE_PATH: message,
      },
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    try {
      await once(child.stdout, 'data', { signal: AbortSignal.timeout(STEP_MS_MAX) });
      const ended = once(child, 'exit', { signal: AbortSignal.timeout(STEP_MS_MAX) });
      const pid = childOf(child.pid ?? 0);
      assert.ok(catchesTerm(pid), 'Node catches it while it starts');
      process.kill(pid, 'SIGTERM');
      await eventually('the signal to come and go', async () => (catchesTerm(pid) ? undefined : true), STEP_MS_MAX);
      child.stdin.end();
      assert.deepEqual(await ended, [0, null], said);
      assert.match(said, /"message":"ends","signal":"SIGTERM"/);
      assert.match(readFileSync(message, 'utf8'), /configuration is wrong/);
    } finally {
      child.kill('SIGKILL');
    }
  });
});

function childOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  assert.match(children, /^\d+$/);
  return Number(children);
}

function catchesTerm(pid: number): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (BigInt(`0x${mask ?? '0'}`) & SIGTERM_BIT) !== 0n;
}
