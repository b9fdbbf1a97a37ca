/**
 * The webhook as its image runs it: the bundle, with the flags of its manifest, on the first processor alone.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { startWebhookProcess } from '../fakes/webhook-process.ts';
import type { WebhookProcess } from '../fakes/webhook-process.ts';

const DEPLOY = resolve(import.meta.dirname, '../../deploy');
/** The processor of the servers; clients have the second. */
export const SERVER_CPU = 0;
export const CLIENT_CPU = 1;

/** Starts it, hands it over, and ends it. */
export async function withBundledWebhook<T>(measure: (webhook: WebhookProcess) => Promise<T>): Promise<T> {
  const webhook = await startWebhookProcess({ flags: nodeFlags(), cpu: SERVER_CPU });
  try {
    return await measure(webhook);
  } finally {
    await webhook.close();
  }
}

/** What stands before the bundle in the arguments of the Deployment. */
function nodeFlags(): readonly string[] {
  const manifest = readFileSync(join(DEPLOY, 'webhook.yaml'), 'utf8');
  const args = /^ +args: \[(.*)\]$/m.exec(manifest)?.[1]?.split(', ');
  assert(args?.at(-1) === '/app/webhook.mjs', 'deploy/webhook.yaml has its arguments in one line');
  return args.slice(0, -1);
}
