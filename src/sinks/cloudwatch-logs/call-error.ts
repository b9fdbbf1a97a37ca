/**
 * Why a call failed, as plain data: what our own requests and the SDK's errors have in common. Pure. May import: core.
 */
import { errorText } from '../../core/errors.ts';

const TEXT_CHARS_MAX = 1024;

export interface CallError {
  /** Type of the service's error, or name of the error where nobody answered; empty where there is none. */
  readonly name: string;
  /** Code of Node.js, empty where there is none. */
  readonly code: string;
  /** HTTP status of the answer, if there was one. */
  readonly status: number | undefined;
  /** What a person reads. */
  readonly text: string;
}

/** What the SDK throws, or its credential chain, or anything else. */
export function thrownError(error: unknown): CallError {
  if (!(error instanceof Error)) return { name: '', code: '', status: undefined, text: shortened(errorText(error)) };
  const metadata: unknown = '$metadata' in error ? error.$metadata : undefined;
  const status =
    typeof metadata === 'object' && metadata !== null && 'httpStatusCode' in metadata
      ? metadata.httpStatusCode
      : undefined;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const isNameless = error.name === 'Error' || error.name === 'AggregateError';
  const text = shortened(isNameless ? errorText(error) : `${error.name}: ${errorText(error)}`);
  return { name: error.name, code, status: typeof status === 'number' ? status : undefined, text };
}

/** A text of a length that a log line can bear. */
export function shortened(text: string): string {
  return text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX - 3)}...`;
}
