/**
 * The soak as people run it, at its short size: five CA rotations under load cost no creation. The long size is the same command with a
 * larger number.
 */
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { run } from '../servers/programs.ts';
import type { Outcome } from '../servers/programs.ts';
import { requireServer } from '../servers/require-server.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** A rotation each 14 s: a CA is renewed at two thirds of its life. */
const LIVES = ['--ca-life', '21s', '--leaf-life', '7s'];
const ROTATIONS = 5;
const SOAK_MS_MAX = 300_000;

const soak = (args: readonly string[]): Promise<Outcome> =>
  run(process.execPath, ['test/soak/main.ts', ...args], { cwd: ROOT, timeoutMs: SOAK_MS_MAX });

describe('soak certs', function () {
  this.timeout(SOAK_MS_MAX + 10_000);

  it('0 creations refused over CA rotations with two API servers, three webhooks and the policy Fail (B8 1)', async function () {
    // Asked for so that the suite is skipped where no control plane can be had; the command starts its own.
    await requireServer(this, 'control-plane');
    const { code, stdout, stderr } = await soak(['certs', '--rotations', String(ROTATIONS), ...LIVES]);
    assert.equal(code, 0, stderr);
    const lines = stdout.trimEnd().split('\n');
    assert.equal(lines.length, 1, 'one line on stdout');
    const figures = JSON.parse(lines[0] ?? '') as Readonly<Record<string, unknown>>;
    assert.deepEqual(Object.keys(figures), ['soak', 'rotations', 'creations', 'failed', 'fail_open']);
    const { creations, ...rest } = figures;
    assert.deepEqual(rest, { soak: 'certs', rotations: ROTATIONS, failed: 0, fail_open: 0 });
    assert.ok(Number(creations) > 1_000, `${String(creations)} creations`);
  });

  for (const args of [
    [],
    ['forwarders'],
    ['certs', '--rotations', '0'],
    ['certs', '--ca-life', 'long'],
    ['certs', '-x'],
  ]) {
    it(`says what is wrong with "${args.join(' ')}"`, async () => {
      const { code, stdout, stderr } = await soak(args);
      assert.equal(code, 2, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, /^soak: /);
    });
  }
});
