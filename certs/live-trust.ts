/**
 * What API servers trust at this moment, and whether it speaks against a new serving pair.
 *
 * Invariants: a pair is held back only while some entry would lose by it and none would win, and never up to the end of the pair that is
 * served. What is not known speaks against nothing. May import: src/core, certs.
 */
import { chainVerifies } from './bundle.ts';
import type { ServingPair } from './bundle.ts';
import type { WebhookEntry } from './ca-bundle.ts';

/** The live caBundle of every entry of the webhook configuration, for whoever chooses what is served. */
export interface LiveTrust {
  /** The entries as last seen; undefined while they are not known. */
  entries(): readonly WebhookEntry[] | undefined;
  /** Calls back after each change of them, and returns the function that ends that. */
  onChange(listener: () => void): () => void;
}

/** So long before its end the old pair is let go in any case: clocks of API servers may be ahead of ours by minutes. */
const LET_GO_MS = 5 * 60_000;
/** A leaf that lives less than an hour is let go later, so that a pair of any life can be held back at all. */
const LET_GO_SHARE = 0.1;

/**
 * Whether `offered` has to wait: entries that trust what is served would refuse it, and no entry would trust it that refuses what is served.
 *
 * That is so when a pair comes before its CA (cert-manager's cainjector is later than its Secret, somebody wrote an older Secret back).
 * A pair that ends old connections never waits: what is served hangs from a CA that others may have the key of.
 */
export function mustWait(
  served: ServingPair,
  offered: ServingPair,
  entries: readonly WebhookEntry[] | undefined,
  nowMs: number,
): boolean {
  if (entries === undefined || offered.endsOldConnections === true || nowMs >= letGoMs(served)) return false;
  const isTrusted = (pair: ServingPair, { bundle }: WebhookEntry): boolean =>
    chainVerifies(pair.chain, bundle.certificates, nowMs);
  const changes = entries.filter((entry) => isTrusted(served, entry) !== isTrusted(offered, entry));
  return changes.length > 0 && changes.every((entry) => isTrusted(served, entry));
}

function letGoMs({ leaf }: ServingPair): number {
  return leaf.notAfterMs - Math.min(LET_GO_MS, LET_GO_SHARE * (leaf.notAfterMs - leaf.notBeforeMs));
}
