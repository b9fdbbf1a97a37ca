/**
 * The last words: what was read and what became of it, short enough for a termination message. Pure.
 *
 * May import: pipeline.
 */
import type { Account } from './ledger.ts';

/** The kubelet keeps 4096 bytes of a termination message (Kubernetes docs, "Determine the reason for Pod failure"). */
export const TERMINATION_MESSAGE_BYTES_MAX = 4096;

export interface SinkSummary {
  readonly sink: string;
  readonly account: Account;
  /** Bytes in the files that were not read. */
  readonly unreadBytes: number;
  /** Why it is behind, if it is. */
  readonly trouble: string | undefined;
}

/** One line for each sink, numbers in lines: `elasticsearch: read=9 delivered=7 dropped=1 (too_large=1) pending=1 duplicates=0 unread_bytes=0`; `duplicates_max` where it is not 0. */
export function exitSummary(sinks: readonly SinkSummary[], words: readonly string[] = []): string {
  const lines = sinks.map(({ sink, account, unreadBytes, trouble }) => {
    const reasons = [...account.dropped]
      .map(([reason, { lines: n, bytes }]) => `${reason}=${n > 0 ? n : `${bytes}B`}`)
      .join(' ');
    const why = reasons === '' ? '' : ` (${reasons})`;
    const counts = `read=${account.read.lines} delivered=${account.delivered.lines} dropped=${account.droppedTotal.lines}${why}`;
    const most = account.duplicatesMax === 0 ? '' : ` duplicates_max=${account.duplicatesMax}`;
    const rest = `pending=${account.pending.lines} duplicates=${account.duplicates}${most} unread_bytes=${unreadBytes}`;
    return `${sink}: ${counts} ${rest}${trouble === undefined ? '' : ` trouble=${trouble}`}`;
  });
  return cutBytes([...words, ...lines].join('\n'), TERMINATION_MESSAGE_BYTES_MAX);
}

/** At most `bytesMax` bytes of UTF-8, whole characters. */
export function cutBytes(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return text;
  return bytes
    .subarray(0, bytesMax - 3)
    .toString('utf8')
    .replace(/�+$/, '');
}
