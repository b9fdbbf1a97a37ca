/**
 * `logtender certs status`: generations, ends, the step of the rotation and its age, who serves what, whether all trust it.
 *
 * `assessCerts` is pure. Exit 0 when all is in order (a rotation under way is), 1 when something needs a person. May import: everything
 * but test.
 */
import { at, isObject, listAt, textAt } from '../../webhook/json.ts';
import type { Json, JsonObject } from '../../webhook/json.ts';
import { durationText } from '../config/fields.ts';
import { certificateIn, isServedTrusted, textsIn } from './certs-facts.ts';
import type { CertsFacts } from './certs-facts.ts';
import { table } from './text-table.ts';

/** One certificate that matters, with its end. */
export interface ShownCertificate {
  /** `ca`, `next`, `previous`, `leaf`. */
  readonly role: string;
  readonly name: string;
  readonly fingerprint: string;
  readonly notAfter: string;
}

export interface CertsReport {
  readonly isInOrder: boolean;
  /** What a person has to look at, each with what to do. */
  readonly problems: readonly string[];
  readonly generation: Json;
  readonly certificates: readonly ShownCertificate[];
  readonly step: string | undefined;
  readonly stepSince: string | undefined;
  readonly at: string | undefined;
  readonly orders: Json;
  /** Each entry of the webhook configuration; `trustsServed` is undefined where the served chain could not be read. */
  readonly entries: readonly {
    readonly name: string;
    readonly certificates: readonly string[];
    readonly trustsServed: boolean | undefined;
  }[];
  readonly pods: readonly {
    readonly name: string;
    readonly isReady: boolean;
    readonly fingerprint: string | undefined;
    readonly servesLeaf: boolean | undefined;
  }[];
  readonly gaps: readonly string[];
}

/** A replica writes its status with its Lease, every few seconds; after this it is not running. */
const SILENT_MS_MAX = 5 * 60_000;
/** A step that is due is done within seconds; waits of a rotation (settle) are minutes at most. */
const STEP_MS_MAX = 10 * 60_000;

/** Judges what was read. */
export function assessCerts(facts: CertsFacts, gaps: readonly string[], nowMs: number): CertsReport {
  const status = facts.status.status === 'found' ? facts.status.value : undefined;
  const chain = facts.chain.status === 'found' ? facts.chain.value : undefined;
  const certificates = certificatesOf(status, chain);
  const leaf = certificates.find(({ role }) => role === 'leaf')?.fingerprint;
  const entries = (facts.entries.status === 'found' ? facts.entries.value : []).map((entry) => ({
    name: entry.name,
    certificates: entry.bundle.certificates.map(({ fingerprint }) => fingerprint),
    trustsServed: chain === undefined ? undefined : isServedTrusted(chain, entry, nowMs),
  }));
  const pods = (facts.pods.status === 'found' ? facts.pods.value : []).map(({ name, isReady, fingerprint }) => ({
    name,
    isReady,
    fingerprint,
    servesLeaf: fingerprint === undefined || leaf === undefined ? undefined : fingerprint === leaf,
  }));
  const isTrusted = entries.length > 0 && entries.every(({ trustsServed }) => trustsServed === true);
  const problems = [
    ...statusProblems(facts, status, isTrusted, nowMs),
    ...trustProblems(facts, entries),
    ...certificates
      .filter(({ role, notAfter }) => role !== 'previous' && Date.parse(notAfter) <= nowMs)
      .map(({ role, notAfter }) => `the ${role} expired at ${notAfter}: look at the log of logtender-certs`),
    ...(facts.pods.status === 'found' && !pods.some(({ isReady }) => isReady)
      ? ['no webhook pod is ready: kubectl describe the pods of deployment logtender-webhook']
      : []),
  ];
  return {
    isInOrder: problems.length === 0,
    problems,
    generation: at(status, 'generation') ?? null,
    certificates,
    step: textAt(status, 'step'),
    stepSince: textAt(status, 'stepSince'),
    at: textAt(status, 'at'),
    orders: at(status, 'orders') ?? null,
    entries,
    pods,
    gaps,
  };
}

function certificatesOf(
  status: JsonObject | undefined,
  chain:
    readonly { readonly commonName: string; readonly fingerprint: string; readonly notAfterMs: number }[] | undefined,
): readonly ShownCertificate[] {
  const shown = (role: string, found: ReturnType<typeof certificateIn>): readonly ShownCertificate[] =>
    found === undefined
      ? []
      : [
          {
            role,
            name: found.name,
            fingerprint: found.fingerprint,
            notAfter: new Date(found.notAfterMs).toISOString(),
          },
        ];
  const [first] = chain ?? [];
  // What stands in the Secret is newer than what the Lease says of it.
  const leaf = first === undefined ? undefined : { ...first, name: first.commonName };
  if (status === undefined) return shown('leaf', leaf);
  const previous = listAt(status, 'previous').flatMap((one) =>
    isObject(one) ? shown('previous', certificateIn({ one }, 'one')) : [],
  );
  return [
    ...shown('ca', certificateIn(status, 'ca')),
    ...shown('next', certificateIn(status, 'next')),
    ...previous,
    ...shown('leaf', leaf ?? certificateIn(status, 'leaf')),
  ];
}

function statusProblems(
  facts: CertsFacts,
  status: JsonObject | undefined,
  isTrusted: boolean,
  nowMs: number,
): readonly string[] {
  if (status === undefined) {
    // Where somebody else makes the certificates there is no Lease, and nothing is wrong with that.
    const isTheirs = facts.status.status !== 'absent' || isTrusted;
    return isTheirs ? [] : ['no replica of certs has said anything yet: look at deployment logtender-certs'];
  }
  const problems: string[] = [];
  const silentMs = nowMs - Date.parse(textAt(status, 'at') ?? '');
  if (!(silentMs < SILENT_MS_MAX))
    return [`certs was last heard of at ${textAt(status, 'at') ?? 'no time'}: look at deployment logtender-certs`];
  const problem = textAt(status, 'problem');
  if (problem !== undefined) problems.push(`certs: ${problem}`);
  const refused = textAt(status, 'orders', 'refused');
  if (refused !== undefined) problems.push(`${refused}: logtender certs rotate writes it right`);
  const step = textAt(status, 'step') ?? '';
  const ageMs = nowMs - Date.parse(textAt(status, 'stepSince') ?? '');
  if (step !== 'in_order' && ageMs > STEP_MS_MAX)
    problems.push(`the step ${step} has been due for ${ageText(ageMs)}: look at the log of logtender-certs`);
  if (at(status, 'isInSync') === false && ageMs > STEP_MS_MAX)
    problems.push('the caBundle is out of sync: look at the log of logtender-certs');
  return problems;
}

function trustProblems(facts: CertsFacts, entries: CertsReport['entries']): readonly string[] {
  if (facts.entries.status === 'absent')
    return ['the webhook configuration does not exist: kubectl apply -k deploy, or helm install'];
  const empty = entries.filter(({ certificates }) => certificates.length === 0).map(({ name }) => name);
  const distrusting = entries
    .filter(({ certificates, trustsServed }) => certificates.length > 0 && trustsServed === false)
    .map(({ name }) => name);
  return [
    ...(empty.length === 0 ? [] : [`the caBundle is empty in ${empty.join(', ')}: look at deployment logtender-certs`]),
    ...(distrusting.length === 0
      ? []
      : [`the served certificate is not trusted by ${distrusting.join(', ')}: look at the log of logtender-certs`]),
  ];
}

/** For people; fingerprints are cut to what tells them apart. */
export function certsText(report: CertsReport, nowMs: number): string {
  const { step, stepSince, certificates, entries, pods, problems, gaps } = report;
  const short = (fingerprint: string): string => fingerprint.slice(0, 12);
  const since = stepSince === undefined ? '' : ` for ${ageText(nowMs - Date.parse(stepSince))}`;
  const trust = { true: 'yes', false: 'NO', undefined: '?' } as const;
  const lines = [
    `generation ${report.generation === null ? 'unknown' : JSON.stringify(report.generation)}, ${step ?? 'no status'}${since}`,
    ...ordersText(report.orders),
    '',
    ...table(
      ['ROLE', 'NAME', 'FINGERPRINT', 'ENDS', 'IN'],
      certificates.map(({ role, name, fingerprint, notAfter }) => [
        role,
        name,
        short(fingerprint),
        notAfter,
        ageText(Date.parse(notAfter) - nowMs),
      ]),
    ),
    '',
    ...table(
      ['ENTRY', 'TRUSTS', 'VERIFIES SERVED'],
      entries.map((one) => [
        one.name,
        one.certificates.map(short).join(' ') || 'nothing',
        trust[`${one.trustsServed}`],
      ]),
    ),
    '',
    ...table(
      ['WEBHOOK POD', 'READY', 'SERVES', 'IS THE LEAF'],
      pods.map((one) => [
        one.name,
        one.isReady ? 'yes' : 'NO',
        one.fingerprint === undefined ? '?' : short(one.fingerprint),
        trust[`${one.servesLeaf}`],
      ]),
    ),
    '',
    ...(problems.length === 0 ? ['all is in order'] : problems.map((problem) => `problem: ${problem}`)),
    ...gaps.map((gap) => `not known: ${gap}`),
  ];
  return `${lines.join('\n')}\n`;
}

function ordersText(orders: Json): readonly string[] {
  if (!isObject(orders)) return [];
  const handled = textAt(orders, 'handled');
  const open = textsIn(orders, 'open');
  return handled === undefined
    ? []
    : [`last order ${handled}: ${open.length === 0 ? 'done' : `taken up, not done yet: ${open.join(', ')}`}`];
}

/** A span in the largest unit that leaves a number of two digits or more: `36h`, `29d`, `-3m`. */
function ageText(ms: number): string {
  if (Number.isNaN(ms)) return '?';
  const [size] = [86_400_000, 3_600_000, 60_000, 1000].filter((unit) => Math.abs(ms) >= 2 * unit);
  const rounded = Math.trunc(ms / (size ?? 1)) * (size ?? 1);
  return ms < 0 ? `-${durationText(-rounded)}` : durationText(rounded);
}
