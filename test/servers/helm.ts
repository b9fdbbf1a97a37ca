/**
 * helm, built once: a module of its own, because in that of Kubernetes it would change versions and everything would be compiled again.
 *
 * May import: test/skip.ts, test/servers.
 */
import { skip } from '../skip.ts';
import { skipText } from './available.ts';
import { defaultPreparation, type Preparation } from './cache.ts';
import { buildGoProgram, goProgramAvailability, type GoProgram } from './go-program.ts';

const HELM: GoProgram = {
  name: 'helm',
  package: 'helm.sh/helm/v4/cmd/helm@v4.3.1',
  cost: 'downloading about 60 MB of Go modules and compiling, about 3 CPU minutes',
};
/** Longer than the build may take, and a wait for somebody else's. */
const BUILD_MS_MAX = 45 * 60_000;

/** Path of the program. */
export const buildHelm = (preparation: Preparation): Promise<string> => buildGoProgram(HELM, preparation);

/** The same for `before` hooks: skips the suite, or fails it with CI=true, where the program cannot be had. */
export async function requireHelm(context: Mocha.Context): Promise<string> {
  context.timeout(BUILD_MS_MAX);
  const preparation = defaultPreparation();
  const found = await goProgramAvailability(HELM, preparation.cache);
  if (found.available) return buildHelm(preparation);
  const text = skipText('helm', found);
  if (process.env['CI'] === 'true') throw new Error(`with CI=true nothing is skipped: ${text}`);
  return skip(context, text);
}
