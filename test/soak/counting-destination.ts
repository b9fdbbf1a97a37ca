/**
 * A destination in memory that speaks `_bulk` as Elasticsearch does, recognises a resend by its `_id`, and counts what is stored.
 *
 * Its table has one 32-bit hash of an id per line: 40 MB for ten million lines. May import: src/core, test/bench.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MARKER, NUMBER_DIGITS } from '../bench/numbered-lines.ts';

const LF = 10;

export interface StoredCounts {
  readonly lost: number;
  readonly duplicates: number;
  /** Lines that were stored for the first time after a later line of the same file. */
  readonly outOfOrder: number;
}

export class CountingDestination {
  #server: Server | undefined;
  #port = 0;
  readonly #ids: Uint32Array;
  readonly #files: number;
  readonly #highest: Float64Array;
  #stored = 0;
  #duplicates = 0;
  #outOfOrder = 0;

  /** @param files line n belongs to file n modulo this */
  constructor(lines: number, files: number) {
    this.#ids = new Uint32Array(lines);
    this.#files = files;
    this.#highest = new Float64Array(files).fill(-1);
  }

  get port(): number {
    return this.#port;
  }

  counts(): StoredCounts {
    return { lost: this.#ids.length - this.#stored, duplicates: this.#duplicates, outOfOrder: this.#outOfOrder };
  }

  /** Listens, on the same port as before. */
  async resume(): Promise<void> {
    const server = createServer((request, response) => void this.#bulk(request, response));
    this.#server = server;
    await new Promise<void>((listening) => server.listen(this.#port, '127.0.0.1', listening));
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Cuts every connection and listens no more. */
  async halt(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((done) => server.close(done));
    server.closeAllConnections();
    await closed;
  }

  async #bulk(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      // Cut in the middle: nothing of it is stored, as nothing of it was read whole.
      return;
    }
    const body = Buffer.concat(chunks);
    const statuses: number[] = [];
    for (let at = 0; at < body.length;) {
      const document = body.indexOf(LF, at) + 1;
      const next = body.indexOf(LF, document) + 1;
      statuses.push(this.#create(body.subarray(at, document), body.subarray(document, next)));
      at = next;
    }
    const items = statuses.map((status) => `{"create":{"status":${status}}}`).join(',');
    const errors = statuses.some((status) => status !== 201);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(`{"errors":${errors},"items":[${items}]}`);
  }

  /** 201, or 409 where the id exists. */
  #create(action: Buffer, document: Buffer): number {
    const id = idHash(action);
    const at = document.indexOf(MARKER) + MARKER.length;
    const number = Number(document.toString('latin1', at, at + NUMBER_DIGITS));
    const known = this.#ids[number];
    if (known === id) return 409;
    if (known !== 0) {
      this.#duplicates += 1;
      return 201;
    }
    this.#ids[number] = id;
    this.#stored += 1;
    const file = number % this.#files;
    if (number < (this.#highest[file] ?? 0)) this.#outOfOrder += 1;
    else this.#highest[file] = number;
    return 201;
  }
}

/** Never 0, which stands for "not stored". */
function idHash(action: Buffer): number {
  return createHash('md5').update(action).digest().readUInt32LE(0) || 1;
}
