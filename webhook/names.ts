/**
 * Every name that we put into a user's pod, and the names of others that we must know.
 *
 * Invariant: nothing of ours has another name, so a second pass and `uninject` find it all. May import: core, config.
 */
import { DEFAULTS, FORWARDER_ENTRY, FORWARDER_NODE_FLAGS } from '../src/config/forwarder-config.ts';
import { ACCOUNT_TOKEN_DIR } from '../src/config/stdio-config.ts';

/** Prefix of every annotation and label of ours. */
export const PREFIX = 'logging.io/';

export const CONTAINER = 'logtender';
export const VOLUME = {
  logs: 'logtender-logs',
  state: 'logtender-state',
  secret: 'logtender-secret',
  token: 'logtender-token',
  stdio: 'logtender-stdio',
} as const;

/** The image's entrypoint is node; these are its flags and the bundle it runs. */
export const ENTRY_ARGS: readonly string[] = [...FORWARDER_NODE_FLAGS, FORWARDER_ENTRY];

/** Where our container sees things. */
export const PATHS = {
  logs: DEFAULTS.logsDir,
  state: DEFAULTS.stateDir,
  /** What the app mounts of persistent volumes, one below it for each, for the folders of positions in them. */
  positions: DEFAULTS.positionsMount,
  secret: DEFAULTS.sinkSecretDir,
  token: '/logtender/token',
  serviceAccount: ACCOUNT_TOKEN_DIR,
} as const;

/**
 * An empty directory of the volume of state, made by the kubelet, that our container has where a token of the app's account would be:
 * the ServiceAccount admission plugin runs again after us and mounts its token into every container that has nothing there
 * (kubernetes/kubernetes, plugin/pkg/admission/serviceaccount, mountServiceAccountToken). The forwarder has no use for it, and the change
 * would make the API server call us a second time.
 */
export const NO_TOKEN_SUB_PATH = 'no-token';

export const STATUS_ANNOTATION = `${PREFIX}status`;

/** Annotations of others that we extend or set, and nothing else of theirs. */
export const FOREIGN_ANNOTATION = {
  /** cluster-autoscaler FAQ, "What types of pods can prevent CA from removing a node?": comma list of volume names. */
  safeToEvict: 'cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes',
  /** kubernetes.io well-known annotations. */
  defaultContainer: 'kubectl.kubernetes.io/default-container',
  /** amazon-eks-pod-identity-webhook README: comma list of containers that get no AWS identity. */
  eksSkipContainers: 'eks.amazonaws.com/skip-containers',
  /** Istio reference, "Resource Annotations": comma list of ports that are not redirected to the proxy. */
  istioPorts: 'traffic.sidecar.istio.io/excludeOutboundPorts',
  /** Linkerd reference, "Proxy Configuration": the same. */
  linkerdPorts: 'config.linkerd.io/skip-outbound-ports',
  /** kubernetes.io well-known annotations: a static pod's mirror. */
  mirror: 'kubernetes.io/config.mirror',
} as const;

/** OpenShift's users of a namespace, `FIRST/COUNT`: nobody else is admitted (OpenShift, "Managing security context constraints"). */
export const NAMESPACE_USERS = 'openshift.io/sa.scc.uid-range';

/** Level of Pod Security that a namespace enforces (Kubernetes, "Enforce Pod Security Standards with Namespace Labels"). */
export const POD_SECURITY_ENFORCE = 'pod-security.kubernetes.io/enforce';

/** The account that `logtender namespace NAME` prints. */
export const FORWARDER_ACCOUNT = 'logtender-forwarder';

/** Containers of meshes: started before us, and never sources of the user's logs. */
export const MESH_CONTAINERS: ReadonlySet<string> = new Set([
  'istio-init',
  'istio-validation',
  'istio-proxy',
  'linkerd-init',
  'linkerd-network-validator',
  'linkerd-proxy',
  'kuma-init',
  'kuma-validation',
  'kuma-sidecar',
  'consul-connect-inject-init',
  'consul-dataplane',
]);

export function isMeshContainer(name: string): boolean {
  return MESH_CONTAINERS.has(name);
}
