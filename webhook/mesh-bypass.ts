/**
 * The way past a mesh proxy that ends before the sidecar has sent its last lines: ports of the sinks, taken out of the mesh by the
 * annotation that the mesh reads.
 *
 * Pure. Only where the operator switched it on, because the ports are taken from the whole pod, and only where it works: a mesh reads
 * these annotations when the pod's network is set up, which is after admission with the mesh's CNI plugin, and before us with its init
 * container, whose arguments are written already. Sources: Istio reference, "Resource Annotations", and "Install the Istio CNI node
 * agent"; Linkerd reference, "Proxy Configuration", and "CNI Plugin". May import: core, config.
 */
import type { SinkName } from '../src/config/forwarder-config.ts';
import type { WebhookConfig } from '../src/config/webhook-config.ts';
import { FOREIGN_ANNOTATION } from './names.ts';
import type { PodView } from './pod.ts';

export interface MeshBypass {
  /** The annotation that the pod's mesh reads. */
  readonly annotation: string;
  /** Ports of the sinks as text, ascending. */
  readonly ports: readonly string[];
}

/** Proxy among the containers, init container that redirects by itself, annotation. */
const MESHES = [
  { proxy: 'istio-proxy', redirector: 'istio-init', annotation: FOREIGN_ANNOTATION.istioPorts },
  { proxy: 'linkerd-proxy', redirector: 'linkerd-init', annotation: FOREIGN_ANNOTATION.linkerdPorts },
] as const;

/** The way past the plain proxy of a pod; undefined where none is wanted, needed or possible. */
export function meshBypass(
  pod: PodView,
  sinks: readonly SinkName[],
  config: Pick<WebhookConfig, 'meshBypass' | 'elasticsearchUrl' | 'cloudwatchEndpoint' | 's3'>,
): MeshBypass | undefined {
  if (!config.meshBypass) return undefined;
  const has = (list: string, name: string): boolean =>
    pod.others.some((container) => container.list === list && container.name === name);
  const mesh = MESHES.find(({ proxy }) => has('containers', proxy));
  if (mesh === undefined || has('initContainers', mesh.redirector)) return undefined;
  const ports = sinks.map((sink) => portOf(sink, config));
  // A sink whose address stands in a Secret has a port that nobody here may know.
  if (ports.includes(undefined)) return undefined;
  const known = new Set(ports.filter((port) => port !== undefined && port !== 0).map(String));
  return known.size === 0 ? undefined : { annotation: mesh.annotation, ports: [...known].toSorted() };
}

function urlOf(
  sink: 'elasticsearch' | 'cloudwatch' | 's3',
  config: Pick<WebhookConfig, 'elasticsearchUrl' | 'cloudwatchEndpoint' | 's3'>,
): string | undefined {
  if (sink === 'elasticsearch') return config.elasticsearchUrl;
  return (sink === 's3' ? config.s3.endpoint : config.cloudwatchEndpoint) ?? 'https://aws';
}

/** Port of a sink: 0 for one without network, undefined for one whose address is not in the configuration. */
function portOf(
  sink: SinkName,
  config: Pick<WebhookConfig, 'elasticsearchUrl' | 'cloudwatchEndpoint' | 's3'>,
): number | undefined {
  if (sink === 'console' || sink === 'file') return 0;
  const url = urlOf(sink, config);
  const parsed = url === undefined ? null : URL.parse(url);
  if (parsed === null) return undefined;
  return parsed.port === '' ? (parsed.protocol === 'https:' ? 443 : 80) : Number(parsed.port);
}
