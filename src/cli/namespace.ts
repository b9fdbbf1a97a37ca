/**
 * `logtender namespace NAME`: what the namespace of a user needs, as YAML for `kubectl apply -f -`.
 *
 * Pure but for the print. Invariants: rights inside the namespace alone; no credentials, the Secret is a form to fill in.
 * May import: core, config, webhook.
 */
import { FORWARDER_ACCOUNT } from '../../webhook/names.ts';
import { shown } from '../config/fields.ts';
import { SECRET_KEYS } from '../config/forwarder-config.ts';
import { OperationalError } from '../core/errors.ts';

/** RFC 1123 label, the form of a namespace's name (Kubernetes concepts, "Object Names and IDs"). */
const NAMESPACE = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/**
 * The manifests as text.
 *
 * @throws OperationalError USAGE when the name is none
 */
export function namespaceManifests(namespace: string): string {
  if (!NAMESPACE.test(namespace)) {
    const expected = 'expected lower case letters, digits and -, at most 63';
    throw new OperationalError('USAGE', `print namespace: ${expected}, got ${shown(namespace)}`, {
      hint: 'logtender namespace NAME | kubectl apply -f -',
    });
  }
  const documents = [account(namespace), role(namespace), binding(namespace), secret(namespace)];
  return `${header(namespace)}${documents.join('---\n')}`;
}

/**
 * Runs the command.
 *
 * @param args what stands after `namespace` on the command line
 * @throws OperationalError USAGE for anything but one name
 */
export function runNamespace(args: readonly string[], write: (text: string) => void): void {
  const [name] = args;
  if (name === undefined || args.length !== 1) {
    throw new OperationalError('USAGE', `print namespace: expected one name, got ${args.length} arguments`, {
      hint: 'logtender namespace NAME | kubectl apply -f -',
    });
  }
  write(namespaceManifests(name));
}

function header(namespace: string): string {
  return `# What namespace ${namespace} needs for logtender: logtender namespace ${namespace} | kubectl apply -f -
# Every pod of the namespace is injected with: kubectl label namespace ${namespace} logging.io/inject=true
# Pods that run as default are switched to this account with: kubectl annotate namespace ${namespace} logging.io/service-account=${FORWARDER_ACCOUNT}
# A LimitRange or ResourceQuota of the namespace may refuse pods because of the sidecar, which asks for little and has no CPU limit
# ("minimum memory usage per Container is ...", "must specify limits.cpu"). Give it what they want, for example:
#   kubectl annotate namespace ${namespace} logging.io/cpu-request=50m logging.io/cpu-limit=200m
#   kubectl annotate namespace ${namespace} logging.io/memory-request=64Mi logging.io/memory-limit=64Mi
`;
}

function account(namespace: string): string {
  return `apiVersion: v1
kind: ServiceAccount
metadata:
  name: ${FORWARDER_ACCOUNT}
  namespace: ${namespace}
# Only the sidecar gets a token of it, by a volume of its own.
automountServiceAccountToken: false
`;
}

function role(namespace: string): string {
  return `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: ${FORWARDER_ACCOUNT}
  namespace: ${namespace}
rules:
  # For stdout and stderr through the API (logging.io/stdout: api, or auto with this account). Leave it out where files alone are shipped.
  - apiGroups: ['']
    resources: [pods/log]
    verbs: [get]
  # For Jobs where nodes know no native sidecars: the sidecar sees when the other containers have ended, and ends too.
  - apiGroups: ['']
    resources: [pods]
    verbs: [get]
`;
}

function binding(namespace: string): string {
  return `apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: ${FORWARDER_ACCOUNT}
  namespace: ${namespace}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: ${FORWARDER_ACCOUNT}
subjects:
  - kind: ServiceAccount
    name: ${FORWARDER_ACCOUNT}
    namespace: ${namespace}
`;
}

function secret(namespace: string): string {
  const keys = Object.entries(SECRET_KEYS).map(([key, meaning]) => `  # ${meaning}\n  # ${key}: ''\n`);
  return `# Credentials of the sinks: fill in what is needed and remove the rest. A missing Secret never keeps a pod from starting.
apiVersion: v1
kind: Secret
metadata:
  name: logtender-sink
  namespace: ${namespace}
type: Opaque
stringData:
${keys.join('')}`;
}
