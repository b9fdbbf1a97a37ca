/**
 * The console sink against a stream that can be slow or broken.
 */
import assert from 'node:assert/strict';
import { EventEmitter, getEventListeners, once } from 'node:events';
import { createMetrics } from '../../src/core/metrics.ts';
import { ConsoleSink } from '../../src/sinks/console/sink.ts';
import { forwarderConfig, sourceInfo } from '../fakes/forwarder-config.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';
import { describeSink } from './sink.ts';

/** What the stream holds, as NDJSON should be read. */
function readLines(written: readonly Buffer[]): string[] {
  const text = Buffer.concat(written).toString('utf8');
  assert(text === '' || text.endsWith('\n'));
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { message: string }).message);
}

describeSink('console', {
  isIdempotent: false,
  cannot: {
    ...Object.fromEntries(
      (
        [
          'throttled',
          'server_error',
          'refused',
          'too_large',
          'first_rejected',
          'second_throttled',
          'credentials',
        ] as const
      ).map((next) => [next, 'standard output takes bytes and judges none']),
    ),
    ...Object.fromEntries(
      (['answer_lost', 'answer_cut', 'silence'] as const).map((next) => [
        next,
        'a write to standard output has no answer beside its own end',
      ]),
    ),
  },
  start: async () => {
    const written: Buffer[] = [];
    let isDown = false;
    let isCut = false;
    const write = async (bytes: Buffer): Promise<void> => {
      if (isDown || isCut) {
        isCut = false;
        throw new Error('write EPIPE');
      }
      written.push(Buffer.from(bytes));
    };
    return {
      sink: new ConsoleSink({ config: forwarderConfig(), metrics: createMetrics(), write }),
      clock: new VirtualClock(),
      script: () => {
        isCut = true;
      },
      unseen: () => (isCut ? 1 : 0),
      stored: () => readLines(written),
      down: async () => {
        isDown = true;
      },
      up: async () => {
        isDown = false;
      },
      stop: async () => {},
    };
  },
});

describe('ConsoleSink', () => {
  it('is not done before the stream has taken the bytes, and gives up at an abort', async () => {
    const stream = new EventEmitter();
    const write = async (): Promise<void> => {
      await once(stream, 'taken');
    };
    const sink = new ConsoleSink({ config: forwarderConfig(), metrics: createMetrics(), write });
    const encoder = sink.createEncoder();
    encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 0, 0);
    const batch = encoder.finish();
    const controller = new AbortController();
    const options = { selection: undefined, sentBefore: (): boolean => false, signal: controller.signal };
    let isSettled = false;
    const slow = sink.deliver(batch, options).finally(() => {
      isSettled = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert(!isSettled);
    stream.emit('taken');
    assert.equal((await slow).status, 'delivered');
    // The signal lives as long as the lane: what is left on it after each write adds up.
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
    const stuck = sink.deliver(batch, options);
    controller.abort();
    assert.equal((await stuck).status, 'retryable');
  });
});
