/**
 * The bundled forwarder under the hard memory limit of the sidecar's default: cold image, the sink absent at first, then full speed.
 * The full size is `npm run -s bench -- forwarder --memory-limit 48`, which also compares the CPU with a run without a limit.
 */
import assert from 'node:assert/strict';
import { MULTILINE, REDACT } from '../bench/forwarder.ts';
import { runUnderLimit } from '../bench/memory-limit.ts';
import { bundleOf } from '../bundles.ts';
import { skip } from '../skip.ts';

const RUN_MS_MAX = 60_000;
const LINES = 400_000;
const ABSENT_MS = 2_000;

describe('forwarder under a hard memory limit', function () {
  this.timeout(2 * RUN_MS_MAX);
  for (const { sink, limitMib, ...what } of [
    { sink: 'elasticsearch', limitMib: 48 },
    { sink: 'elasticsearch', limitMib: 48, workload: 'java', how: 'multiline', env: MULTILINE },
    { sink: 'elasticsearch', limitMib: 48, how: 'redact', env: REDACT },
    { sink: 'cloudwatch', limitMib: 64 },
  ] as const) {
    it(`${['how' in what ? what.how : 'plain', sink].join(' to ')}, ${limitMib} MiB: no kill, nothing lost, nothing twice`, async function () {
      const figures = await runUnderLimit({
        sink,
        workload: 'plain',
        metadata: 'full',
        lines: LINES,
        absentMs: ABSENT_MS,
        limitMib,
        ...what,
        bundle: bundleOf('forwarder'),
      });
      if (typeof figures === 'string') return skip(this, `memory limit: ${figures}`);
      const { kills, lost, duplicates, groupPeakMib } = figures;
      assert.deepEqual({ kills, lost, duplicates }, { kills: 0, lost: 0, duplicates: 0 });
      // Everything was charged to the group, and the limit was one.
      assert.ok(groupPeakMib > 20 && groupPeakMib <= limitMib, `${groupPeakMib} MiB`);
      return undefined;
    });
  }
});
