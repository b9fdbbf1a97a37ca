/**
 * Our table of partitions against the SDK's own (its partitions.json), by regions of each.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { logsEndpoint } from '../../../../src/sinks/cloudwatch-logs/endpoint.ts';
import { bucketUrl } from '../../../../src/sinks/s3/request.ts';
import { forwarderConfig } from '../../../fakes/forwarder-config.ts';
import { DNS_SUFFIXES, dnsSuffixOf, partitionOf } from '../../../../src/sinks/aws/partition.ts';

/** What the SDK's endpoint rules work with; it comes with the client of CloudWatch Logs. */
const sdk = createRequire(createRequire(import.meta.url).resolve('@aws-sdk/client-cloudwatch-logs'))(
  '@aws-sdk/core/client',
) as { readonly partition: (region: string) => { readonly name: string; readonly dnsSuffix: string } };

const REGIONS = [
  'us-east-1',
  'eu-central-1',
  'mx-central-1',
  'cn-north-1',
  'cn-northwest-1',
  'us-gov-east-1',
  'us-gov-west-1',
  'us-iso-east-1',
  'us-isob-east-1',
  'us-isof-south-1',
  'eu-isoe-west-1',
  'eusc-de-east-1',
];

describe('partitions of AWS', () => {
  for (const region of REGIONS) {
    it(`${region} is where the SDK has it`, () => {
      const { name, dnsSuffix } = sdk.partition(region);
      assert.deepEqual([partitionOf(region), dnsSuffixOf(region)], [name, dnsSuffix]);
      assert(DNS_SUFFIXES.includes(dnsSuffix));
      const { s3 } = forwarderConfig({ S3_BUCKET: 'logs' });
      assert.equal(bucketUrl(s3, region, 'logs').url.host, `logs.s3.${region}.${dnsSuffix}`);
    });
  }
});

/** All that the SDK knows, the pseudo-regions of whole partitions (`aws-cn-global`) left out: nobody's logs are there. */
const PARTITIONS_FILE = join(
  import.meta.dirname,
  '../../../../node_modules/@aws-sdk/core/dist-es/submodules/client/util-endpoints/lib/aws/partitions.js',
);

describe('endpoints of CloudWatch Logs', () => {
  const regions = [...readFileSync(PARTITIONS_FILE, 'utf8').matchAll(/"([a-z]+(?:-[a-z]+)+-\d+)": \{/g)].map(
    ([, region = '']) => region,
  );
  const client = new CloudWatchLogsClient({ region: 'us-east-1' });
  after(() => client.destroy());

  for (const fips of [false, true]) {
    it(`are those of the SDK in every region${fips ? ', with FIPS' : ''}`, () => {
      assert(regions.length >= 40 && REGIONS.every((region) => regions.includes(region)), regions.join());
      const ours = regions.map((region) => logsEndpoint({ endpoint: undefined, region, fips })?.href);
      const theirs = regions.map(
        (Region) => client.config.endpointProvider({ Region, UseFIPS: fips, UseDualStack: false }).url.href,
      );
      assert.deepEqual(ours, theirs);
    });
  }
});
