/** The bound on asking for credentials, and the words of a request that failed by it. */
import assert from 'node:assert/strict';

import { CREDENTIALS_MS_MAX, credentialsProblem, inTime } from '../../../../src/sinks/aws/late-credentials.ts';
import { VirtualClock } from '../../../fakes/virtual-clock.ts';

describe('credentials that are late', () => {
  const failure = async (asking: Promise<unknown>): Promise<unknown> => {
    try {
      return assert.fail(`expected a rejection, got ${JSON.stringify(await asking)}`);
    } catch (error) {
      return error;
    }
  };

  it('are given up after the bound, with what to look at', async () => {
    const clock = new VirtualClock();
    let isOver = false;
    const asking = failure(inTime(new Promise(() => {}), clock)).finally(() => (isOver = true));
    await clock.advance(CREDENTIALS_MS_MAX - 1, 1);
    assert(!isOver);
    await clock.advance(1, 0);
    assert.equal(
      credentialsProblem(await asking),
      'no AWS credentials: credentials were not there within 10 s: STS or the metadata endpoint did not answer; look at proxy, NO_PROXY and ' +
        'network policy',
    );
  });

  it('in time they are given, or refused in the words of the SDK', async () => {
    const clock = new VirtualClock();
    assert.equal(await inTime(Promise.resolve('keys'), clock), 'keys');
    const text = credentialsProblem(await failure(inTime(Promise.reject(new Error('none')), clock)));
    assert.match(text, /^no AWS credentials: none; name a service account with a role/);
  });
});
