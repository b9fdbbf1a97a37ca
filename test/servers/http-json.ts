/**
 * One HTTP request with a JSON answer, the way tests talk to servers on loopback.
 *
 * May import: node:.
 */
import http from 'node:http';
import https from 'node:https';

const TIMEOUT_MS = 60_000;

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<http.IncomingHttpHeaders>;
  /** Parsed where the body is JSON, else the text. */
  readonly body: unknown;
}

export interface Question {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text or bytes go as they are, anything else as JSON. */
  readonly body?: unknown;
  /** PEM of the certificate authority, for https. */
  readonly ca?: string;
  /** The name that the certificate is checked against; the host of the URL by default. */
  readonly servername?: string;
}

/** Sends one request over a connection of its own. Rejects when no answer comes. */
export async function ask(url: string, question: Question = {}): Promise<Answer> {
  const { body } = question;
  const bytes = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const options: https.RequestOptions = {
    method: question.method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...question.headers },
    agent: false,
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(question.ca === undefined ? {} : { ca: question.ca }),
    ...(question.servername === undefined ? {} : { servername: question.servername }),
  };
  return new Promise((done, fail) => {
    const request = (url.startsWith('https:') ? https : http).request(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', fail);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        done({ status: response.statusCode ?? 0, headers: response.headers, body: parsed(text) });
      });
    });
    request.once('error', fail);
    request.end(bytes);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
