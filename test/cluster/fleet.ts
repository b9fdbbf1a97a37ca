/**
 * logtender as a cluster runs it: several replicas of the webhook behind one address and of the certificate manager, each with an API
 * server of its own where there are several.
 *
 * Invariants: a webhook replica gets connections from the moment it is ready until it is taken out, as the endpoints of a Service do;
 * a certificate manager that ended is started again only when a test says so, so that a crash is seen for what it is.
 * May import: src/core, test/servers, test/fakes.
 */
import assert from 'node:assert/strict';
import { systemClock } from '../../src/core/clock.ts';
import { LoadBalancer } from '../fakes/load-balancer.ts';
import { freePorts } from '../servers/loopback-ports.ts';
import type { ManagedProcess } from '../servers/managed-process.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { createWorkFolder, discardWorkFolder } from '../servers/work-folder.ts';
import { applyManifests } from './installation.ts';
import { accountKubeconfig, certsProcess, webhookProcess } from './processes.ts';

/** Long enough that an API server's idle connection is used, and closed by an answer, under the load of the tests. */
const DRAIN = '3s';
const ENDED_MS_MAX = 60_000;
const POLL_MS = 10;

export interface FleetOptions {
  /** YAML of certs.yaml. */
  readonly certs: string;
  readonly webhooks: number;
  readonly certsReplicas: number;
  /** Where the replica of that number reaches its API server, where that is not the server itself. */
  readonly certsUrl?: (replica: number) => string | undefined;
  readonly webhookUrl?: (replica: number) => string | undefined;
}

/** One replica of the certificate manager: the same name and configuration at each start. */
export interface CertsReplica {
  readonly name: string;
  readonly adminPort: number;
  isRunning(): boolean;
  /** Starts it and waits until all is in order. @param fault `<step>:<before|after>` at which it kills itself */
  start(fault?: string): Promise<void>;
  /** Starts it and returns at once; it may end by itself before it is ready. */
  launch(fault?: string): void;
  /** Resolves when it has ended by itself; rejects after a minute. */
  ended(): Promise<void>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  halt(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

export interface WebhookReplica {
  readonly port: number;
  readonly adminPort: number;
  readonly process: ManagedProcess;
}

export interface Fleet {
  readonly certs: readonly CertsReplica[];
  /** Those that were started and not taken away, oldest first. */
  readonly webhooks: readonly WebhookReplica[];
  readonly folder: string;
  /** One more webhook replica: ready, then in the address. */
  addWebhook(): Promise<WebhookReplica>;
  /** Out of the address, drained by SIGTERM, ended: what a roll-out does. */
  removeWebhook(replica: WebhookReplica): Promise<void>;
  /** Starts everything: the certificate manager, then the webhooks. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Applies the manifests; nothing runs yet. */
export async function createFleet(plane: ControlPlane, options: FleetOptions): Promise<Fleet> {
  const folder = createWorkFolder('fleet');
  const balancer = new LoadBalancer();
  await applyManifests(plane, folder, await balancer.start());
  const certs = await Promise.all(
    Array.from({ length: options.certsReplicas }, (_, i) => certsReplica(plane, folder, options, i)),
  );
  const webhooks: WebhookReplica[] = [];
  let made = 0;
  const addWebhook = async (): Promise<WebhookReplica> => {
    const number = made;
    made += 1;
    const [port = 0, adminPort = 0] = await freePorts(2);
    const name = `webhook-${number}`;
    const own = plane.apiServers[number % plane.apiServers.length]?.url;
    const url = options.webhookUrl?.(number) ?? own ?? plane.url;
    const process = webhookProcess({
      name,
      folder,
      kubeconfig: await accountKubeconfig(plane, { folder, account: 'logtender-webhook', url, name }),
      config: 'cluster: test\nelasticsearchUrl: http://elasticsearch.example:9200',
      port,
      adminPort,
      drain: DRAIN,
    });
    const replica = { port, adminPort, process };
    webhooks.push(replica);
    await process.start();
    balancer.add(port);
    return replica;
  };
  return {
    certs,
    webhooks,
    folder,
    addWebhook,
    removeWebhook: async (replica) => {
      balancer.remove(replica.port);
      await replica.process.halt();
      webhooks.splice(webhooks.indexOf(replica), 1);
    },
    start: async () => {
      await Promise.all(certs.map((replica) => replica.start()));
      await Promise.all(Array.from({ length: options.webhooks }, addWebhook));
    },
    stop: async () => {
      // The configuration first: from then on no pod waits for us.
      await plane.kubectl(['delete', 'mutatingwebhookconfiguration', 'logtender-injector', '--ignore-not-found']);
      await Promise.all([
        ...certs.map((replica) => replica.halt()),
        ...webhooks.map(({ process }) => process.halt('SIGKILL')),
      ]);
      await balancer.stop();
      discardWorkFolder(folder);
    },
  };
}

async function certsReplica(
  plane: ControlPlane,
  folder: string,
  options: FleetOptions,
  number: number,
): Promise<CertsReplica> {
  const name = `certs-${number}`;
  const [adminPort = 0] = await freePorts(1);
  const url = options.certsUrl?.(number) ?? plane.apiServers[number % plane.apiServers.length]?.url ?? plane.url;
  const kubeconfig = await accountKubeconfig(plane, { folder, account: 'logtender-certs', url, name });
  const spec = { name, folder, kubeconfig, config: options.certs, adminPort };
  let process: ManagedProcess | undefined;
  const make = (fault: string | undefined): ManagedProcess => {
    assert(process?.isRunning !== true, `${name} runs once`);
    process = certsProcess({ ...spec, env: fault === undefined ? {} : { LOGTENDER_FAULT_AT: fault } });
    return process;
  };
  return {
    name,
    adminPort,
    isRunning: () => process?.isRunning === true,
    start: (fault) => make(fault).start(),
    launch: (fault) => {
      // It may die before it is ready: that is what a fault at an early step means.
      make(fault)
        .start()
        .catch(() => {});
    },
    ended: async () => {
      const deadline = systemClock.monotonic() + ENDED_MS_MAX;
      while (process?.isRunning === true) {
        if (systemClock.monotonic() > deadline)
          throw new Error(`wait for the end of ${name}: expected it within a minute`);
        await systemClock.sleep(POLL_MS);
      }
    },
    signal: (signal) => process?.signal(signal),
    halt: async (signal) => process?.halt(signal),
  };
}
