/**
 * AWS Signature Version 4 by the SDK's own package, with node:crypto as its hash.
 *
 * 4 MiB of anonymous memory with the credential chain, where the SDK's client of a service takes 11. May import: core, sinks.
 */
import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import type { CredentialProvider } from './credentials.ts';

export interface UnsignedRequest {
  readonly method: string;
  /** Host and port as the Host header says them. */
  readonly host: string;
  /** Path as it goes over the wire, each part encoded once. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | string[]>>;
  /** All headers that are signed but `host` and `x-amz-date`. */
  readonly headers: Readonly<Record<string, string>>;
  /** A body that is hashed here; what is large comes with `x-amz-content-sha256` among its headers instead. */
  readonly body?: string;
}

export interface SignatureScope {
  readonly region: string;
  /** `s3`, `es`, … */
  readonly service: string;
  readonly credentials: CredentialProvider;
  /** S3 takes the path as it is; every other service wants each part of it encoded once more. */
  readonly isPathLiteral: boolean;
  /** Adds `x-amz-content-sha256` where the request has none; S3 insists on it. */
  readonly hasBodyHash: boolean;
}

/** Gives the headers of the request with those that sign it. Rejects when there are no credentials. */
export type Signer = (request: UnsignedRequest, timeMs: number) => Promise<Readonly<Record<string, string>>>;

/** A signer; it derives a key once a day. */
export function createSigner(scope: SignatureScope): Signer {
  const signature = new SignatureV4({
    region: scope.region,
    service: scope.service,
    credentials: scope.credentials,
    sha256: NodeSha256,
    uriEscapePath: !scope.isPathLiteral,
    applyChecksum: scope.hasBodyHash,
  });
  return async ({ method, host, path, query = {}, headers, body }, timeMs) => {
    const [hostname, port] = splitHost(host);
    const signed = await signature.sign(
      {
        method,
        protocol: 'https:',
        hostname,
        ...(port === undefined ? {} : { port }),
        path,
        query: { ...query },
        headers: { ...headers, host },
        body,
      },
      { signingDate: new Date(timeMs) },
    );
    return signed.headers;
  };
}

function splitHost(host: string): readonly [string, number?] {
  const port = /:(\d+)$/.exec(host)?.[1];
  return port === undefined ? [host] : [host.slice(0, -port.length - 1), Number(port)];
}

/** The hash that the package asks for. */
class NodeSha256 {
  readonly #hash: ReturnType<typeof createHash> | ReturnType<typeof createHmac>;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret));
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    throw new Error('a hash is used once');
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  return ArrayBuffer.isView(data) ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : Buffer.from(data);
}
