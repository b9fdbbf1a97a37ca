/**
 * The example of `npm run cluster`: an application that writes numbered lines into a file, the annotation that asks for logtender, and
 * the lines as they arrive in the sidecar's output (sink `console`: nothing else has to run).
 *
 * May import: test/cluster-real.
 */
import type { Kubectl } from './kubectl.ts';

export const EXAMPLE_NAMESPACE = 'logtender-example';
const LABEL = 'app=shop';

/** The application: our own image has Node, so nothing else has to be pulled. Argument: lines to write; 0 for no end. */
const APP = `
const fs = require('node:fs');
const [limit] = process.argv.slice(1).map(Number);
let number = 0;
const timer = setInterval(() => {
  if (limit > 0 && number >= limit) return;
  fs.appendFileSync('/var/log/shop/shop.log', new Date().toISOString() + ' order ' + String(number).padStart(6, '0') + ' accepted\\n');
  number += 1;
}, 50);
process.once('SIGTERM', () => { clearInterval(timer); process.exit(0); });
`;

/** Namespace and Deployment. @param lines that the application writes; 0 for no end */
export function exampleObjects(image: string, lines: number): readonly unknown[] {
  const labels = { app: 'shop' };
  return [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: EXAMPLE_NAMESPACE,
        labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
      },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'shop', namespace: EXAMPLE_NAMESPACE },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: {
            labels,
            annotations: {
              'logging.io/inject': 'true',
              'logging.io/files': '/var/log/shop/*.log',
              'logging.io/stdout': 'off',
              'logging.io/sink': 'console',
            },
          },
          spec: {
            terminationGracePeriodSeconds: 10,
            securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
            containers: [
              {
                name: 'shop',
                image,
                args: ['-e', APP, '--', String(lines)],
                securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
                resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '128Mi' } },
              },
            ],
          },
        },
      },
    },
  ];
}

/** Creates it and waits until its pod is Ready; gives the pod's name. */
export async function deployExample(kubectl: Kubectl, image: string, lines: number): Promise<string> {
  const list = { apiVersion: 'v1', kind: 'List', items: exampleObjects(image, lines) };
  await kubectl.run(['apply', '-f', '-'], { input: list });
  await kubectl.run(['rollout', 'status', 'deployment/shop', '-n', EXAMPLE_NAMESPACE, '--timeout=120s']);
  const name = await kubectl.run([
    'get',
    'pods',
    '-n',
    EXAMPLE_NAMESPACE,
    '-l',
    LABEL,
    '-o',
    'jsonpath={.items[0].metadata.name}',
  ]);
  return name.trim();
}

export async function removeExample(kubectl: Kubectl): Promise<void> {
  await kubectl.run(['delete', 'namespace', EXAMPLE_NAMESPACE, '--ignore-not-found', '--wait=true']);
}

/** Number of the line in a record that the sidecar printed; undefined for anything else it prints. */
export function lineNumberOf(record: string): number | undefined {
  const match = /order (\d{6}) accepted/.exec(record);
  return match === null ? undefined : Number(match[1]);
}
