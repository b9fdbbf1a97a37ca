/**
 * A finding of `logtender lint`: a reason code at a place of a manifest.
 *
 * Pure. Invariant: the codes, sentences and remedies are those of the webhook (reasons.ts); only how much one weighs is decided here,
 * because in a manifest a word without effect is a mistake that can still be corrected. May import: everything but test.
 */
import { isMap, isScalar, isSeq } from 'yaml';
import type { Node } from 'yaml';

import type { Finding } from '../../webhook/finding.ts';
import { PREFIX } from '../../webhook/names.ts';
import { reasonOf } from '../../webhook/reasons.ts';
import type { ReasonCode } from '../../webhook/reasons.ts';
import type { ManifestDocument, Place } from './manifest.ts';

export type LintSeverity = 'error' | 'warning' | 'info';

export interface LintFinding {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** `deployment/web`. */
  readonly object: string;
  /** With its prefix; undefined where no key is to blame. */
  readonly key: string | undefined;
  readonly code: ReasonCode;
  readonly severity: LintSeverity;
  readonly detail: string | undefined;
  readonly sentence: string;
  readonly remedy: string;
}

/** Where a finding is: the longest part of the path that stands in the document counts. */
export interface LintPlace {
  readonly file: string;
  /** Line and column of an offset of the file. */
  readonly locate: (offset: number) => Place;
  readonly document: ManifestDocument;
  readonly path: readonly (string | number)[];
  readonly object: string;
}

/** Warnings of the webhook that are mistakes in a manifest. */
const MISTAKES: readonly ReasonCode[] = ['unknown_key', 'wrong_place', 'superseded', 'namespace_excluded'];

/** Makes a finding; `severity` where the reason's own does not fit. */
export function lintFinding(place: LintPlace, finding: Omit<Finding, 'level'>, severity?: LintSeverity): LintFinding {
  const { file, locate, document, path, object } = place;
  const reason = reasonOf(finding.code);
  const offset = document.root === null ? document.start : document.base + offsetAt(document.root, path);
  return {
    file,
    ...locate(offset),
    object,
    key: finding.key === undefined ? undefined : fullKey(finding.key),
    code: finding.code,
    severity: severity ?? severityOf(finding.code),
    detail: finding.detail,
    sentence: reason.sentence,
    remedy: reason.remedy,
  };
}

function fullKey(key: string): string {
  return key.includes('/') ? key : `${PREFIX}${key}`;
}

function severityOf(code: ReasonCode): LintSeverity {
  const { severity } = reasonOf(code);
  if (severity === 'error' || severity === 'degraded' || MISTAKES.includes(code)) return 'error';
  return severity;
}

/** Where the last key of a path stands, or as much of the path as there is. */
function offsetAt(node: Node, path: readonly (string | number)[]): number {
  const [step, ...rest] = path;
  const own = node.range?.[0] ?? 0;
  if (step === undefined) return own;
  if (isSeq(node) && typeof step === 'number') {
    const item = node.items[step];
    return isNodeLike(item) ? offsetAt(item, rest) : own;
  }
  if (!isMap(node)) return own;
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === step);
  if (pair === undefined) return own;
  const key = isScalar(pair.key) ? (pair.key.range?.[0] ?? own) : own;
  const { value } = pair;
  if (rest.length === 0 || !isNodeLike(value)) return key;
  // A map that lacks the next key is best shown by its own key.
  const deeper = offsetAt(value, rest);
  return deeper === (value.range?.[0] ?? -1) && typeof rest[0] === 'string' && !hasKey(value, rest[0]) ? key : deeper;
}

function isNodeLike(value: unknown): value is Node {
  return isMap(value) || isSeq(value) || isScalar(value);
}

function hasKey(node: Node, name: string): boolean {
  return isMap(node) && node.items.some(({ key }) => isScalar(key) && String(key.value) === name);
}
