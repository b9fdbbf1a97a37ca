/**
 * The source that a check stands in for, and the one record that it writes when it is asked to.
 *
 * May import: core, config.
 */
import type { ForwarderConfig } from '../config/forwarder-config.ts';
import type { Clock } from '../core/clock.ts';
import type { SourceInfo } from '../core/record.ts';
import type { CheckStep } from './check.ts';
import type { Delivery, Sink } from './sink.ts';

const LINE = Buffer.from('logtender check sink\n');
const ID_DIGITS = 16;

/** What the first of the configured globs may find: its container and its path. */
export function exampleSource({ files }: ForwarderConfig): SourceInfo {
  const [first] = files;
  const path = first?.path ?? '/var/log/app/app.log';
  return { id: '', container: first?.container ?? 'app', path, file: path.replace(/^\//, '') };
}

/**
 * Sends one record the way every line goes, told by its text.
 *
 * @param where the place, for the words
 */
export async function writeRecord(
  sink: Sink,
  config: ForwarderConfig,
  clock: Clock,
  where: string,
): Promise<CheckStep> {
  // Two checks are two sources: neither is taken for a resend of the other.
  const id = clock.now().toString(16).padStart(ID_DIGITS, '0');
  const encoder = sink.createEncoder();
  encoder.append({ ...exampleSource(config), id }, LINE, 0, LINE.length, 0, clock.now());
  const { signal } = new AbortController();
  const delivery = await sink.deliver(encoder.finish(), { selection: undefined, sentBefore: () => false, signal });
  if (delivery.status === 'delivered') return { name: 'write', outcome: 'ok', text: `one record is in ${where}` };
  return {
    name: 'write',
    outcome: 'failed',
    text: `nothing is in ${where}: ${wordsOf(delivery)}`,
    remedy: 'see docs/errors.md',
  };
}

function wordsOf(delivery: Exclude<Delivery, { readonly status: 'delivered' }>): string {
  if (delivery.status !== 'partial') return delivery.text;
  return delivery.rejected[0]?.text ?? 'the service did not take it';
}
