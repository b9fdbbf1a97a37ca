/**
 * One installation under load with everything that judges it: the load, the API servers' own counters, the rotations that were seen.
 *
 * Two API servers on one etcd with caches of their own, webhook replicas behind one address, certificate managers; pods are created
 * all the while in namespaces whose failure policy is `fail`. May import: src, test/servers, test/cluster, test/soak.
 */
import assert from 'node:assert/strict';
import { systemClock } from '../../src/core/clock.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { createKubeClient } from '../../src/kube/http-client.ts';
import { corePath } from '../../src/kube/paths.ts';
import { createFleet } from '../cluster/fleet.ts';
import type { Fleet, FleetOptions } from '../cluster/fleet.ts';
import { eventually } from '../cluster/installation.ts';
import type { ApiServer } from '../servers/kubernetes/api-server.ts';
import type { ControlPlane } from '../servers/servers.ts';
import { LOAD_NAMESPACES, loadPod, startLoad } from './admission-load.ts';
import type { AdmissionLoad, LoadCounts } from './admission-load.ts';
import { createMeter } from './admission-meter.ts';
import type { AdmissionFailures, AdmissionMeter } from './admission-meter.ts';
import { watchRotations } from './rotation-watch.ts';
import type { RotationCounts, RotationWatch } from './rotation-watch.ts';

export interface SoakSession {
  readonly plane: ControlPlane;
  readonly fleet: Fleet;
  /** As admin, one for each API server. */
  readonly clients: readonly KubeClient[];
  readonly rotations: RotationWatch;
  /** Starts the fleet where it was never started, and waits until pods can be created in the namespaces of the load over every API server. */
  prepare(): Promise<void>;
  /** The same, then begins a load. */
  begin(): Promise<{ readonly load: AdmissionLoad; readonly meter: AdmissionMeter }>;
  stop(): Promise<void>;
}

export interface SessionOptions extends FleetOptions {
  readonly perSecond: number;
  readonly onRotation?: (counts: RotationCounts) => void;
}

/** What a session comes to. */
export interface SoakFigures {
  readonly rotations: number;
  readonly creations: number;
  /** Creations that failed, or calls of the webhook that the API servers count as failed, whichever is more. */
  readonly failed: number;
  readonly fail_open: number;
}

/** Applies the manifests; nothing runs yet. */
export async function createSession(plane: ControlPlane, options: SessionOptions): Promise<SoakSession> {
  const clients = plane.apiServers.map((server) => adminClient(plane, server));
  const last = clients.at(-1);
  assert(last !== undefined, 'a control plane has an API server');
  const fleet = await createFleet(plane, options);
  // Over the last API server: a test that takes one away takes the first.
  const rotations = watchRotations({
    client: last,
    namespace: 'logtender',
    name: 'logtender-ca',
    ...(options.onRotation === undefined ? {} : { onChange: options.onRotation }),
  });
  const prepare = async (): Promise<void> => {
    if (fleet.webhooks.length === 0) await fleet.start();
    await makeNamespaces(plane, clients);
  };
  return {
    plane,
    fleet,
    clients,
    rotations,
    prepare,
    begin: async () => {
      await prepare();
      const meter = await createMeter(plane.apiServers);
      const load = startLoad({ clients, clock: systemClock, perSecond: options.perSecond });
      return { load, meter };
    },
    stop: async () => {
      await rotations.close();
      await fleet.stop();
      for (const client of clients) client.close();
    },
  };
}

/** The figures of a load that has ended. */
export function figuresOf(rotations: RotationCounts, counts: LoadCounts, growth: AdmissionFailures): SoakFigures {
  return {
    rotations: rotations.rotations,
    creations: counts.creations,
    failed: Math.max(counts.refused + counts.bare + counts.unanswered, growth.callErrors),
    fail_open: growth.failOpen,
  };
}

/** Requests as a member of system:masters. */
export function adminClient(plane: ControlPlane, server: ApiServer): KubeClient {
  const credentials = { headers: { authorization: `Bearer ${plane.adminToken}` }, ca: plane.ca };
  return createKubeClient({
    server: new URL(server.url),
    namespace: undefined,
    credentials: () => Promise.resolve(credentials),
  });
}

/** The namespaces of the load; each API server knows them, their accounts and the webhook when this resolves. */
export async function makeNamespaces(plane: ControlPlane, clients: readonly KubeClient[]): Promise<void> {
  for (const { name, labels } of LOAD_NAMESPACES) {
    const manifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
    await plane.kubectl(['apply', '-f', '-'], { input: manifest });
    for (const client of clients) {
      await eventually(`a pod in ${name}`, async () => {
        const created = await client.create(corePath(name, 'pods'), loadPod(0), { query: { dryRun: 'All' } });
        return created.ok ? true : undefined;
      });
    }
  }
}
