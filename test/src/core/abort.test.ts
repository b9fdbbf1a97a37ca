/** A wait that ends with its signal, whatever the promise does. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';

import { aborted, unlessAborted } from '../../../src/core/abort.ts';

describe('waiting no longer than a signal allows', () => {
  const never = new Promise<never>(() => {});

  it('gives what comes in time, and leaves nothing on the signal', async () => {
    const { signal } = new AbortController();
    assert.deepEqual(await unlessAborted(Promise.resolve(1), signal), { value: 1 });
    await assert.rejects(unlessAborted(Promise.reject(new Error('no')), signal), /no/);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it('ends with the signal, whatever becomes of the promise', async () => {
    const control = new AbortController();
    const late = Promise.withResolvers<number>();
    const waits = unlessAborted(late.promise, control.signal);
    control.abort();
    assert.equal(await waits, undefined);
    // Nobody is there to take it: that must be no unhandled rejection, which would fail the run.
    late.reject(new Error('too late'));
    assert.equal(await unlessAborted(never, control.signal), undefined);
    assert.equal(await unlessAborted(Promise.resolve(1), control.signal), undefined);
    await aborted(control.signal);
  });
});
