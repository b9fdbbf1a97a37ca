/**
 * The CA generations and where their rotation stands: what the Secret `logtender-ca` holds.
 *
 * Invariants: at most one `next`; a state that `parseCaState` accepts is whole (keys match, the cross certificate hangs together);
 * the schema version is raised when an older program could misread it. May import: src/core, certs.
 */
import { isIssuedBy, isKeyOf, parseCertificate } from './bundle.ts';
import type { CertificateFacts } from './bundle.ts';
import { errorText } from '../src/core/errors.ts';
import { COMPROMISED_MAX } from './orders.ts';
import type { CompromisedCa, Orders } from './orders.ts';

export interface CaGeneration {
  readonly certificate: CertificateFacts;
  readonly keyPem: string;
}

/** A CA that signs no more, but that leaves out there may still need. Its key is gone. */
export interface PreviousCa {
  readonly certificate: CertificateFacts;
  /** From this time on no unexpired leaf of it is served anywhere: milliseconds since the epoch, margin included. */
  readonly neededUntilMs: number;
}

export interface CaState {
  /** Number of the current CA, 1 for the first. */
  readonly generation: number;
  readonly current: CaGeneration;
  /** The CA that will take over, trusted before it signs anything. */
  readonly next: CaGeneration | undefined;
  /** `next` signed by `current`, later `current` signed by the CA before it: lets a client with the old bundle verify. */
  readonly cross: CertificateFacts | undefined;
  readonly previous: readonly PreviousCa[];
  /** What operators asked for; undefined when they never did. */
  readonly orders?: Orders;
  /** Longest life of a leaf that `current` may have signed, milliseconds; written before it signs one. Configurations change. */
  readonly leafLifeMs?: number;
  /** CAs of ours that nothing needs any more, newest first: they leave the bundle. Undefined for none. */
  readonly forgotten?: ReadonlyArray<CompromisedCa>;
}

export type ParsedCaState =
  | { readonly ok: true; readonly value: CaState }
  /** `isNewer`: written by a later version of this program, whole for all we know: not ours to overwrite. */
  | { readonly ok: false; readonly problem: string; readonly isNewer?: boolean };

/** Entries of the Secret, before base64. */
export type SecretEntries = Readonly<Record<string, string>>;

const SCHEMA = 1;

/** Most previous CAs that are read: one rotation at a time leaves one, a restored state may have two. */
const PREVIOUS_MAX = 4;

/**
 * Forgotten CAs that are kept by name until they expire. A CA is forgotten a leaf's life after its successor took over, so that twelve
 * a year is what the default lives allow at most. One more than that is an unknown CA if somebody puts it back.
 */
export const FORGOTTEN_MAX = 16;

/** The entries to write. Keys: `ca.*` current, `next.*`, `cross.crt`, `previous.crt`, `rotation` (JSON, no secrets). */
export function writeCaState(state: CaState): SecretEntries {
  const rotation = {
    schema: SCHEMA,
    generation: state.generation,
    previous: state.previous.map((previous) => ({
      fingerprint: previous.certificate.fingerprint,
      neededUntil: new Date(previous.neededUntilMs).toISOString(),
    })),
    ...(state.orders === undefined ? {} : { orders: writeOrders(state.orders) }),
    ...(state.leafLifeMs === undefined ? {} : { leafLifeMs: state.leafLifeMs }),
    ...(state.forgotten === undefined ? {} : { forgotten: writeNames(state.forgotten) }),
  };
  return {
    'ca.crt': state.current.certificate.pem,
    'ca.key': state.current.keyPem,
    ...(state.next === undefined ? {} : { 'next.crt': state.next.certificate.pem, 'next.key': state.next.keyPem }),
    ...(state.cross === undefined ? {} : { 'cross.crt': state.cross.pem }),
    ...Object.fromEntries(state.previous.map((previous, i) => [`previous-${i}.crt`, previous.certificate.pem])),
    rotation: JSON.stringify(rotation),
  };
}

/** Reads the entries; anything missing, unreadable or not belonging together is a problem, never an exception. */
export function parseCaState(entries: SecretEntries): ParsedCaState {
  try {
    const rotation = parseRotation(entries['rotation']);
    const current = parseGeneration(entries, 'ca');
    if (current === undefined) return { ok: false, problem: 'ca.crt is missing' };
    const next = parseGeneration(entries, 'next');
    const cross = entries['cross.crt'] === undefined ? undefined : certificateOf(entries, 'cross.crt');
    const previous = rotation.previous.map(({ neededUntilMs }, i): PreviousCa => {
      return { certificate: certificateOf(entries, `previous-${i}.crt`), neededUntilMs };
    });
    const isListed = previous.every((ca, i) => ca.certificate.fingerprint === rotation.previous[i]?.fingerprint);
    if (!isListed) return { ok: false, problem: 'the previous CAs are not those of rotation' };
    // During a rotation the current CA signed it, afterwards the CA before it did.
    const signers = [current.certificate, ...previous.map((ca) => ca.certificate)];
    if (cross !== undefined && !signers.some((signer) => isIssuedBy(cross, signer))) {
      return { ok: false, problem: 'cross.crt is signed by none of our CAs' };
    }
    const { generation, added } = rotation;
    return { ok: true, value: { generation, current, next, cross, previous, ...added } };
  } catch (error) {
    const problem = errorText(error);
    return error instanceof NewerSchema ? { ok: false, problem, isNewer: true } : { ok: false, problem };
  }
}

class NewerSchema extends Error {}

function parseGeneration(entries: SecretEntries, prefix: string): CaGeneration | undefined {
  if (entries[`${prefix}.crt`] === undefined && entries[`${prefix}.key`] === undefined) return undefined;
  const certificate = certificateOf(entries, `${prefix}.crt`);
  const keyPem = entries[`${prefix}.key`] ?? '';
  if (!isKeyOf(certificate, keyPem)) throw new Error(`${prefix}.key is not the key of ${prefix}.crt`);
  if (!isIssuedBy(certificate, certificate)) throw new Error(`${prefix}.crt is not signed by itself`);
  return { certificate, keyPem };
}

function certificateOf(entries: SecretEntries, name: string): CertificateFacts {
  const certificate = parseCertificate(entries[name] ?? '');
  if (certificate === undefined) throw new Error(`${name} is no certificate`);
  return certificate;
}

interface Rotation {
  readonly generation: number;
  readonly previous: ReadonlyArray<{ readonly fingerprint: string; readonly neededUntilMs: number }>;
  /** What came to the schema later: absent in states that were written before. */
  readonly added: Pick<CaState, 'orders' | 'leafLifeMs' | 'forgotten'>;
}

function parseRotation(text: string | undefined): Rotation {
  const raw: unknown = JSON.parse(text ?? 'null');
  const fields: Readonly<Record<string, unknown>> = typeof raw === 'object' && raw !== null ? { ...raw } : {};
  const { schema, generation, previous } = fields;
  if (typeof schema === 'number' && schema > SCHEMA) {
    throw new NewerSchema(
      `rotation: expected schema ${SCHEMA}, got ${schema} of a later version: run that version, or a backup of ${SCHEMA}`,
    );
  }
  if (schema !== SCHEMA)
    throw new Error(`rotation: expected schema ${SCHEMA}, got ${JSON.stringify(schema) ?? 'nothing'}`);
  if (typeof generation !== 'number' || !Number.isInteger(generation) || generation < 1) {
    throw new Error('rotation: expected a generation of at least 1');
  }
  if (!Array.isArray(previous) || previous.length > PREVIOUS_MAX)
    throw new Error('rotation: expected a list of previous CAs');
  return {
    generation,
    previous: previous.map((item: { fingerprint?: unknown; neededUntil?: unknown }) => {
      const neededUntilMs = Date.parse(String(item.neededUntil));
      if (typeof item.fingerprint !== 'string' || Number.isNaN(neededUntilMs)) {
        throw new Error('rotation: expected fingerprint and neededUntil of each previous CA');
      }
      return { fingerprint: item.fingerprint, neededUntilMs };
    }),
    added: parseAdded(fields),
  };
}

function parseAdded({ orders, leafLifeMs, forgotten }: Readonly<Record<string, unknown>>): Rotation['added'] {
  if (leafLifeMs !== undefined && (typeof leafLifeMs !== 'number' || !Number.isFinite(leafLifeMs) || leafLifeMs < 0))
    throw new Error('rotation: expected a leafLifeMs of at least 0');
  return {
    ...(orders === undefined ? {} : { orders: parseOrders(orders) }),
    ...(leafLifeMs === undefined ? {} : { leafLifeMs }),
    ...(forgotten === undefined ? {} : { forgotten: parseNames(forgotten, 'forgotten', FORGOTTEN_MAX) }),
  };
}

function writeOrders(orders: Orders): unknown {
  return { ...orders, compromised: writeNames(orders.compromised) };
}

function writeNames(list: readonly CompromisedCa[]): unknown {
  return list.map(({ fingerprint, notAfterMs }) => ({ fingerprint, notAfter: new Date(notAfterMs).toISOString() }));
}

function parseOrders(raw: unknown): Orders {
  const fields: Readonly<Record<string, unknown>> = typeof raw === 'object' && raw !== null ? { ...raw } : {};
  return {
    handled: optionalText(fields['handled']),
    retiredLeaf: optionalText(fields['retiredLeaf']),
    retiredCa: optionalText(fields['retiredCa']),
    compromised: parseNames(fields['compromised'] ?? [], 'compromised', COMPROMISED_MAX),
  };
}

function parseNames(raw: unknown, what: string, countMax: number): readonly CompromisedCa[] {
  if (!Array.isArray(raw) || raw.length > countMax) throw new Error(`rotation: expected a list of ${what} CAs`);
  return raw.map((item: { fingerprint?: unknown; notAfter?: unknown }) => {
    const notAfterMs = Date.parse(String(item.notAfter));
    if (typeof item.fingerprint !== 'string' || Number.isNaN(notAfterMs))
      throw new Error(`rotation: expected fingerprint and notAfter of each of the ${what} CAs`);
    return { fingerprint: item.fingerprint, notAfterMs };
  });
}

function optionalText(value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw new Error('rotation: expected texts in orders');
}
