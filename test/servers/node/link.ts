/**
 * The number of a cluster on this machine, claimed by making its link: the kernel gives a name to one only.
 *
 * May import: test/servers.
 */
import { mustRun, run } from '../programs.ts';
import { addressesOf, CLUSTERS_MAX, type Addresses } from './addresses.ts';

const STEP_MS_MAX = 30_000;

/** Makes the first link whose name is free. */
export async function claimAddresses(): Promise<Addresses> {
  let said = '';
  for (let number = 0; number < CLUSTERS_MAX; number += 1) {
    const addresses = addressesOf(number);
    const { link } = addresses;
    const made = await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', `${link}n`], {
      timeoutMs: STEP_MS_MAX,
    });
    if (made.code === 0) return addresses;
    said = made.stderr.trim();
    if (!said.includes('File exists')) break;
  }
  throw new Error(
    `make a network link: expected a free name among logtender0 to logtender${CLUSTERS_MAX - 1}: ${said}`,
  );
}

/** Removes it, where the end of the node's namespace has not done so already. */
export async function releaseAddresses({ link }: Addresses): Promise<void> {
  const { stdout } = await run('ip', ['-o', 'link', 'show'], { timeoutMs: STEP_MS_MAX });
  if (!stdout.includes(`: ${link}@`)) return;
  const removed = await run('ip', ['link', 'delete', link], { timeoutMs: STEP_MS_MAX });
  // Gone in between is as good as removed.
  if (removed.code !== 0 && !removed.stderr.includes('Cannot find device'))
    await mustRun('ip', ['link', 'delete', link], { timeoutMs: STEP_MS_MAX });
}
