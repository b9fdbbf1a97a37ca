/**
 * AdmissionReviews as an API server sends them for pods that ask for the sidecar, of a given size.
 *
 * The pods are of many workloads that annotate in a few ways, as those of a cluster are: what the webhook remembers of one helps with the
 * next to the extent to which it does there, and no two requests in a row are alike.
 */
export interface PodShape {
  readonly name: string;
  readonly containers: number;
  readonly envPerContainer: number;
  /** Bytes in a field that nobody knows. */
  readonly paddingBytes: number;
}

export const SHAPES: readonly PodShape[] = [
  { name: '2x5', containers: 2, envPerContainer: 5, paddingBytes: 0 },
  { name: '10x40', containers: 10, envPerContainer: 40, paddingBytes: 0 },
  { name: '1x2000', containers: 1, envPerContainer: 2_000, paddingBytes: 0 },
  { name: '100x40+16k', containers: 100, envPerContainer: 40, paddingBytes: 16 * 1024 },
];

const WORKLOADS = 64;
const WAYS = 8;

/** One body for each workload. */
export function reviewBodies(shape: PodShape, namespace: string): readonly Buffer[] {
  return Array.from({ length: WORKLOADS }, (_, n) => reviewBody(shape, namespace, n));
}

function reviewBody(shape: PodShape, namespace: string, workload: number): Buffer {
  const containers = Array.from({ length: shape.containers }, (_, i) => ({
    name: `app-${i}`,
    image: `registry.example/app-${workload}:${i}`,
    env: Array.from({ length: shape.envPerContainer }, (_, n) => ({ name: `VARIABLE_${n}`, value: `value ${n}` })),
    resources: { requests: { cpu: '100m', memory: '128Mi' } },
    ...(shape.paddingBytes === 0 ? {} : { futureField: 'x'.repeat(i === 0 ? shape.paddingBytes : 0) }),
  }));
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `web-${workload}-5d4f8c7b9-`,
      namespace,
      labels: { app: `web-${workload}`, 'pod-template-hash': '5d4f8c7b9' },
      annotations: {
        'logging.io/inject': 'true',
        'logging.io/files': `/var/log/app-${workload % WAYS}/*.log`,
        'logging.io/sink': 'elasticsearch',
      },
    },
    spec: { serviceAccountName: 'default', containers },
  };
  const review = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: `a0000000-0000-4000-8000-${String(workload).padStart(12, '0')}`,
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace,
      operation: 'CREATE',
      dryRun: false,
      userInfo: { username: 'system:serviceaccount:kube-system:replicaset-controller' },
      object,
    },
  };
  return Buffer.from(JSON.stringify(review));
}
