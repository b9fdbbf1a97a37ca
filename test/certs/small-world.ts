/**
 * A namespace, a webhook configuration and certificate replicas in one process, on a virtual clock and an API in memory.
 */
import { randomBytes } from 'node:crypto';

import { entriesOf } from '../../certs/ca-bundle.ts';
import type { WebhookEntry } from '../../certs/ca-bundle.ts';
import { parseCaState } from '../../certs/ca-state.ts';
import type { CaState } from '../../certs/ca-state.ts';
import { coversHost } from '../../certs/bundle.ts';
import type { ServingPair } from '../../certs/bundle.ts';
import type { Settings } from '../../certs/decide.ts';
import type { Fault } from '../../certs/fault.ts';
import { createRotator } from '../../certs/rotator.ts';
import type { Rotator, Round } from '../../certs/rotator.ts';
import { entriesOfSecret } from '../../certs/secret-store.ts';
import { parseServingPair } from '../../certs/serving-state.ts';
import type { KeyType } from '../../src/config/certs-config.ts';
import { silentLog } from '../../src/core/log.ts';
import { corePath, webhookConfigurationPath } from '../../src/kube/paths.ts';
import { createFakeKube } from '../fakes/kube.ts';
import type { FakeKube } from '../fakes/kube.ts';
import { VirtualClock } from '../fakes/virtual-clock.ts';

export const NAMESPACE = 'logtender';
export const CA_PATH = corePath(NAMESPACE, 'secrets', 'logtender-ca');
export const TLS_PATH = corePath(NAMESPACE, 'secrets', 'logtender-tls');
export const CONFIGURATION_PATH = webhookConfigurationPath('logtender-injector');
export const HOSTS = ['logtender-webhook.logtender.svc'];
export const ENTRIES = ['namespace-ignore', 'namespace-fail', 'annotation-ignore', 'annotation-fail'];
export const TICK_MS = 30_000;

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

export const SETTINGS: Settings = {
  ca: { lifeMs: 365 * DAY_MS, backdateMs: HOUR_MS },
  leaf: { lifeMs: 30 * DAY_MS, backdateMs: HOUR_MS },
  settleMs: MINUTE_MS,
  pruneMarginMs: HOUR_MS,
  restoreGraceMs: 45_000,
  covers: (pair) => HOSTS.every((host) => coversHost(pair.leaf, host)),
};

export interface SmallWorld {
  readonly clock: VirtualClock;
  readonly kube: FakeKube;
  /** Every round of every replica. */
  readonly rounds: Round[];
  /** A replica; `kube` is its own view of the server. */
  start(kube?: FakeKube, settings?: Settings, fault?: Fault, keyType?: KeyType): Rotator;
  /** Lets time pass; every replica that runs does what is due. */
  pass(ms: number): Promise<void>;
  ca(): Promise<CaState>;
  pair(): Promise<ServingPair>;
  entries(): Promise<readonly WebhookEntry[]>;
  /** Kinds of the steps written so far. */
  steps(): readonly string[];
  close(): Promise<void>;
}

export interface SmallWorldOptions {
  readonly hasConfiguration?: boolean;
  /** Longer ticks for tests of months: what is due is done in time all the same. */
  readonly tickMs?: number;
}

export async function smallWorld(options: SmallWorldOptions = {}): Promise<SmallWorld> {
  const clock = new VirtualClock();
  const kube = createFakeKube();
  const rounds: Round[] = [];
  const rotators = new Set<Rotator>();
  if (options.hasConfiguration !== false) await kube.others.create(webhookConfigurationPath(), webhookConfiguration());
  return {
    clock,
    kube,
    rounds,
    start: (view = kube, settings = SETTINGS, fault, keyType = 'ecdsa-p256') => {
      const rotator = createRotator({
        client: view,
        clock,
        random: () => 0.5,
        log: silentLog,
        settings,
        tickMs: options.tickMs ?? TICK_MS,
        ca: { client: view, namespace: NAMESPACE, name: 'logtender-ca', owner: 'logtender-certs' },
        tls: { client: view, namespace: NAMESPACE, name: 'logtender-tls', owner: 'logtender-certs' },
        configurationName: 'logtender-injector',
        issuer: { ca: settings.ca, leaf: settings.leaf, hosts: HOSTS, randomBytes, keyType },
        ...(fault === undefined ? {} : { fault }),
        onRound: (round) => rounds.push(round),
      });
      const counted: Rotator = {
        wake: () => rotator.wake(),
        close: async () => {
          rotators.delete(counted);
          await rotator.close();
        },
      };
      rotators.add(counted);
      return counted;
    },
    pass: async (ms) => clock.advance(ms, rotators.size),
    ca: async () => valid(parseCaState(entriesOfSecret(await kube.object(CA_PATH)))),
    pair: async () => valid(parseServingPair(entriesOfSecret(await kube.object(TLS_PATH)))),
    entries: async () => entriesOf(await kube.object(CONFIGURATION_PATH)),
    steps: () => rounds.filter((round) => round.outcome === 'written').map((round) => round.step?.kind ?? ''),
    close: async () => {
      await Promise.all([...rotators].map((rotator) => rotator.close()));
    },
  };
}

export function webhookConfiguration(): object {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'logtender-injector' },
    webhooks: ENTRIES.map((name) => ({
      name: `${name}.logtender.logging.io`,
      clientConfig: { service: { name: 'logtender-webhook', namespace: NAMESPACE, path: '/mutate' } },
    })),
  };
}

/** JSON Patch that sets the caBundle of one entry. */
export function setBundle(index: number, pem: string): readonly object[] {
  return [{ op: 'add', path: `/webhooks/${index}/clientConfig/caBundle`, value: Buffer.from(pem).toString('base64') }];
}

function valid<T>(
  parsed: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string },
): T {
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.value;
}
