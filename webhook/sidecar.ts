/**
 * Everything that an injected pod has and the original has not: our container, volumes, and mounts in the user's containers.
 *
 * Pure. Invariants: the container passes Pod Security `restricted`; it has no probe, so the app's readiness never depends on it;
 * references to Secrets only, never their values. May import: core, config.
 */
import type { WebhookConfig } from '../src/config/webhook-config.ts';
import type { Finding } from './finding.ts';
import type { JsonObject } from './json.ts';
import type { LogPlan } from './log-plan.ts';
import { meshBypass } from './mesh-bypass.ts';
import type { MeshBypass } from './mesh-bypass.ts';
import { CONTAINER, ENTRY_ARGS, NO_TOKEN_SUB_PATH, PATHS, VOLUME } from './names.ts';
import type { PodView } from './pod.ts';
import { nodeLogs } from './stdio-plan.ts';
import type { StdioPlan } from './stdio-plan.ts';
import { buildResources } from './resources.ts';
import type { Settings } from './settings.ts';
import type { Shape } from './shape.ts';
import { buildEnv } from './sidecar-env.ts';
import type { Destinations } from './sidecar-env.ts';
import { securityContext } from './sidecar-user.ts';
import type { SubPath } from './sub-path.ts';
import { positionsMountPath } from './volume-positions.ts';
import type { VolumePart } from './volume-positions.ts';

export interface UserMount {
  readonly container: string;
  readonly mount: JsonObject;
}

export interface Parts {
  readonly shape: Shape['shape'];
  readonly container: JsonObject;
  readonly volumes: readonly JsonObject[];
  readonly userMounts: readonly UserMount[];
  readonly destinations: Destinations;
  /** Pull secrets that the pod should have beside its own. */
  readonly pullSecrets: readonly string[];
  readonly bypass: MeshBypass | undefined;
  readonly findings: readonly Finding[];
}

/** What the ServiceAccount admission plugin asks for: an hour and seven seconds, so that ours can be told from the kubelet's. */
const TOKEN_SECONDS = 3_607;
/** amazon-eks-pod-identity-webhook's own default. */
const AWS_TOKEN_SECONDS = 86_400;

/** Builds the parts. */
export function buildSidecar(options: {
  readonly pod: PodView;
  readonly namespace: string;
  readonly settings: Settings;
  readonly plan: LogPlan;
  readonly stdio: StdioPlan;
  readonly shape: Shape['shape'];
  /** Containers with whose end ours has to end by itself. */
  readonly endsWith: readonly string[];
  readonly isAccountSwitched: boolean;
  /** OpenShift's users of the namespace, as its annotation has them. */
  readonly namespaceUsers: string | undefined;
  readonly config: WebhookConfig;
}): Parts {
  const { pod, settings, plan, shape, config, isAccountSwitched } = options;
  const { stdio, needsOwnToken } = options.stdio;
  const { env, destinations, findings } = buildEnv({ ...options, stdio });
  const node = stdio?.way === 'node' ? nodeLogs() : undefined;
  const resources = buildResources(pod, settings);
  const hasApiToken = isAccountSwitched || needsOwnToken;
  const hasToken = hasApiToken || settings.roleArn !== undefined;
  const container: JsonObject = {
    name: CONTAINER,
    image: settings.image,
    ...(config.imagePullPolicy === undefined ? {} : { imagePullPolicy: config.imagePullPolicy }),
    args: ENTRY_ARGS,
    env,
    resources: resources.resources,
    ...(shape === 'native' ? { restartPolicy: 'Always' } : {}),
    securityContext: securityContext(pod, plan, { namespaceUsers: options.namespaceUsers, isNode: node !== undefined }),
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    volumeMounts: [
      ...plan.mounts.map((mount) => ({
        name: mount.volume,
        mountPath: mount.path,
        readOnly: true,
        ...subPathFields(mount.part),
      })),
      ...(node === undefined ? [] : [node.mount]),
      ...plan.positions.map(positionsMount),
      { name: VOLUME.state, mountPath: PATHS.state },
      { name: VOLUME.secret, mountPath: PATHS.secret, readOnly: true },
      ...(settings.roleArn === undefined && !needsOwnToken
        ? []
        : [{ name: VOLUME.token, mountPath: PATHS.token, readOnly: true }]),
      isAccountSwitched
        ? { name: VOLUME.token, mountPath: PATHS.serviceAccount, readOnly: true }
        : { name: VOLUME.state, mountPath: PATHS.serviceAccount, subPath: NO_TOKEN_SUB_PATH, readOnly: true },
    ],
  };
  const volumes: JsonObject[] = [
    ...(plan.shared.length === 0 ? [] : [{ name: VOLUME.logs, emptyDir: {} }]),
    { name: VOLUME.state, emptyDir: {} },
    { name: VOLUME.secret, secret: { secretName: settings.sinkSecret, optional: true } },
    ...(hasToken ? [tokenVolume(hasApiToken, settings.roleArn !== undefined)] : []),
    ...(node === undefined ? [] : [node.volume]),
  ];
  const userMounts = plan.shared.map(({ container: name, directory, subPath }) => ({
    container: name,
    mount: { name: VOLUME.logs, mountPath: directory, subPath },
  }));
  return {
    shape,
    container,
    volumes,
    userMounts,
    destinations,
    pullSecrets: config.imagePullSecrets,
    bypass: meshBypass(pod, settings.sinks, config),
    findings: [...findings, ...resources.findings],
  };
}

/**
 * The same part that the app has, for writing. Not a subPath of its own: the kubelet would have to make that directory, and where it cannot
 * (a full disk, NFS with root_squash) the container would not start, and with it the app.
 */
function positionsMount(part: VolumePart): JsonObject {
  return { name: part.volume, mountPath: positionsMountPath(part), ...subPathFields(part.part) };
}

function subPathFields({ subPath, subPathExpr }: SubPath): JsonObject {
  return { ...(subPath === undefined ? {} : { subPath }), ...(subPathExpr === undefined ? {} : { subPathExpr }) };
}

/** What the ServiceAccount admission plugin would mount, for our container alone; and a token that AWS STS takes. */
function tokenVolume(hasApi: boolean, hasRole: boolean): JsonObject {
  const api: readonly JsonObject[] = [
    { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: 'token' } },
    // Optional, unlike the plugin's: a cluster without the ConfigMap must not keep the app from starting.
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }], optional: true } },
    {
      downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] },
    },
  ];
  const aws: readonly JsonObject[] = [
    { serviceAccountToken: { audience: 'sts.amazonaws.com', expirationSeconds: AWS_TOKEN_SECONDS, path: 'aws' } },
  ];
  return { name: VOLUME.token, projected: { sources: [...(hasApi ? api : []), ...(hasRole ? aws : [])] } };
}
