/**
 * Several replicas of the webhook of an installation behind one address, as a Service has them: a balancer on loopback to which the
 * webhook configuration leads.
 *
 * May import: test/servers, test/fakes, test/cluster.
 */
import { join } from 'node:path';
import { LoadBalancer } from '../fakes/load-balancer.ts';
import { ask } from '../servers/http-json.ts';
import { freePorts } from '../servers/loopback-ports.ts';
import type { ManagedProcess } from '../servers/managed-process.ts';
import type { ControlPlane } from '../servers/servers.ts';
import type { Installation } from './installation.ts';
import { webhookProcess } from './processes.ts';
import type { Settings } from './processes.ts';

/** What a roll-out waits between SIGTERM and the end of a replica; longer than endpoints take to hear of it here. */
const DRAIN = '1s';

export interface Replica {
  readonly process: ManagedProcess;
  readonly port: number;
  /** Its metrics as text. */
  metrics(): Promise<string>;
}

export interface Replicas {
  readonly balancer: LoadBalancer;
  /** Those behind the address, oldest first. */
  readonly current: readonly Replica[];
  /** Starts one more and puts it behind the address once it is ready. */
  add(): Promise<Replica>;
  /** Takes the oldest out of the address and ends it with SIGTERM, as a roll-out does. */
  removeOldest(): Promise<void>;
  stop(): Promise<void>;
}

/** Puts `count` replicas in the place of the one of the installation, which goes on and is asked nothing. */
export async function replicate(
  plane: ControlPlane,
  installed: Installation,
  options: { readonly count: number; readonly config: string; readonly server?: Settings },
): Promise<Replicas> {
  const balancer = new LoadBalancer();
  const address = await balancer.start();
  const current: Replica[] = [];
  let started = 0;
  const add = async (): Promise<Replica> => {
    started += 1;
    const replica = await startReplica(installed.folder, `webhook-${started}`, options);
    current.push(replica);
    balancer.add(replica.port);
    return replica;
  };
  for (let i = 0; i < options.count; i += 1) await add();
  await pointTo(plane, address);
  return {
    balancer,
    current,
    add,
    removeOldest: async () => {
      const oldest = current.shift();
      if (oldest === undefined) return;
      // A terminating pod leaves the endpoints at the same moment; its open connections stay.
      balancer.remove(oldest.port);
      await oldest.process.halt('SIGTERM');
    },
    stop: async () => {
      await Promise.all(current.map((replica) => replica.process.halt()));
      await balancer.stop();
    },
  };
}

async function startReplica(
  folder: string,
  name: string,
  { config, server = {} }: { readonly config: string; readonly server?: Settings },
): Promise<Replica> {
  const [port = 0, adminPort = 0] = await freePorts(2);
  const kubeconfig = join(folder, 'logtender-webhook.kubeconfig');
  const process = webhookProcess({ name, folder, kubeconfig, config, port, adminPort, drain: DRAIN, server });
  await process.start();
  return { process, port, metrics: async () => String((await ask(`http://127.0.0.1:${adminPort}/metrics`)).body) };
}

async function pointTo(plane: ControlPlane, port: number): Promise<void> {
  const patch = [0, 1, 2, 3].map((i) => ({
    op: 'replace',
    path: `/webhooks/${i}/clientConfig/service/port`,
    value: port,
  }));
  const args = ['patch', 'mutatingwebhookconfiguration', 'logtender-injector', '--type=json'];
  await plane.kubectl([...args, '-p', JSON.stringify(patch)]);
}
