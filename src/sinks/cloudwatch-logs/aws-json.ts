/**
 * Requests and answers of AWS JSON 1.1, which CloudWatch Logs speaks: pure.
 *
 * Source: Smithy 2.0, "AWS JSON 1.1 protocol", "Protocol Behaviors" and "Operation error serialization": POST, the call in X-Amz-Target; the
 * type of an error stands in `__type` or `code` of the body or in X-Amzn-Errortype, perhaps with a namespace before a `#` and an
 * address behind a `:`. In this order the SDK looks for it, and takes what is before a comma. May import: core, sinks.
 */
import { shortened } from './call-error.ts';
import type { CallError } from './call-error.ts';

const CONTENT_TYPE = 'application/x-amz-json-1.1';
/** Service's shape name of the API's model. */
const SERVICE = 'Logs_20140328';
/** As much of a page that is none of the service's is looked at. */
const PAGE_BYTES_MAX = 8192;

export type JsonObject = Readonly<Record<string, unknown>>;

export interface JsonAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
}

export type ReadAnswer =
  { readonly kind: 'done'; readonly output: JsonObject } | { readonly kind: 'error'; readonly error: CallError };

/** Headers that are signed, but for the body's hash. */
export function callHeaders(action: string): { readonly 'content-type': string; readonly 'x-amz-target': string } {
  return { 'content-type': CONTENT_TYPE, 'x-amz-target': `${SERVICE}.${action}` };
}

/**
 * What the output of PutLogEvents may hold (API reference, "Response Elements"). Lines count as stored by this answer alone: one without a byte,
 * or with nothing but other members, is that of another server.
 */
const OUTPUTS: ReadonlyMap<string, readonly string[]> = new Map([
  ['PutLogEvents', ['nextSequenceToken', 'rejectedLogEventsInfo', 'rejectedEntityInfo']],
]);

/** Output of a call, or its error. A body without a byte is one without members, where those say nothing that matters. */
export function readAnswer(answer: JsonAnswer, action: string): ReadAnswer {
  const { status, body } = answer;
  const members = body.length === 0 ? {} : objectOf(body);
  const name = members === undefined ? '' : errorType(answer, members);
  // An error that something in between gave a good status is one all the same.
  const isGood = status >= 200 && status < 300 && name === '';
  const isOutput = members !== undefined && isOutputOf(action, members, body);
  if (isGood && isOutput) return { kind: 'done', output: members };
  const what = members === undefined ? 'no JSON object' : isGood ? `no output of ${action}` : '';
  const words = what === '' && members !== undefined ? messageOf(members) : pageWords(body);
  const head = name === '' ? `HTTP ${status}` : name;
  const text = [head, what, words].filter((part) => part !== '').join(': ');
  return { kind: 'error', error: { name, code: '', status, text: shortened(text) } };
}

function isOutputOf(action: string, members: JsonObject, body: Buffer): boolean {
  const own = OUTPUTS.get(action);
  const names = Object.keys(members);
  return own === undefined || (body.length > 0 && (names.length === 0 || names.some((name) => own.includes(name))));
}

function errorType({ headers }: JsonAnswer, members: JsonObject): string {
  const raw = [members['__type'], members['code'], members['Code'], headers['x-amzn-errortype']].find(
    (value) => typeof value === 'string' || typeof value === 'number',
  );
  const [type = ''] = String(raw ?? '').split(/[,:]/);
  return type.slice(type.indexOf('#') + 1).trim();
}

function messageOf(members: JsonObject): string {
  const words = members['message'] ?? members['Message'];
  return typeof words === 'string' ? words : '';
}

function objectOf(body: Buffer): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

/** The first words of a proxy's page still help. */
function pageWords(body: Buffer): string {
  return body
    .toString('utf8', 0, PAGE_BYTES_MAX)
    .replaceAll(/<[^>]*>|\s+/g, ' ')
    .trim();
}
