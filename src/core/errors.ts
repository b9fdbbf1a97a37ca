/**
 * The one error class for things that go wrong while operating, and the catalogue of their codes.
 *
 * Invariants: a code never changes its meaning; nobody matches on message text. Programmer errors are
 * `node:assert` failures and are never caught here. May import: nothing.
 */

/** Every stable code. The text of an error may change between versions, its code may not. */
export type ErrorCode =
  | 'CONFIG_INVALID'
  | 'CHECKPOINT_UNREADABLE'
  | 'CHECKPOINT_WRITE_FAILED'
  | 'SOURCE_UNREADABLE'
  | 'SINK_UNREACHABLE'
  | 'SINK_MISCONFIGURED'
  | 'KUBE_CONFLICT'
  | 'KUBE_NOT_FOUND'
  | 'KUBE_FORBIDDEN'
  | 'KUBE_UNAVAILABLE'
  | 'KUBE_INVALID'
  | 'CERTIFICATE_INVALID'
  | 'SECRET_FOREIGN'
  | 'REVIEW_INVALID'
  | 'BODY_TOO_LARGE'
  | 'MANIFEST_UNREADABLE'
  | 'CLUSTER_UNREADABLE'
  | 'USAGE';

/** An operating error: what failed, with a code for programs, and a hint for the person who reads it. */
export class OperationalError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  /**
   * @param code stable identifier of the kind of failure
   * @param message "verb noun: expected X, got Y"
   * @param options cause keeps the original error; hint says what the operator can do
   */
  constructor(code: ErrorCode, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, { cause: options.cause });
    this.name = 'OperationalError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** Text of anything thrown, without a stack: what a log line or an answer may show. */
export function errorText(error: unknown): string {
  if (error instanceof OperationalError && error.hint !== undefined) return `${error.message} (${error.hint})`;
  if (error instanceof AggregateError && error.message === '') return error.errors.map(errorText).join('; ');
  if (error instanceof Error) return error.message === '' ? error.name : error.message;
  return String(error);
}
