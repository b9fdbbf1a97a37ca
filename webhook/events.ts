/**
 * Events on the owner of a pod: what people see who look at the Deployment's ReplicaSet and not at the pod.
 *
 * Invariants: never under dry run; what src/kube/events.ts says of bounds; no value of an annotation, only codes and keys.
 * May import: core, config, kube.
 */
import type { Clock } from '../src/core/clock.ts';
import type { Log } from '../src/core/log.ts';
import type { Metrics } from '../src/core/metrics.ts';
import type { KubeClient } from '../src/kube/client.ts';
import { createEventWriter } from '../src/kube/events.ts';
import { findingLabel, isDegrading } from './finding.ts';
import type { Finding } from './finding.ts';
import type { PodView } from './pod.ts';
import { eventReason, reasonText } from './reasons.ts';
import type { ReasonCode } from './reasons.ts';

export interface Announcement {
  readonly namespace: string;
  readonly owner: NonNullable<PodView['owner']>;
  readonly reason: ReasonCode;
  readonly findings: readonly Finding[];
}

export interface Events {
  /** Takes note and returns at once. */
  announce(announcement: Announcement): void;
  /** Resolves when what is under way has ended. */
  close(): Promise<void>;
}

/** Events through the API. */
export function createEvents(options: {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}): Events {
  const writer = createEventWriter({ ...options, component: 'logtender-webhook' });
  return {
    announce: ({ namespace, owner, reason, findings }) => {
      const labels = labelsOf(findings);
      const { apiVersion, kind, name, uid } = owner;
      writer.say({
        namespace,
        regarding: { apiVersion, kind, name, uid },
        type: 'Warning',
        reason: eventReason(reason),
        message: `${reasonText(reason)}${labels === '' ? '' : ` (${labels})`}`,
      });
    },
    close: () => writer.close(),
  };
}

function labelsOf(findings: readonly Finding[]): string {
  return [...new Set(findings.filter(isDegrading).map(findingLabel))].join(', ');
}
