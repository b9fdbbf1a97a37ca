/**
 * helm, built once: a module of its own, because in that of Kubernetes it would change versions and everything would be compiled again.
 *
 * May import: test/servers.
 */
import type { Preparation } from './cache.ts';
import { buildGoProgram, goProgramAvailability, type GoProgram } from './go-program.ts';
import type { Availability } from './server-kind.ts';

const HELM: GoProgram = {
  name: 'helm',
  package: 'helm.sh/helm/v4/cmd/helm@v4.3.1',
  cost: 'downloading about 60 MB of Go modules and compiling, about 3 CPU minutes',
};

export const helmAvailability = (cache: string): Promise<Availability> => goProgramAvailability(HELM, cache);

/** Path of the program. */
export const buildHelm = (preparation: Preparation): Promise<string> => buildGoProgram(HELM, preparation);
