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
import { createEventWriter, MESSAGE_CHARS_MAX } from '../src/kube/events.ts';
import { findingLabel, isTelling } from './finding.ts';
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
      const { apiVersion, kind, name, uid } = owner;
      writer.say({
        namespace,
        regarding: { apiVersion, kind, name, uid },
        // Injected as asked: there is something to know, nothing to repair.
        type: reason === 'injected' ? 'Normal' : 'Warning',
        reason: eventReason(reason),
        message: messageOf(reason, findings),
      });
    },
    close: () => writer.close(),
  };
}

/** What was decided, then each finding by its label with what it means and what to do, as many as there is room for. */
function messageOf(reason: ReasonCode, findings: readonly Finding[]): string {
  const told = findings.filter((finding) => isTelling(finding) && finding.code !== reason);
  const texts = [...new Set(told.map((finding) => `${findingLabel(finding)}: ${reasonText(finding.code)}`))];
  let message = reasonText(reason);
  for (const [i, text] of texts.entries()) {
    const more = `; and ${texts.length - i} more`;
    if (`${message}; ${text}${more}`.length > MESSAGE_CHARS_MAX) return `${message}${more}`;
    message = `${message}; ${text}`;
  }
  return message;
}
