/**
 * Another mutating webhook of the cluster: an HTTPS server on loopback that changes pods as it is told, and its registration.
 *
 * Invariant: it changes nothing but what its mutation returns; the patch is the difference, made by a library that logtender does not
 * use. May import: test/servers.
 */
import { generateKeyPairSync } from 'node:crypto';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { createPatch } from 'rfc6902';
import { systemClock } from '../../src/core/clock.ts';
import type { JsonObject } from '../../webhook/json.ts';
import { selfSigned } from '../servers/kubernetes/self-signed.ts';
import type { ControlPlane } from '../servers/servers.ts';

/** The pod as it came -> the pod as it should be; the given one stays as it is. */
export type Mutation = (pod: JsonObject) => JsonObject;

export interface Registration {
  /** Of the MutatingWebhookConfiguration: API servers call them in the order of their names. */
  readonly name: string;
  readonly mutation: Mutation;
  /** Namespaces whose pods it is asked about. */
  readonly namespaces: readonly string[];
  readonly reinvocationPolicy?: 'Never' | 'IfNeeded';
}

interface Review {
  readonly request: { readonly uid: string; readonly object: JsonObject };
}

export class ForeignWebhook {
  readonly #mutations = new Map<string, Mutation>();
  readonly #plane: ControlPlane;
  readonly #server: https.Server;
  readonly #certificate: string;
  #calls = 0;

  constructor(plane: ControlPlane) {
    this.#plane = plane;
    const keys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    this.#certificate = selfSigned(keys, systemClock.now());
    const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' });
    this.#server = https.createServer({ cert: this.#certificate, key }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.once('end', () => {
        const review = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Review;
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(this.#answer(request.url ?? '', review)));
      });
    });
  }

  /** Reviews answered so far. */
  get calls(): number {
    return this.#calls;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', resolve);
    });
  }

  /** From its resolution on API servers may still need a moment until they ask (they learn of it by a watch). */
  async register({ name, mutation, namespaces, reinvocationPolicy = 'Never' }: Registration): Promise<void> {
    this.#mutations.set(`/${name}`, mutation);
    const { port } = this.#server.address() as AddressInfo;
    const expression = { key: 'kubernetes.io/metadata.name', operator: 'In', values: namespaces };
    await this.#plane.kubectl(['create', '-f', '-'], {
      input: {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'MutatingWebhookConfiguration',
        metadata: { name },
        webhooks: [
          {
            name: `${name}.other.example`,
            admissionReviewVersions: ['v1'],
            sideEffects: 'None',
            failurePolicy: 'Fail',
            reinvocationPolicy,
            clientConfig: {
              url: `https://127.0.0.1:${port}/${name}`,
              caBundle: Buffer.from(this.#certificate).toString('base64'),
            },
            rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
            namespaceSelector: { matchExpressions: [expression] },
          },
        ],
      },
    });
  }

  /** Takes all registrations away and stops. */
  async stop(): Promise<void> {
    const names = [...this.#mutations.keys()].map((path) => path.slice(1));
    if (names.length > 0)
      await this.#plane.kubectl(['delete', 'mutatingwebhookconfiguration', '--ignore-not-found', ...names]);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  #answer(path: string, { request }: Review): unknown {
    this.#calls += 1;
    const mutate = this.#mutations.get(path.split('?', 1)[0] ?? '');
    const patch = mutate === undefined ? [] : createPatch(request.object, mutate(request.object));
    const change =
      patch.length === 0
        ? {}
        : { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') };
    return {
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: { uid: request.uid, allowed: true, ...change },
    };
  }
}
