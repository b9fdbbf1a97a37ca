/**
 * The webhook as its image runs it: the bundle of a build of its own, with the flags of its manifest, on the first processor alone.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

import { startWebhookProcess } from '../fakes/webhook-process.ts';
import type { WebhookProcess } from '../fakes/webhook-process.ts';

const DEPLOY = resolve(import.meta.dirname, '../../deploy');
/** The processor of the servers; clients have the second. */
export const SERVER_CPU = 0;
export const CLIENT_CPU = 1;

let built: Promise<string> | undefined;

/** Starts it, hands it over, and ends it. */
export async function withBundledWebhook<T>(measure: (webhook: WebhookProcess) => Promise<T>): Promise<T> {
  const webhook = await startWebhookProcess({ entry: await (built ??= build()), flags: nodeFlags(), cpu: SERVER_CPU });
  try {
    return await measure(webhook);
  } finally {
    await webhook.close();
  }
}

/** Builds once for all measurements of a run. */
async function build(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'logtender-bench-bundle-'));
  process.once('exit', () => rmSync(folder, { recursive: true }));
  await promisify(execFile)(process.execPath, [join(DEPLOY, 'build.ts'), folder]);
  return join(folder, 'webhook.mjs');
}

/** What stands before the bundle in the arguments of the Deployment. */
function nodeFlags(): readonly string[] {
  const manifest = readFileSync(join(DEPLOY, 'webhook.yaml'), 'utf8');
  const args = /^ +args: \[(.*)\]$/m.exec(manifest)?.[1]?.split(', ');
  assert(args?.at(-1) === '/app/webhook.mjs', 'deploy/webhook.yaml has its arguments in one line');
  return args.slice(0, -1);
}
