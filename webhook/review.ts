/**
 * AdmissionReview v1, bytes to request and verdict to bytes.
 *
 * Pure. Invariants: the body is parsed once, after its depth was looked at; the uid of the answer is set here and nowhere else.
 * Source: Kubernetes "Dynamic Admission Control", "Webhook request and response". May import: core, config.
 */
import { shown } from '../src/config/fields.ts';
import { isDeeperThan } from './json-depth.ts';
import { at, isObject, member, textAt } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import type { Operation } from './patch.ts';

export interface AdmissionRequest {
  readonly uid: string;
  readonly kind: string;
  readonly operation: string;
  readonly namespace: string;
  /** The pod as it was sent; undefined when the request carries none. */
  readonly object: JsonObject | undefined;
  readonly dryRun: boolean;
}

export type Decoded =
  | { readonly ok: true; readonly request: AdmissionRequest }
  /** `text`: thing, expectation and finding; the remedy is that of the reason. */
  | { readonly ok: false; readonly reason: 'review_invalid' | 'body_too_deep'; readonly text: string };

export interface Verdict {
  readonly allowed: boolean;
  readonly operations: readonly Operation[];
  readonly warnings: readonly string[];
  readonly auditAnnotations: Readonly<Record<string, string>>;
  /** For people, where it is refused. */
  readonly message: string | undefined;
}

/** A pod nests some 12 levels, managed fields a few more. */
const DEPTH_MAX = 64;
/** RFC 1123 label; requests about cluster-wide objects have none. */
const NAMESPACE = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)?$/;
const API_VERSION = 'admission.k8s.io/v1';
/** The API server cuts warnings at 256 characters each and 4,096 together (apiserver, pkg/warning and endpoints/handlers). */
const WARNINGS_MAX = 12;

/** Reads the body of a request. */
export function decodeReview(body: Buffer): Decoded {
  if (isDeeperThan(body, DEPTH_MAX)) {
    const text = `read body: expected JSON with at most ${DEPTH_MAX} levels, got more`;
    return { ok: false, reason: 'body_too_deep', text };
  }
  let review: Json;
  try {
    review = JSON.parse(body.toString('utf8')) as Json;
  } catch {
    const found = body.length === 0 ? 'an empty body' : `${body.length} bytes that are not JSON`;
    return invalid('body', 'JSON', found);
  }
  if (!isObject(review)) return invalid('body', 'an object', shown(review));
  if (review['kind'] !== 'AdmissionReview') return invalid('kind', '"AdmissionReview"', shown(member(review, 'kind')));
  if (review['apiVersion'] !== API_VERSION)
    return invalid('apiVersion', shown(API_VERSION), shown(member(review, 'apiVersion')));
  return decodeRequest(member(review, 'request'));
}

function decodeRequest(request: Json | undefined): Decoded {
  if (!isObject(request)) return invalid('request', 'an object', shown(request));
  const uid = textAt(request, 'uid');
  if (uid === undefined || uid === '') return invalid('request.uid', 'a text', shown(member(request, 'uid')));
  const operation = textAt(request, 'operation');
  if (operation === undefined) return invalid('request.operation', 'a text', shown(member(request, 'operation')));
  const namespace = textAt(request, 'namespace') ?? '';
  // It becomes part of a path that we ask the API server for with our own rights: `..` would be another object.
  if (!NAMESPACE.test(namespace))
    return invalid('request.namespace', 'a namespace name (RFC 1123 label)', shown(namespace));
  const object = member(request, 'object');
  if (object !== undefined && object !== null && !isObject(object))
    return invalid('request.object', 'an object', shown(object));
  return {
    ok: true,
    request: {
      uid,
      kind: textAt(request, 'kind', 'kind') ?? '',
      operation,
      namespace,
      object: isObject(object) ? object : undefined,
      dryRun: at(request, 'dryRun') === true,
    },
  };
}

function invalid(thing: string, expected: string, found: string): Decoded {
  return {
    ok: false,
    reason: 'review_invalid',
    text: `read AdmissionReview ${thing}: expected ${expected}, got ${found}`,
  };
}

/** The answer's body, and how many bytes the patch in it has (before base64). */
export function encodeReview(uid: string, verdict: Verdict): { readonly body: string; readonly patchBytes: number } {
  const { allowed, operations, warnings, auditAnnotations, message } = verdict;
  const patch = operations.length === 0 ? undefined : Buffer.from(JSON.stringify(operations));
  // Members that are undefined are left out.
  const rest = JSON.stringify({
    status: message === undefined ? undefined : { code: 403, reason: 'Forbidden', message },
    warnings: warnings.length === 0 ? undefined : warnings.slice(0, WARNINGS_MAX),
    auditAnnotations,
  });
  // The patch is most of the answer, and base64 has nothing to escape: it goes in as it is instead of through JSON.stringify.
  const patchText = patch === undefined ? '' : `"patchType":"JSONPatch","patch":"${patch.toString('base64')}",`;
  const response = `{"uid":${JSON.stringify(uid)},"allowed":${allowed},${patchText}${rest.slice(1)}`;
  const body = `{"apiVersion":"${API_VERSION}","kind":"AdmissionReview","response":${response}}`;
  return { body, patchBytes: patch?.length ?? 0 };
}
