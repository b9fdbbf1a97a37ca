/**
 * The API server's `pods/log` for one container, as strict as the real one, over TLS on loopback.
 *
 * The rules and where they stand: parameters and their bounds in PodLogOptions (API reference, "read log of the specified Pod";
 * kubernetes/kubernetes, pkg/apis/core/validation, ValidatePodLogOptions); `sinceTime` in whole seconds (metav1.Time); which start is
 * current and which previous, and that in a crash loop's back-off both are the last one (pkg/kubelet/kubelet_pods.go,
 * validateContainerLogStatus); a follow that goes over to the new file at a rotation and ends with the container
 * (staging/src/k8s.io/cri-client/pkg/logs, logs.go, ReadLogs); 200 with the kubelet's own words where a file is gone
 * ("unable to retrieve container logs for ...") or cannot be watched ("failed to create fsnotify watcher: ...").
 */
import { EventEmitter } from 'node:events';
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { generateKeyPairSync } from 'node:crypto';

import { selfSigned } from '../servers/kubernetes/self-signed.ts';

const NAMESPACE = 'shop';
const POD = 'web';
const CONTAINER = 'app';
const PARAMETERS = new Set(['container', 'follow', 'limitBytes', 'previous', 'sinceTime', 'timestamps']);

/** What happens to a request in place of an answer, or to its answer. */
export type PodLogFault =
  | { readonly status: number; readonly message: string }
  /** 200, and the words of the kubelet where lines should be. */
  | { readonly words: string }
  /** The connection is cut after so many bytes of the log. */
  | { readonly cutAfter: number }
  /** The answer begins, and then nothing comes although the connection stands. */
  | 'silent'
  /** No answer at all. */
  | 'mute'
  /** The answer ends in order although the container goes on. */
  | 'ended';

interface Start {
  /** The lines of its current file, with their times. */
  file: string[];
  isOver: boolean;
}

export interface PodLogRequest {
  readonly follow: boolean;
  readonly previous: boolean;
  readonly since: string | undefined;
  readonly limitBytes: number | undefined;
}

export class PodLogServer {
  readonly ca: string;
  readonly namespace = NAMESPACE;
  readonly pod = POD;
  readonly requests: PodLogRequest[] = [];
  /** Requests that the real server would not take. */
  readonly mistakes: string[] = [];
  token = 'first';
  /** Asked for each request. */
  fault: (request: PodLogRequest) => PodLogFault | undefined = () => undefined;
  readonly #starts: Start[] = [{ file: [], isOver: false }];
  readonly #news = new EventEmitter().setMaxListeners(0);
  readonly #server;

  constructor() {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.ca = selfSigned(keys, Date.now());
    const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    this.#server = createServer({ key, cert: this.ca }, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        this.mistakes.push(String(error));
        response.destroy();
      });
    });
  }

  get url(): URL {
    return new URL(`https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
  }

  get follows(): number {
    return this.requests.filter(({ follow }) => follow).length;
  }

  listen(): Promise<void> {
    return new Promise((listening) => this.#server.listen(0, '127.0.0.1', listening));
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#news.emit('news');
    return new Promise((closed) => this.#server.close(() => closed()));
  }

  /** The container prints. @param time RFC 3339 with nanoseconds */
  print(time: string, text: string): void {
    this.#current.file.push(`${time} ${text}\n`);
    this.#news.emit('news');
  }

  /** The kubelet puts the file aside where the API does not lead. */
  rotate(): void {
    this.#current.file = [];
    this.#news.emit('news');
  }

  /** The container ends; until `start` it waits in the back-off. */
  end(): void {
    this.#current.isOver = true;
    this.#news.emit('news');
  }

  start(): void {
    this.#starts.push({ file: [], isOver: false });
  }

  get #current(): Start {
    const start = this.#starts.at(-1);
    if (start === undefined) throw new Error('a container has a start');
    return start;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://server');
    const query = this.#check(request.method, url);
    const asked: PodLogRequest = {
      follow: query.get('follow') === 'true',
      previous: query.get('previous') === 'true',
      since: query.get('sinceTime') ?? undefined,
      limitBytes: query.has('limitBytes') ? Number(query.get('limitBytes')) : undefined,
    };
    this.requests.push(asked);
    if (request.headers.authorization !== `Bearer ${this.token}`) return refuse(response, 401, 'Unauthorized');
    const fault = this.fault(asked);
    if (fault === 'mute') return;
    if (typeof fault === 'object' && 'status' in fault) return refuse(response, fault.status, fault.message);
    const start = asked.previous ? this.#previous : this.#current;
    if (start === undefined)
      return refuse(response, 400, `previous terminated container "${CONTAINER}" in pod "${POD}" not found`);
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.flushHeaders();
    if (typeof fault === 'object' && 'words' in fault) response.end(fault.words);
    else await this.#send(start, asked, response, fault);
  }

  /** In the back-off the start that is over is the last one, whichever is asked for. */
  get #previous(): Start | undefined {
    return this.#current.isOver ? this.#current : this.#starts.at(-2);
  }

  #check(method: string | undefined, { pathname, searchParams: query }: URL): URLSearchParams {
    const problems = [
      method !== 'GET' && `method ${method}`,
      pathname !== `/api/v1/namespaces/${NAMESPACE}/pods/${POD}/log` && `path ${pathname}`,
      query.get('container') !== CONTAINER && 'container',
      query.get('timestamps') !== 'true' && 'timestamps',
      query.has('sinceTime') && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(query.get('sinceTime') ?? '') && 'sinceTime',
      query.has('limitBytes') && !/^[1-9]\d*$/.test(query.get('limitBytes') ?? '') && 'limitBytes',
      ...[...query.keys()].map((key) => !PARAMETERS.has(key) && key),
    ].filter((problem) => problem !== false);
    if (problems.length > 0) this.mistakes.push(problems.join(', '));
    return query;
  }

  async #send(
    start: Start,
    asked: PodLogRequest,
    response: ServerResponse,
    fault: PodLogFault | undefined,
  ): Promise<void> {
    const cut = typeof fault === 'object' && 'cutAfter' in fault ? fault.cutAfter : Number.POSITIVE_INFINITY;
    const since = asked.since === undefined ? '' : asked.since.slice(0, -1);
    let sent = 0;
    let { file } = start;
    let at = 0;
    while (!response.destroyed) {
      for (; at < file.length && fault !== 'silent'; at += 1) {
        const line = file[at] ?? '';
        if (line.slice(0, since.length) < since) continue;
        const bytes = Buffer.from(line).subarray(0, Math.min(asked.limitBytes ?? Number.POSITIVE_INFINITY, cut) - sent);
        sent += bytes.length;
        response.write(bytes);
        if (sent >= cut) {
          // What was written has to get there before the connection goes.
          await new Promise<void>((done) => void response.write('', () => done()));
          await new Promise((done) => setTimeout(done, 2));
          response.destroy();
          return;
        }
        if (sent >= (asked.limitBytes ?? Number.POSITIVE_INFINITY)) return void response.end();
      }
      if (file !== start.file) {
        ({ file } = start);
        at = 0;
        continue;
      }
      if (!asked.follow || fault === 'ended' || (start.isOver && fault !== 'silent')) return void response.end();
      await new Promise<void>((resolve) => {
        this.#news.once('news', resolve);
        response.once('close', resolve);
      });
    }
  }
}

/** As the API server says it: a Status object. */
function refuse(response: ServerResponse, code: number, message: string): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code }));
}
