/**
 * The hash of the operator's configuration in the status: what changes it, and what does not.
 */
import assert from 'node:assert/strict';

import { configHash } from '../../webhook/config-hash.ts';
import { webhookConfig } from '../fakes/webhook.ts';

const hashOf = (raw: Readonly<Record<string, unknown>> = {}): string => configHash(webhookConfig(raw));

describe('configHash', () => {
  it('is the same for the same configuration, whatever the order of its keys', () => {
    const one = { cluster: 'a', defaults: { sink: 'console', files: '/a/b' }, imagesAllowed: ['x', 'y'] };
    const other = { imagesAllowed: ['y', 'x'], defaults: { files: '/a/b', sink: 'console' }, cluster: 'a' };
    assert.equal(hashOf(one), hashOf(other));
    assert.match(hashOf(one), /^[0-9a-f]{12}$/);
  });

  const CHANGES: readonly Readonly<Record<string, unknown>>[] = [
    { cluster: 'other' },
    { image: 'other' },
    { imagePullPolicy: 'Always' },
    { imagePullSecrets: ['s'] },
    { imagesAllowed: ['i'] },
    { resourcesMax: { cpu: '1' } },
    { serviceAccountMode: 'never' },
    { elasticsearchUrl: 'https://other.example' },
    { cloudwatchEndpoint: 'https://other.example' },
    { s3: { compression: 'zstd' } },
    { elasticsearchGzip: true },
    { elasticsearchSigning: 'aws' },
    { elasticsearchRegion: 'eu-west-1' },
    { awsRegion: 'eu-central-1' },
    { httpProxy: 'http://proxy.example:3128' },
    { httpsProxy: 'http://proxy.example:3128' },
    { noProxy: '.svc' },
    { cloudwatch: { confirm: true } },
    { meshBypass: true },
    { defaults: { sink: 'console' } },
  ];
  for (const raw of CHANGES) {
    it(`changes with ${Object.keys(raw).join()}`, () => assert.notEqual(hashOf(raw), hashOf()));
  }

  const STAYS: readonly Readonly<Record<string, unknown>>[] = [
    { namespace: 'other' },
    { instance: 'two' },
    { hosts: ['other.example'] },
    { paused: true },
    // A section that says nothing: pods that were injected before it existed are up to date.
    { s3: { compression: 'gzip' } },
    { logLevel: 'debug' },
    { server: { port: 9443 } },
  ];
  for (const raw of STAYS) {
    it(`stays with ${Object.keys(raw).join()}, which no pod sees`, () => assert.equal(hashOf(raw), hashOf()));
  }
});
