/**
 * Loaded before the forwarder (`--import`): ends the process with SIGKILL at one operation on its state folder, as the kernel would.
 *
 * KILL_AT says which operation, from 1; KILL_PHASE whether before it, half through a write, or after it. May import: node: only.
 */
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

type Operation = (...args: unknown[]) => Promise<unknown>;

const folder = process.env['STATE_DIR'] ?? '';
const killAt = Number(process.env['KILL_AT']);
const phase = process.env['KILL_PHASE'];
let count = 0;

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Counts the call of `run`; at the chosen one the process ends. `half` does the first half of it, where there is such a thing. */
async function counted(run: () => Promise<unknown>, half?: () => Promise<unknown>): Promise<unknown> {
  count += 1;
  if (count !== killAt) return run();
  if (phase === 'after') await run();
  if (phase === 'half') await half?.();
  die();
  return undefined;
}

const isOfState = (path: unknown): boolean => typeof path === 'string' && path.startsWith(folder);

/** The named methods of `target`, each through `wrap`. */
function replace(target: object, names: readonly string[], wrap: (operation: Operation) => Operation): void {
  for (const name of names) {
    const operation: unknown = Reflect.get(target, name);
    if (typeof operation === 'function') Reflect.set(target, name, wrap(operation.bind(target) as Operation));
  }
}

function watchHandle(handle: object): void {
  replace(handle, ['sync', 'datasync'], (operation) => () => counted(operation));
  replace(handle, ['writeFile', 'appendFile'], (operation) => (content, ...rest) => {
    const bytes = content as Buffer;
    return counted(
      () => operation(bytes, ...rest),
      () => operation(bytes.subarray(0, Math.floor(bytes.length / 2)), ...rest),
    );
  });
}

replace(promises, ['rename', 'mkdir'], (operation) => (path, ...rest) => {
  return isOfState(path) ? counted(() => operation(path, ...rest)) : operation(path, ...rest);
});
replace(promises, ['open'], (operation) => async (path, ...rest) => {
  if (!isOfState(path)) return operation(path, ...rest);
  const handle = await counted(() => operation(path, ...rest));
  if (typeof handle === 'object' && handle !== null) watchHandle(handle);
  return handle;
});
syncBuiltinESMExports();
