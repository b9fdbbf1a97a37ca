/**
 * One replica of the certificate manager: the rotator, the watches that wake it, the Lease, and what people see of it.
 *
 * The same in a cluster (main.ts) and without one (local.ts). Invariant: a watch only wakes; what is decided on is read afresh.
 * May import: src/core, src/config, src/kube, src/admin, certs.
 */
import type { NamedCheck } from '../src/admin/server.ts';
import { certsNames, serviceHost } from '../src/config/certs-config.ts';
import type { CertsConfig } from '../src/config/certs-config.ts';
import type { Clock, Random } from '../src/core/clock.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';
import type { KubeClient } from '../src/kube/client.ts';
import type { EventWriter } from '../src/kube/events.ts';
import { createInformer } from '../src/kube/informer.ts';
import { byName, corePath, webhookConfigurationPath } from '../src/kube/paths.ts';
import { createAnnouncer } from './announcer.ts';
import type { WritingStep } from './apply.ts';
import { keyTypeOf } from './authority.ts';
import { coversHost, publicKeyOf } from './bundle.ts';
import type { Settings } from './decide.ts';
import type { Fault } from './fault.ts';
import { createLease } from './lease.ts';
import { STATUS_ANNOTATION } from './public-status.ts';
import { createRotator } from './rotator.ts';
import type { Rotator } from './rotator.ts';
import { createTelemetry } from './telemetry.ts';

export interface ReplicaOptions {
  readonly client: KubeClient;
  readonly config: CertsConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly log: Log;
  readonly metrics: Metrics;
  /** False where there is only one replica. */
  readonly usesLease: boolean;
  /** Where steps and problems are told; nowhere by default. Closed by the caller. */
  readonly events?: EventWriter;
  /** For tests on real processes alone. */
  readonly fault?: Fault;
}

export interface Replica {
  /** Resolves when for the first time all was in order: CA, leaf, caBundle everywhere. Never rejects. */
  readonly inOrder: Promise<void>;
  readonly checks: readonly NamedCheck[];
  status(): unknown;
  /** Looks at everything now: somebody does not trust what is served. */
  wake(): void;
  close(): Promise<void>;
}

/** Steps that mend what is broken now. Every replica does them at once: whoever comes second reads a conflict. */
const REPAIRS: ReadonlySet<WritingStep['kind']> = new Set([
  'bootstrap',
  'restore_ca',
  'restore_leaf',
  'publish',
  // A leaf that is missing may have to wait for it.
  'note_life',
]);

/** Hosts that the leaf of this configuration covers; the name that API servers verify comes first. */
export function leafHosts(config: CertsConfig): readonly string[] {
  return [...new Set([serviceHost(config), ...config.hosts])];
}

/** Starts at once. */
export function startReplica(options: ReplicaOptions): Replica {
  const { client, config, clock, random, log, metrics } = options;
  const { namespace } = config;
  const names = certsNames(config.instance);
  const hosts = leafHosts(config);
  const settings = settingsOf(config, hosts);
  const telemetry = createTelemetry({
    clock,
    metrics,
    tickMs: config.tickMs,
    configurationName: names.webhookConfiguration,
    ca: settings.ca,
    leaf: settings.leaf,
  });
  const inOrder = Promise.withResolvers<void>();
  let rotator: Rotator | undefined;
  const wake = (): void => rotator?.wake();
  const lease = options.usesLease
    ? createLease({
        client,
        clock,
        random,
        log,
        namespace,
        name: names.lease,
        identity: config.identity,
        durationMs: config.leaseMs,
        onAcquired: wake,
        annotations: () => ({ [STATUS_ANNOTATION]: JSON.stringify(telemetry.status()) }),
      })
    : undefined;
  const announce =
    options.events === undefined
      ? undefined
      : createAnnouncer({
          events: options.events,
          namespace,
          secret: names.caSecret,
          isSpeaker: () => lease?.isHeld() ?? true,
        });
  rotator = createRotator({
    client,
    clock,
    random,
    log,
    settings,
    tickMs: config.tickMs,
    ca: { client, namespace, name: names.caSecret, owner: names.owner },
    tls: { client, namespace, name: names.tlsSecret, owner: names.owner },
    configurationName: names.webhookConfiguration,
    issuer: {
      ca: settings.ca,
      leaf: settings.leaf,
      hosts,
      randomBytes: options.randomBytes,
      keyType: config.keyType,
    },
    ...(options.fault === undefined ? {} : { fault: options.fault }),
    onRound: (round) => {
      telemetry.record(round);
      announce?.(round);
      if (telemetry.checks.every(({ check }) => check().ok)) inOrder.resolve();
    },
    mayAct: (step, pendingMs) => {
      if (lease === undefined || lease.isHeld()) return true;
      return !isPreference(step) && (isRepair(step) || pendingMs > 2 * config.leaseMs);
    },
  });
  const watched: ReadonlyArray<readonly [path: string, name: string]> = [
    [corePath(namespace, 'secrets'), names.caSecret],
    [corePath(namespace, 'secrets'), names.tlsSecret],
    [webhookConfigurationPath(), names.webhookConfiguration],
  ];
  const informers = watched.map(([path, name]) =>
    createInformer({ client, clock, random, log, path, query: byName(name) }),
  );
  for (const informer of informers) informer.onChange(wake);
  const loop = rotator;
  return {
    inOrder: inOrder.promise,
    checks: telemetry.checks,
    status: () => telemetry.status(),
    wake,
    close: async () => {
      // First the loop, so that no step is cut; then the Lease, so that the next replica may begin.
      await loop.close();
      await lease?.close();
      await Promise.all(informers.map((informer) => informer.close()));
    },
  };
}

/** What one configuration asks for and another may not: among replicas that differ only the holder of the Lease has its way. */
function isPreference(step: WritingStep): boolean {
  return step.kind === 'issue_leaf' && (step.reason === 'wrong_key_type' || step.reason === 'wrong_host');
}

function isRepair(step: WritingStep): boolean {
  if (step.kind === 'issue_leaf')
    return step.reason === 'missing' || step.reason === 'unreadable' || step.reason === 'expired';
  return REPAIRS.has(step.kind);
}

function settingsOf(config: CertsConfig, hosts: readonly string[]): Settings {
  return {
    ca: { lifeMs: config.caLifeMs, backdateMs: config.backdateMs },
    leaf: { lifeMs: config.leafLifeMs, backdateMs: config.backdateMs },
    settleMs: config.settleMs,
    pruneMarginMs: config.pruneMarginMs,
    restoreGraceMs: config.restoreGraceMs,
    covers: (pair) => hosts.every((host) => coversHost(pair.leaf, host)),
    hasKeyType: (pair) => keyTypeOf(publicKeyOf(pair.leaf)) === config.keyType,
  };
}
