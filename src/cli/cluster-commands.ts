/**
 * The commands that look at a cluster, and their help.
 *
 * Each loads its own file when it runs, so that the others cost it nothing. May import: everything but test.
 */

export interface ClusterCommand {
  readonly usage: string;
  /** What `logtender help COMMAND` adds. */
  readonly details: string;
  readonly run: (args: readonly string[], write: (text: string) => void) => Promise<number>;
}

const SHARED = `  --kubeconfig FILE, --context NAME   as for kubectl; without them KUBECONFIG, then ~/.kube/config
  --logtender-namespace NAME, --instance SUFFIX   which install, where it is not the usual one
  -o text|json   JSON has more in it and keeps its names
`;

export const CLUSTER_COMMANDS: Readonly<Record<string, ClusterCommand>> = {
  explain: {
    usage:
      'explain KIND/NAME [-n NAMESPACE] [-o text|json]   why a pod has a sidecar or has none, and the one thing to do',
    details: `
Compares annotation, namespace, webhook configuration and what is there. KIND is pod, deployment, statefulset, daemonset, replicaset,
replicationcontroller, job or cronjob; of a workload its newest pod is looked at, or its template where it has none. Rights that are
missing are said, and the rest is judged without them. Exit 0 when nothing is to be done, 1 when something is, 2 when the cluster cannot
be read.

  -n, --namespace NAME   default: that of the context
${SHARED}`,
    run: async (args, write) => (await import('./explain.ts')).runExplain(args, write),
  },
  list: {
    usage: 'list [-n NAMESPACE | -A] [-o text|json]   pods that are injected, outdated, skipped or bare',
    details: `
injected: has the sidecar as it should be. outdated: has it, and a pod created now would get another one (version, configuration or
annotations of the namespace have changed). skipped: asked, has none, and its status says why. bare: asked, has none, and nothing says
why, as after an outage under failure-policy ignore. Pods that nobody asked for are counted and not listed; pods that have ended are
left out. Exit 0 whatever is found, 2 when the cluster cannot be read.

  -n, --namespace NAME   default: that of the context
  -A, --all-namespaces
${SHARED}`,
    run: async (args, write) => (await import('./list.ts')).runList(args, write),
  },
  certs: {
    usage:
      'certs status [-o text|json] | certs rotate [--leaf|--ca|--compromised] [--wait 5m]   certificates of the webhook',
    details: `
status: generations, ends, the step of the rotation and its age, who serves what, whether every entry of the webhook configuration
verifies it. No key is read. Exit 0 when all is in order or a rotation goes its way, 1 when a person has to look.

rotate: orders a rotation by an annotation on the Secret logtender-ca; certs does it in its own order, so that no call fails.
  --ca            a new CA and a leaf of it (default); the old CA is trusted until its last leaf has ended
  --leaf          a new leaf of the same CA
  --compromised   a new CA, and the old one distrusted as soon as every server has had the time to load the new leaf
  --wait 5m       waits until it is done; exit 1 when it is not done in time, which does not end the rotation
${SHARED}`,
    run: async (args, write) => (await import('./certs.ts')).runCerts(args, write),
  },
};
