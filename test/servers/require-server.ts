/**
 * How a suite asks for a server: it gets the one of this mocha process, or is skipped with the reason.
 *
 * Invariants: a shared server is started at most once and lives until the root hooks end it; a skip leaves its reason in the file
 * that the runner names in LOGTENDER_SKIP_FILE; with CI=true there is no skip, the suite fails. May import: src/core, test/skip.ts, test/servers.
 */
import { errorText } from '../../src/core/errors.ts';
import { skip } from '../skip.ts';
import { skipText } from './available.ts';
import { defaultPreparation, type Preparation } from './cache.ts';
import type { RunningServer } from './server-kind.ts';
import { SERVERS, type ServerName, type Servers } from './servers.ts';

/** The first suite of all may have to build Kubernetes before its server starts. */
const FIRST_START_MS_MAX = 45 * 60_000;

const shared = new Map<ServerName, Promise<RunningServer>>();
const refused = new Map<ServerName, { readonly reason: string; readonly remedy: string }>();

/**
 * The shared server of this process, started at the first call. For `before` hooks (a `function`, so that `this` is mocha's):
 *
 *     before(async function () { plane = await requireServer(this, 'control-plane'); });
 *
 * The hook has all the time that a first build takes, and must not shorten it afterwards: mocha judges the whole of a hook by the limit that
 * holds at its end.
 *
 * A suite that changes settings, or halts a server for long, starts its own with `requireOwn`.
 */
export async function requireServer<Name extends ServerName>(
  context: Mocha.Context,
  name: Name,
): Promise<Servers[Name]> {
  return obtain(context, name, async (preparation) => {
    const found = shared.get(name);
    const starting = found ?? SERVERS[name].start(preparation);
    shared.set(name, starting);
    // Only what `start` of this very kind gave is ever stored under its name.
    return (await starting) as Servers[Name];
  });
}

/**
 * A server that the suite starts and stops itself, when this machine can have that kind:
 *
 *     server = await requireOwn(this, 'elasticsearch', () => startElasticsearch({ 'http.max_content_length': '1mb' }));
 */
export async function requireOwn<Name extends ServerName>(
  context: Mocha.Context,
  name: Name,
  start: () => Promise<Servers[Name]>,
): Promise<Servers[Name]> {
  return obtain(context, name, start);
}

async function obtain<S>(
  context: Mocha.Context,
  name: ServerName,
  start: (preparation: Preparation) => Promise<S>,
): Promise<S> {
  context.timeout(FIRST_START_MS_MAX);
  const preparation = defaultPreparation();
  const missing = refused.get(name) ?? (await prepare(name, preparation));
  if (missing === undefined) return start(preparation);
  refused.set(name, missing);
  const suite = context.test?.parent?.fullTitle() ?? name;
  const text = skipText(suite, missing);
  if (process.env['CI'] === 'true') throw new Error(`with CI=true nothing is skipped: ${text}`);
  // The runner prints the reasons of all groups at its end; without it they would be lost.
  if (process.env['LOGTENDER_SKIP_FILE'] === undefined) process.stderr.write(`skipped: ${text}\n`);
  return skip(context, text);
}

/** Downloads and builds; what is in the way otherwise. */
async function prepare(
  name: ServerName,
  preparation: Preparation,
): Promise<{ readonly reason: string; readonly remedy: string } | undefined> {
  const availability = await SERVERS[name].availability(preparation.cache);
  if (!availability.available) return availability;
  try {
    await SERVERS[name].prepare(preparation);
    return undefined;
  } catch (error) {
    // Most often: no way to a package registry. The words stay on one line, as the runner prints them.
    const reason = `${name} could not be prepared: ${errorText(error).replaceAll(/\s+/g, ' ').slice(0, 500)}`;
    return { reason, remedy: 'npm run servers -- --prepare' };
  }
}

/** Ends all shared servers. */
export async function stopShared(): Promise<void> {
  const started = [...shared.values()];
  shared.clear();
  // A server that failed to start has failed its suite already.
  const servers = (await Promise.allSettled(started)).flatMap((server) =>
    server.status === 'fulfilled' ? [server.value] : [],
  );
  await Promise.all(servers.map((server) => server.stop()));
}
