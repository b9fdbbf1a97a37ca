/**
 * Waiting for something no longer than a signal allows. May import: nothing.
 */

/** Resolves when the signal is aborted, at once when it is. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/**
 * What the promise gives, or undefined as soon as the signal is aborted, whatever the promise does. It rejects as the promise does; what becomes
 * of the promise after the signal is nobody's.
 */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
): Promise<{ readonly value: T } | undefined> {
  const { promise: givenUp, resolve } = Promise.withResolvers<undefined>();
  const giveUp = (): void => resolve(undefined);
  if (signal.aborted) giveUp();
  // Signals of a lane outlive many requests: nothing may be left on them.
  signal.addEventListener('abort', giveUp);
  try {
    // First, so that a signal that is aborted already decides.
    return await Promise.race([givenUp, promise.then((value) => ({ value }))]);
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}
