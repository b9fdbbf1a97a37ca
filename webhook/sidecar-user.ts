/**
 * As whom the sidecar runs: as the user who writes the files, where that is known and not root.
 *
 * Pure. Pod Security Standards, "Restricted"; OpenShift, "Managing security context constraints": a namespace has users of its own, and
 * a container that names another is refused. Where no user is known the pod's fsGroup, which every container has, and the modes of
 * the files decide. May import: core, config.
 */
import { integerAt, member, textAt } from './json.ts';
import type { JsonObject } from './json.ts';
import type { LogPlan } from './log-plan.ts';
import type { PodView } from './pod.ts';

/** The user of distroless images; anything but root and the users of the apps. */
const USER_UNKNOWN = 65_532;

/** The types that Pod Security `restricted` allows (Pod Security Standards, "SELinux"). */
export const SELINUX_TYPES: readonly string[] = [
  'container_t',
  'container_init_t',
  'container_kvm_t',
  'container_engine_t',
];

interface User {
  readonly user: number;
  readonly group: number | undefined;
}

interface Writer extends User {
  readonly container: JsonObject;
}

/** The security context of our container. */
export function securityContext(
  pod: PodView,
  plan: LogPlan,
  { namespaceUsers, isNode }: { readonly namespaceUsers: string | undefined; readonly isNode: boolean },
): JsonObject {
  const writer = writerOf(pod, plan);
  // Users of its own map the first 65,536 users alone (user_namespaces(7); Kubernetes, "User Namespaces"), and the range lies above.
  const range = member(pod.spec, 'hostUsers') === false ? undefined : namespaceUsers;
  const { user, group } = writer ?? userOf(range);
  const seLinuxOptions = seLinuxOptionsOf(writer?.container ?? plan.sources[0]?.raw);
  return {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    readOnlyRootFilesystem: true,
    // The kubelet's log files are root's and its group's to read (0640).
    ...(isNode ? { runAsGroup: 0 } : group === undefined || group === 0 ? {} : { runAsGroup: group }),
    runAsNonRoot: true,
    runAsUser: user,
    ...(seLinuxOptions === undefined ? {} : { seLinuxOptions }),
    seccompProfile: { type: 'RuntimeDefault' },
  };
}

/** The first container with files to ship whose user is known; containers before init containers. */
function writerOf(pod: PodView, plan: LogPlan): Writer | undefined {
  const own = (source: JsonObject | undefined, key: string): number | undefined =>
    integerAt(source, 'securityContext', key) ?? integerAt(pod.spec, 'securityContext', key);
  for (const { raw } of plan.sources) {
    const user = own(raw, 'runAsUser');
    if (user !== undefined && user > 0) return { user, group: own(raw, 'runAsGroup'), container: raw };
  }
  return undefined;
}

/**
 * The first user of OpenShift's range, in its own group 0 as all users there; else one that is nobody's.
 *
 * @param range `FIRST/COUNT` or `FIRST-LAST`, as the annotation of the namespace has it
 */
function userOf(range: string | undefined): User {
  const first = Number(/^(\d{1,10})(?:[/-]\d{1,10})$/.exec(range ?? '')?.[1]);
  return first > 0 ? { user: first, group: undefined } : { user: USER_UNKNOWN, group: USER_UNKNOWN };
}

/**
 * The SELinux options that the writer has beside those of the pod (which are ours as well): with another level its files would be
 * unreadable. User, role and types that Pod Security `restricted` refuses stay away.
 */
function seLinuxOptionsOf(container: JsonObject | undefined): JsonObject | undefined {
  const level = textAt(container, 'securityContext', 'seLinuxOptions', 'level') ?? '';
  const type = textAt(container, 'securityContext', 'seLinuxOptions', 'type') ?? '';
  const options = {
    ...(level === '' ? {} : { level }),
    ...(SELINUX_TYPES.includes(type) ? { type } : {}),
  };
  return Object.keys(options).length === 0 ? undefined : options;
}
