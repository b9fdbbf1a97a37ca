/**
 * Something worth telling about a pod: a code, the key it is about, and the detail with values.
 *
 * Invariant: `detail` may hold values of annotations, so it appears only in the answer and in the status. May import: nothing else.
 */
import { reasonOf } from './reasons.ts';
import type { ReasonCode } from './reasons.ts';

/** Where a value came from, most specific first. */
export type Level = 'pod' | 'namespace' | 'config' | 'built-in';

export interface Finding {
  readonly code: ReasonCode;
  /** Key without prefix: `flush-interval`; undefined where no key is to blame. */
  readonly key?: string;
  readonly level?: Level;
  /** `expected a duration …, got "5"`. */
  readonly detail?: string;
}

/** Longest text of one finding. The API server cuts warnings at 256 characters (KEP-1693, warning headers). */
const TEXT_CHARS_MAX = 256;

/** One line for people, values included. */
export function findingText(finding: Finding): string {
  const { sentence, remedy } = reasonOf(finding.code);
  const about = finding.key === undefined ? '' : `logging.io/${finding.key}: `;
  const where = finding.level === 'namespace' ? ' (on the namespace)' : '';
  const detail = finding.detail === undefined ? '' : `${finding.detail}${where}; `;
  const text = `${about}${detail}${sentence}${remedy === '' ? '' : `: ${remedy}`}`;
  return cut(text);
}

/** The same in members, for a reader of JSON. */
export function findingMembers(finding: Finding): Readonly<Record<string, string>> {
  const { sentence, remedy } = reasonOf(finding.code);
  const { code, key, level, detail } = finding;
  return {
    code,
    ...(key === undefined ? {} : { key }),
    ...(level === undefined ? {} : { level }),
    ...(detail === undefined ? {} : { detail: cut(detail) }),
    sentence,
    ...(remedy === '' ? {} : { remedy }),
  };
}

function cut(text: string): string {
  return text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX - 3)}...`;
}

/** `invalid_value:flush-interval`: what logs, metrics and Events may say. Keys that nobody knows are not repeated. */
export function findingLabel(finding: Finding): string {
  return finding.key === undefined || finding.code === 'unknown_key' ? finding.code : `${finding.code}:${finding.key}`;
}

/** True for findings that somebody should read: what is taken away, and what there is to know. */
export function isTelling(finding: Finding): boolean {
  return isDegrading(finding) || reasonOf(finding.code).severity === 'warning';
}

/** True for findings that take something away from what was asked. */
export function isDegrading(finding: Finding): boolean {
  return reasonOf(finding.code).severity === 'degraded';
}
