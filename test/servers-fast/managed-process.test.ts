/**
 * One server process: readiness, failure with its log, halt and start again, death with its parent.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManagedProcess, type ProcessSpec } from '../servers/managed-process.ts';
import { skip } from '../skip.ts';
import { findProgram } from '../servers/programs.ts';

const LIVES = "require('fs').appendFileSync('started', 'x'); setInterval(() => {}, 1000)";

describe('ManagedProcess', () => {
  let folder = '';
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'logtender-process-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const started = (): string => {
    const path = join(folder, 'started');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  const node = (script: string, options: Partial<ProcessSpec> = {}): ManagedProcess =>
    new ManagedProcess({
      name: 'example',
      program: process.execPath,
      args: ['-e', script],
      cwd: folder,
      logFile: join(folder, 'log'),
      ready: async () => started() !== '',
      readyMsMax: 20_000,
      ...options,
    });

  it('is started, halted, and started again', async () => {
    const server = node(LIVES, { ready: async () => started().length === (server.pid === first ? 1 : 2) });
    let first: number | undefined;
    const start = server.start();
    first = server.pid;
    await start;
    assert.ok(isAlive(first));
    await server.halt();
    assert.equal(server.pid, undefined);
    assert.ok(!isAlive(first));
    await server.start();
    assert.notEqual(server.pid, first);
    await server.halt('SIGKILL');
  });

  it('shows the end of the log of a server that ends before it is ready', async () => {
    const server = node("console.error('port is taken'); process.exit(3)");
    await assert.rejects(server.start(), /start example: .*exit code 3.*log[\s\S]*port is taken/);
    assert.equal(server.pid, undefined);
  });

  it('kills a server that does not become ready in time', async () => {
    const server = node(LIVES, { ready: async () => false, readyMsMax: 0 });
    await assert.rejects(server.start(), /nothing within 0 ms/);
    assert.equal(server.pid, undefined);
  });

  it('says when the program cannot be started at all', async () => {
    const server = node('', { program: join(folder, 'absent') });
    await assert.rejects(server.start(), /start example: expected it to answer/);
  });

  it('dies with its parent, even when that is killed', async function () {
    if (findProgram('setpriv') === undefined)
      skip(this, 'death with the parent: setpriv was not found; to run it: apt-get install util-linux');
    const script = join(folder, 'parent.mts');
    const module = join(import.meta.dirname, '../servers/managed-process.ts');
    writeFileSync(
      script,
      `import { ManagedProcess } from ${JSON.stringify(module)};
       const child = new ManagedProcess({ name: 'x', program: process.execPath, args: ['-e', 'setInterval(() => {}, 1000)'],
         cwd: ${JSON.stringify(folder)}, logFile: ${JSON.stringify(join(folder, 'log'))}, ready: async () => true, readyMsMax: 1000 });
       await child.start();
       process.stdout.write(String(child.pid));
       setInterval(() => {}, 1000);`,
    );
    const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [text] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(text.toString());
    assert.ok(isAlive(pid));
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    // The kernel's signal comes at once, its effect a moment later.
    while (isAlive(pid)) await new Promise((done) => setImmediate(done));
  });
});

/** Alive and not a zombie (proc(5), field 3 of stat); where there is no /proc, `kill 0` must do. */
function isAlive(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  if (existsSync('/proc/self/stat')) {
    try {
      return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return false;
    }
  }
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
