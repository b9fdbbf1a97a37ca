/**
 * Skips a test or suite and says why: the run prints every reason, and with CI=true a skip is a failure.
 */
import { appendFileSync } from 'node:fs';

/** Begins the reason of the one skip that CI allows: the third-party corpus where its folder is absent. */
export const CORPUS_PREFIX = 'corpus: ';

/** @param reason what is missing and the command that provides it */
export function skip(context: Mocha.Context, reason: string): never {
  const file = process.env['LOGTENDER_SKIP_FILE'];
  if (file !== undefined) appendFileSync(file, `${reason}\n`);
  return context.skip();
}
