/**
 * The bytes of an AdmissionReview to the answer: the only file that calls all the others.
 *
 * Invariants: it never rejects; a failure of our own is an HTTP 500; Events and the log line come after the answer is made.
 * May import: core, config.
 */
import type { WebhookConfig } from '../src/config/webhook-config.ts';
import type { Clock } from '../src/core/clock.ts';
import type { Log } from '../src/core/log.ts';
import type { ClusterFacts } from './cluster-facts.ts';
import type { Deadline } from './deadline.ts';
import type { Events } from './events.ts';
import { inject, neededAccount, readAsked } from './injection.ts';
import type { Outcome, Reading } from './injection.ts';
import { isTelling } from './finding.ts';
import { textAt } from './json.ts';
import type { JsonObject } from './json.ts';
import { readPod } from './pod.ts';
import { ANNOUNCED, USUAL } from './reasons.ts';
import type { ReasonCode } from './reasons.ts';
import type { RequestRecord } from './requests.ts';
import { allowed, decidedAnswer, errored } from './response.ts';
import type { Answer } from './response.ts';
import { decodeReview } from './review.ts';
import type { AdmissionRequest } from './review.ts';

export interface HandlerOptions {
  /** What is in use now: asked once for each request. */
  readonly config: () => WebhookConfig;
  readonly facts: ClusterFacts;
  readonly events: Events;
  readonly clock: Clock;
  readonly log: Log;
  readonly record: (record: RequestRecord) => void;
  readonly version: string;
}

export interface Handler {
  /**
   * @param body the whole body of the request
   * @param until the deadline of the answer; its signal is asked for only where there is something to wait for
   */
  handle(body: Buffer, until: Until): Promise<Answer>;
}

/** `startedMs` on the monotonic clock; `signal` is aborted when the deadline is reached. */
type Until = Pick<Deadline, 'startedMs' | 'signal'>;

type Decided = { readonly ok: true; readonly outcome: Outcome } | { readonly ok: false; readonly text: string };

/** What is known of a request when its answer is there. */
interface Answered {
  readonly body: Buffer;
  readonly until: Until;
  readonly request?: AdmissionRequest;
  readonly outcome?: Outcome;
}

/** A handler for AdmissionReviews; usable without a server. */
export function createHandler(options: HandlerOptions): Handler {
  return new ReviewHandler(options);
}

class ReviewHandler implements Handler {
  readonly #options: HandlerOptions;

  constructor(options: HandlerOptions) {
    this.#options = options;
  }

  async handle(body: Buffer, until: Until): Promise<Answer> {
    const decoded = decodeReview(body);
    if (!decoded.ok) return this.#done(errored(decoded.reason, decoded.text), { body, until });
    const { request } = decoded;
    const { object } = request;
    const about = { body, until, request };
    if (request.kind !== 'Pod' || object === undefined) return this.#done(untouched(request, 'not_a_pod'), about);
    if (request.operation !== 'CREATE') return this.#done(untouched(request, 'not_a_create'), about);
    try {
      const decided = await this.#decide(object, request, until);
      if (!decided.ok)
        return this.#done(
          errored(until.signal.aborted ? 'deadline_exceeded' : 'facts_unavailable', decided.text),
          about,
        );
      const { outcome } = decided;
      const answer = decidedAnswer(request.uid, outcome);
      this.#announce(object, request, outcome);
      return this.#done(answer, { ...about, outcome });
    } catch (error) {
      // A bug of ours: failurePolicy decides about the pod, the log about what went wrong.
      this.#options.log.error('deciding on a pod failed', { uid: request.uid, ...placeOf(error) });
      return this.#done(errored('internal_error'), about);
    }
  }

  /** Takes note of an answer and hands it on. */
  #done(answer: Answer, { body, until, request, outcome }: Answered): Answer {
    this.#options.record({
      bytes: body.length,
      uid: request?.uid,
      namespace: request?.namespace,
      dryRun: request?.dryRun,
      pod: request === undefined ? undefined : nameOf(request.object),
      operations: outcome?.operations.length,
      patchBytes: outcome === undefined ? undefined : answer.patchBytes,
      findings: outcome?.findings,
      reason: answer.reason,
      status: answer.status,
      durationMs: this.#options.clock.monotonic() - until.startedMs,
    });
    return answer;
  }

  async #decide(object: JsonObject, request: AdmissionRequest, until: Until): Promise<Decided> {
    const { facts, version } = this.#options;
    const config = this.#options.config();
    const reading = await this.#read(object, request, config, until);
    if (!reading.ok) return reading;
    if (reading.value.kind === 'decided') return { ok: true, outcome: reading.value.outcome };
    const { asked } = reading.value;
    const account = neededAccount(asked, config);
    const exists =
      account === undefined ? undefined : await facts.accountExists(request.namespace, account, until.signal);
    if (exists !== undefined && !exists.ok) return exists;
    const accountExists = exists?.value ?? false;
    return { ok: true, outcome: inject(asked, { config, version, kubelets: facts.kubelets(), accountExists }) };
  }

  /** The API server chose us by labels that our cache may not have seen yet: before we say that nobody asked, we ask it. */
  async #read(
    object: JsonObject,
    request: AdmissionRequest,
    config: WebhookConfig,
    until: Until,
  ): Promise<{ readonly ok: true; readonly value: Reading } | { readonly ok: false; readonly text: string }> {
    const { facts } = this.#options;
    for (const isFresh of [false, true]) {
      const namespace = await facts.namespace(request.namespace, {
        isFresh,
        get signal() {
          return until.signal;
        },
      });
      if (!namespace.ok) return namespace;
      const reading = readAsked(object, namespace.value, config);
      const isDoubtful = reading.kind === 'decided' && reading.outcome.reason === 'not_asked';
      if (!isDoubtful || isFresh) return { ok: true, value: reading };
    }
    return { ok: false, text: 'get namespace: expected an answer, got none' };
  }

  #announce(object: JsonObject, request: AdmissionRequest, outcome: Outcome): void {
    const { decision, findings, operations } = outcome;
    if (request.dryRun) return;
    const told = findings.filter(isTelling);
    const isWarned = decision.reason === 'injected' && told.some(({ code }) => !USUAL.includes(code));
    const isNews = ANNOUNCED.includes(decision.reason) || isWarned;
    if (!isNews) return;
    // A second pass says nothing new, but a pod without room for a status has no other place to say it.
    const isSilent = operations.length === 0 && decision.reason !== 'annotations_full';
    if (decision.action !== 'deny' && isSilent) return;
    const { owner } = readPod(object);
    if (owner === undefined || owner.uid === '') return;
    this.#options.events.announce({
      namespace: request.namespace,
      owner,
      reason: decision.reason,
      findings: told,
    });
  }
}

/** Kind and place of a failure: its message may hold values of a user. */
function placeOf(error: unknown): { readonly error: string; readonly place: readonly string[] } {
  if (!(error instanceof Error)) return { error: typeof error, place: [] };
  const frames = (error.stack ?? '').split('\n').filter((line) => line.startsWith('    at '));
  return { error: error.name, place: frames.slice(0, 3).map((frame) => frame.trim()) };
}

function untouched(request: AdmissionRequest, reason: ReasonCode): Answer {
  return allowed(request.uid, { decision: { action: 'skip', reason, isExplained: false }, reason, findings: [] });
}

function nameOf(object: JsonObject | undefined): string {
  return textAt(object, 'metadata', 'name') ?? textAt(object, 'metadata', 'generateName') ?? '';
}
