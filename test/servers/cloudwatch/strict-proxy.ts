/**
 * The proxy before moto that refuses what CloudWatch Logs refuses (rules.ts), counts calls, and brings the faults that a test orders.
 *
 * Invariant: closing and listening again keep the port. May import: node:, src/core, test/servers/cloudwatch.
 */
import { once } from 'node:events';
import http from 'node:http';
import { systemClock, type Clock } from '../../../src/core/clock.ts';
import { actionOf, answer, awsError, parseInput, readBody, type Reply } from './aws-json.ts';
import { FaultPlan, type Fault, type FaultOrder } from './faults.ts';
import {
  checkCall,
  correctRejected,
  type Input,
  type LogEvent,
  type RejectedLogEventsInfo,
  type Rule,
} from './rules.ts';

/** Refusals that are kept for a test to look at; more are only counted. */
const REFUSALS_MAX = 1_000;

export interface Counts {
  /** All calls that came in. */
  readonly received: number;
  /** Calls that broke a rule of ours. */
  readonly refused: number;
  /** Calls that got an ordered fault. */
  readonly faulted: number;
  /** Calls that moto did, whatever it answered; those with a lost answer are in here too. */
  readonly forwarded: number;
}

const NONE: Counts = { received: 0, refused: 0, faulted: 0, forwarded: 0 };

export class StrictProxy {
  readonly #upstreamPort: number;
  readonly #clock: Clock;
  readonly #server: http.Server;
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #plan = new FaultPlan();
  readonly #counts = new Map<string, Counts>();
  #refusals: { readonly action: string; readonly rule: Rule }[] = [];
  #port = 0;

  constructor(options: { readonly upstreamPort: number; readonly clock?: Clock }) {
    this.#upstreamPort = options.upstreamPort;
    this.#clock = options.clock ?? systemClock;
    this.#server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      this.#handle(request, response).catch(() => response.destroy());
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Begins to accept connections: on a free port the first time, on the same one ever after. */
  async listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address !== null && typeof address === 'object') this.#port = address.port;
    // Like a server process that was forgotten: it must not keep the test run alive.
    this.#server.unref();
  }

  /** Cuts all connections and refuses new ones until `listen`. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await closed;
  }

  /** The next calls that fit get a fault instead of, or after, being done. */
  order(order: FaultOrder): void {
    this.#plan.add(order);
  }

  /** Forgets counts, refusals and faults that are not used up. */
  reset(): void {
    this.#counts.clear();
    this.#refusals = [];
    this.#plan.clear();
  }

  counts(action: string): Counts {
    return this.#counts.get(action) ?? NONE;
  }

  /** The rules that calls broke, in order, at most the first 1,000. */
  refusals(): ReadonlyArray<{ readonly action: string; readonly rule: Rule }> {
    return this.#refusals;
  }

  #count(action: string, outcome: keyof Counts): void {
    const counts = this.counts(action);
    this.#counts.set(action, { ...counts, [outcome]: counts[outcome] + 1 });
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const reply = await this.#reply(request);
    if (reply === undefined) response.destroy();
    else answer(response, reply);
  }

  /** The answer to a call; undefined closes the connection without one. */
  async #reply(request: http.IncomingMessage): Promise<Reply | undefined> {
    const body = await readBody(request);
    if (body === undefined) return awsError(413, 'RequestEntityTooLargeException', 'Request too large');
    const action = actionOf(request);
    if (action === undefined) return awsError(400, 'UnknownOperationException', '');
    this.#count(action, 'received');
    const fault = this.#plan.take(action);
    if (fault === undefined) return this.#do(action, request, body);
    this.#count(action, 'faulted');
    if (fault !== 'drop-after') return FAULTS[fault];
    await this.#do(action, request, body);
    return undefined;
  }

  /** Checks the call and lets moto do it. */
  async #do(action: string, request: http.IncomingMessage, body: Buffer): Promise<Reply> {
    // API reference, Common Errors, MissingAuthenticationToken. The signature itself is not verified.
    if (request.headers.authorization?.startsWith('AWS4-HMAC-SHA256 ') !== true) {
      return this.#refused(
        action,
        awsError(400, 'MissingAuthenticationTokenException', 'Missing Authentication Token'),
      );
    }
    const input = parseInput(request, body);
    if (input === undefined) {
      return this.#refused(action, awsError(400, 'SerializationException', 'expected a JSON object in UTF-8'));
    }
    const nowMs = this.#clock.now();
    const refusal = checkCall(action, input, nowMs);
    if (refusal !== undefined) {
      if (this.#refusals.length < REFUSALS_MAX) this.#refusals.push({ action, rule: refusal.rule });
      return this.#refused(action, awsError(400, refusal.type, refusal.message));
    }
    this.#count(action, 'forwarded');
    const reply = await forward(this.#agent, this.#upstreamPort, request, body);
    return action === 'PutLogEvents' && reply.status === 200 ? corrected(reply, input, nowMs) : reply;
  }

  #refused(action: string, reply: Reply): Reply {
    this.#count(action, 'refused');
    return reply;
  }
}

/** What a fault answers instead of moto. */
const FAULTS: Readonly<Record<Exclude<Fault, 'drop-after'>, Reply | undefined>> = {
  throttle: awsError(400, 'ThrottlingException', 'Rate exceeded'),
  unavailable: awsError(503, 'ServiceUnavailableException', 'The service cannot complete the request.'),
  'drop-before': undefined,
};

function forward(agent: http.Agent, port: number, request: http.IncomingMessage, body: Buffer): Promise<Reply> {
  const headers = { ...request.headers, 'content-length': String(body.length) };
  delete headers['transfer-encoding'];
  delete headers.expect;
  delete headers.connection;
  return new Promise((done, fail) => {
    const upstream = http.request(
      { host: '127.0.0.1', port, method: 'POST', path: '/', headers, agent },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', fail);
        response.once('end', () => done({ status: response.statusCode ?? 500, body: Buffer.concat(chunks) }));
      },
    );
    upstream.once('error', fail);
    upstream.end(body);
  });
}

function corrected(reply: Reply, input: Input, nowMs: number): Reply {
  const body = JSON.parse(reply.body.toString('utf8')) as { readonly rejectedLogEventsInfo?: RejectedLogEventsInfo };
  if (body.rejectedLogEventsInfo === undefined) return reply;
  const events = input['logEvents'] as readonly LogEvent[];
  const rejectedLogEventsInfo = correctRejected(body.rejectedLogEventsInfo, events, nowMs);
  return { status: reply.status, body: Buffer.from(JSON.stringify({ ...body, rejectedLogEventsInfo })) };
}
