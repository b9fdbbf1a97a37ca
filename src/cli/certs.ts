/**
 * `logtender certs status` and `logtender certs rotate`: an operator's eyes and hands on the certificates.
 *
 * Invariants: rotate writes one annotation of one Secret and reads no data of it (its metadata alone are asked for), and never takes the
 * place of a stronger order that nobody took up yet; what is done with it is the business of certs, in its own order. Exit 0 when all is well, 1 when not or not in time, 2 for a wrong command line.
 * May import: everything but test.
 */
import { parseArgs } from 'node:util';

import { parseRequest, ROTATE_ANNOTATION, ROTATION_KINDS } from '../../certs/orders.ts';
import type { RotationKind } from '../../certs/orders.ts';
import { textAt } from '../../webhook/json.ts';
import type { JsonObject } from '../../webhook/json.ts';
import { certsNames } from '../config/certs-config.ts';
import { durationMs } from '../config/fields.ts';
import type { Clock } from '../core/clock.ts';
import { systemClock } from '../core/clock.ts';
import { OperationalError } from '../core/errors.ts';
import { METADATA_ONLY } from '../kube/client.ts';
import type { KubeClient, KubeFailure } from '../kube/client.ts';
import { corePath } from '../kube/paths.ts';
import { readCerts, readStatus, textsIn } from './certs-facts.ts';
import { assessCerts, certsText } from './certs-status.ts';
import { CLUSTER_OPTIONS, ClusterReader, connectCluster, outputFormat } from './cluster-reader.ts';
import type { Install } from './operator-config.ts';

/** What each order does, for whoever gave it. */
const MEANING: Readonly<Record<RotationKind, string>> = {
  leaf: 'a new leaf of the same CA, served within seconds; nothing else changes',
  ca: 'a new CA: trusted everywhere first, then a new leaf of it; the old CA stays trusted until its last leaf has ended',
  compromised:
    'a new CA in the same order, then the old one is distrusted as soon as every server has had the time to load the new leaf, and old connections are ended',
};

/** The status comes with the Lease, every five seconds by default. */
const POLL_MS = 1_000;
const WAIT_MS_MAX = 24 * 3_600_000;

/** Runs the command; gives the exit code. */
export async function runCerts(args: readonly string[], write: (text: string) => void): Promise<number> {
  const [command, ...rest] = args;
  if (command === 'status') return runStatus(rest, write);
  if (command === 'rotate') return runRotate(rest, write);
  throw usage(`expected certs status or certs rotate, got ${command?.slice(0, 32) ?? 'nothing'}`);
}

async function runStatus(args: readonly string[], write: (text: string) => void): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: CLUSTER_OPTIONS });
  const format = outputFormat(values.output);
  const { client } = await connectCluster(values);
  try {
    const reader = new ClusterReader(client);
    const facts = await readCerts(reader, { namespace: values['logtender-namespace'], instance: values.instance });
    const nowMs = systemClock.now();
    const report = assessCerts(facts, reader.gaps, nowMs);
    write(format === 'json' ? `${JSON.stringify(report, null, 2)}\n` : certsText(report, nowMs));
    return report.isInOrder ? 0 : 1;
  } finally {
    client.close();
  }
}

async function runRotate(args: readonly string[], write: (text: string) => void): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...CLUSTER_OPTIONS,
      leaf: { type: 'boolean', default: false },
      ca: { type: 'boolean', default: false },
      compromised: { type: 'boolean', default: false },
      wait: { type: 'string' },
    },
  });
  const kinds = (['leaf', 'ca', 'compromised'] as const).filter((kind) => values[kind]);
  if (kinds.length > 1) throw usage(`expected one of --leaf, --ca, --compromised, got ${kinds.length}`);
  const waitMs = values.wait === undefined ? 0 : durationMs(values.wait);
  if (waitMs === undefined || waitMs > WAIT_MS_MAX)
    throw usage(`read --wait: expected a duration such as 5m, at most 24h, got ${values.wait?.slice(0, 32) ?? ''}`);
  const { client } = await connectCluster(values);
  const install = { namespace: values['logtender-namespace'], instance: values.instance };
  try {
    return await rotate(client, { install, kind: kinds[0] ?? 'ca', waitMs, clock: systemClock, write });
  } finally {
    client.close();
  }
}

/** Writes that may lose against others before the command gives up; certs writes this Secret a few times in a rotation. */
const ATTEMPTS_MAX = 5;

/**
 * Gives the order, and waits for its end when `waitMs` says so.
 *
 * @returns 0, or 1 when it was not done in time or was refused
 * @throws OperationalError when the annotation cannot be written, or a stronger order waits there to be taken up
 */
export async function rotate(
  client: KubeClient,
  options: {
    readonly install: Install;
    readonly kind: RotationKind;
    readonly waitMs: number;
    readonly clock: Clock;
    readonly write: (text: string) => void;
  },
): Promise<number> {
  const { install, kind, waitMs, clock, write } = options;
  const orderedMs = clock.now();
  const order = `${kind}@${new Date(orderedMs).toISOString()}`;
  const reader = new ClusterReader(client);
  const seenMs = await give(reader, install, order, kind);
  write(`ordered ${order}: ${MEANING[kind]}\n`);
  if (waitMs === 0) {
    write('watch it with: logtender certs status\n');
    return 0;
  }
  const deadlineMs = clock.monotonic() + waitMs;
  let last = '';
  for (;;) {
    const status = await statusOrGap(reader, install);
    const found = status.status === 'found' ? status.value : undefined;
    const step = textAt(found, 'step') ?? 'no status';
    if (step !== last) write(`  ${step}\n`);
    last = step;
    const refused = textAt(found, 'orders', 'refused');
    // A status from before the order speaks of what stood there before it.
    if (refused !== undefined && lookMs(found) > Math.max(orderedMs, seenMs)) {
      write(`refused: ${refused}\n`);
      return 1;
    }
    const isTakenUp = textAt(found, 'orders', 'handled') === order;
    if (found !== undefined && isTakenUp && !textsIn(found, 'orders', 'open').includes(kind)) {
      write('done\n');
      return 0;
    }
    if (clock.monotonic() >= deadlineMs) {
      const where = reader.gaps.length > 0 ? reader.gaps.join('; ') : isTakenUp ? step : 'not taken up yet';
      write(`not done in time: ${where}; it goes on without this command, see logtender certs status\n`);
      return 1;
    }
    await clock.sleep(POLL_MS);
  }
}

/** The status of certs. The order stands: an API server that is away is waited for, and said in the end. */
async function statusOrGap(reader: ClusterReader, install: Install): ReturnType<typeof readStatus> {
  try {
    return await readStatus(reader, install);
  } catch (error) {
    if (!(error instanceof OperationalError) || error.code !== 'CLUSTER_UNREADABLE') throw error;
    if (!reader.gaps.includes(error.message)) reader.gaps.push(error.message);
    return { status: 'unknown' };
  }
}

/** When certs looked at what the status says, Unix time in milliseconds; -Infinity where it does not say. */
function lookMs(status: JsonObject | undefined): number {
  const ms = Date.parse(textAt(status, 'at') ?? '');
  return Number.isNaN(ms) ? Number.NEGATIVE_INFINITY : ms;
}

/**
 * Writes the annotation by compare-and-swap. Gives the time of the last look of certs before that.
 *
 * The annotation holds one order: certs has to take it up before the next may stand there, unless the next does all of it and more.
 */
async function give(reader: ClusterReader, install: Install, order: string, kind: RotationKind): Promise<number> {
  const { client } = reader;
  const name = certsNames(install.instance).caSecret;
  const about = `annotate Secret ${install.namespace}/${name}`;
  const path = corePath(install.namespace, 'secrets', name);
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const secret = await client.get(path, { accept: METADATA_ONLY });
    if (!secret.ok) throw givingFailed(about, secret, `kubectl auth can-i get secret/${name} -n ${install.namespace}`);
    const { annotations, resourceVersion } = secret.value.metadata;
    // Read after the annotation: what was taken up since then is no longer waiting.
    const status = await readStatus(reader, install);
    const found = status.status === 'found' ? status.value : undefined;
    refuseOverStronger(about, annotations?.[ROTATE_ANNOTATION], textAt(found, 'orders', 'handled'), kind);
    const patch = { metadata: { resourceVersion, annotations: { [ROTATE_ANNOTATION]: order } } };
    const written = await client.patch(path, patch, 'application/merge-patch+json', { accept: METADATA_ONLY });
    if (written.ok) return lookMs(found);
    if (written.kind !== 'conflict')
      throw givingFailed(about, written, `kubectl auth can-i patch secret/${name} -n ${install.namespace}`);
  }
  throw new OperationalError('KUBE_CONFLICT', `${about}: expected to write it, got ${ATTEMPTS_MAX} writes of others`, {
    hint: 'the same command again',
  });
}

/** @throws OperationalError KUBE_CONFLICT when what stands there does more than `kind` and was not taken up */
function refuseOverStronger(
  about: string,
  standing: string | undefined,
  handled: string | undefined,
  kind: RotationKind,
): void {
  const pending = parseRequest(standing);
  if (pending === undefined || !pending.ok || pending.text === handled) return;
  // Each kind does what those before it do.
  if (ROTATION_KINDS.indexOf(kind) >= ROTATION_KINDS.indexOf(pending.kind)) return;
  throw new OperationalError(
    'KUBE_CONFLICT',
    `${about}: expected no stronger order that waits, got ${pending.kind}, not taken up yet`,
    {
      hint: `wait until logtender certs status shows it as the last order; to take it back: kubectl annotate the Secret with ${ROTATE_ANNOTATION}-`,
    },
  );
}

function givingFailed(about: string, failure: KubeFailure, question: string): OperationalError {
  if (failure.kind === 'not_found')
    return new OperationalError('KUBE_NOT_FOUND', `${about}: expected the Secret of the CA, got none`, {
      hint: 'certificates of cert-manager and of files are renewed there; else name the install with --logtender-namespace and --instance',
    });
  if (failure.kind === 'forbidden')
    return new OperationalError('KUBE_FORBIDDEN', `${about}: expected the right to get and patch it, got none`, {
      hint: question,
    });
  return new OperationalError('KUBE_UNAVAILABLE', `${about}: expected an answer, got: ${failure.text}`);
}

function usage(message: string): OperationalError {
  return new OperationalError('USAGE', `logtender certs: ${message}`, { hint: 'logtender help certs' });
}
