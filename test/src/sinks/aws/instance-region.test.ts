/**
 * The region of the machine by its instance metadata: both versions, remembered, asked again after a failure.
 */
import assert from 'node:assert/strict';
import { createMetrics } from '../../../../src/core/metrics.ts';
import { createInstanceRegion } from '../../../../src/sinks/aws/instance-region.ts';
import { S3Sink } from '../../../../src/sinks/s3/sink.ts';
import { instanceMetadata } from '../../../fakes/aws-credential-servers.ts';
import { forwarderConfig, sourceInfo } from '../../../fakes/forwarder-config.ts';
import { ScriptedServer } from '../../../fakes/scripted-server.ts';
import { VirtualClock } from '../../../fakes/virtual-clock.ts';

describe('createInstanceRegion', () => {
  for (const version of [1, 2] as const) {
    it(`asks version ${version} once`, async () => {
      const server = instanceMetadata({ keys: [], asked: 0 }, version);
      await server.start();
      const region = createInstanceRegion({ clock: new VirtualClock(0), endpoint: server.url });
      assert.equal(await region(), 'eu-west-3');
      assert.equal(await region(), 'eu-west-3');
      assert.equal(server.requests, 2);
      await server.stop();
    });
  }

  it('takes no page of a proxy for a region, and asks again a minute later', async () => {
    const answers = ['<html>sign in</html>', 'ap-southeast-2'];
    const server = new ScriptedServer(({ method }) =>
      method === 'PUT' ? { status: 403, body: '' } : { status: 200, body: answers.shift() ?? '' },
    );
    await server.start();
    const clock = new VirtualClock(0);
    const region = createInstanceRegion({ clock, endpoint: server.url });
    assert.equal(await region(), undefined);
    assert.equal(await region(), undefined);
    assert.equal(server.requests, 2);
    await clock.advance(60_000, 0);
    assert.equal(await region(), 'ap-southeast-2');
    await server.stop();
  });

  it('is no region where nobody answers', async () => {
    const server = new ScriptedServer(() => ({ status: 200, body: '' }));
    await server.start();
    const { url } = server;
    await server.stop();
    assert.equal(await createInstanceRegion({ clock: new VirtualClock(0), endpoint: url })(), undefined);
  });

  it('is what requests are signed for where nobody configured one', async () => {
    const config = forwarderConfig({ S3_BUCKET: 'logs', AWS_REGION: '', S3_ENDPOINT: '' });
    const asked: string[] = [];
    const sink = new S3Sink({
      config,
      clock: new VirtualClock(Date.now()),
      metrics: createMetrics(),
      instanceRegion: async () => 'eu-west-3',
      lookup: (host, _options, done) => {
        asked.push(host);
        done(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }), '');
      },
    });
    process.env['AWS_ACCESS_KEY_ID'] = 'AKID';
    process.env['AWS_SECRET_ACCESS_KEY'] = 'secret';
    try {
      const encoder = sink.createEncoder();
      encoder.append(sourceInfo(), Buffer.from('x\n'), 0, 2, 0, Date.now());
      const { signal } = new AbortController();
      await sink.deliver(encoder.finish(), { selection: undefined, sentBefore: () => false, signal });
    } finally {
      delete process.env['AWS_ACCESS_KEY_ID'];
      delete process.env['AWS_SECRET_ACCESS_KEY'];
      await sink.close();
    }
    assert.deepEqual(asked, ['logs.s3.eu-west-3.amazonaws.com']);
  });
});
