/**
 * Events on the ConfigMap of the configuration: what `kubectl describe configmap` shows to whom changed it.
 *
 * Invariants: never in the way of a reload; only keys of the operator's own file and what was expected there are told, never a value, to those who may read Events of
 * our namespace. May import: core, config, kube.
 */
import type { Log } from '../src/core/log.ts';
import { METADATA_ONLY } from '../src/kube/client.ts';
import type { KubeClient } from '../src/kube/client.ts';
import type { EventWriter } from '../src/kube/events.ts';
import { corePath } from '../src/kube/paths.ts';
import type { ConfigNotice } from './config-source.ts';

export interface ConfigNoticesOptions {
  readonly client: KubeClient;
  readonly events: Pick<EventWriter, 'say'>;
  readonly log: Log;
  readonly namespace: string;
  /** Name of the ConfigMap. */
  readonly name: string;
}

const REASON = { refused: 'ConfigRefused', restart_needed: 'ConfigNeedsRestart' } as const;
const TIMEOUT_MS = 5_000;

/** A function that tells; it returns at once. */
export function createConfigNotices(options: ConfigNoticesOptions): (notice: ConfigNotice) => void {
  const { client, events, log, namespace, name } = options;
  const tell = async ({ kind, text }: ConfigNotice): Promise<void> => {
    // Events are found by the uid of their object. Without the right to ask for it the Event is still in the list of the namespace.
    const path = corePath(namespace, 'configmaps', name);
    const found = await client.get(path, { accept: METADATA_ONLY, timeoutMs: TIMEOUT_MS });
    if (!found.ok && found.kind === 'not_found') return log.debug('no ConfigMap to tell about', { name });
    const uid = found.ok ? found.value.metadata.uid : undefined;
    events.say({
      namespace,
      regarding: { apiVersion: 'v1', kind: 'ConfigMap', name, ...(uid === undefined ? {} : { uid }) },
      type: 'Warning',
      reason: REASON[kind],
      message: text,
    });
  };
  return (notice) => void tell(notice);
}
