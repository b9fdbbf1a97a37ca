/**
 * What the node's own log files of a namespace hold: the truth that lines which arrived are compared with.
 *
 * May import: node:, test.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RealCluster } from '../servers/servers.ts';

const PODS = '/var/log/pods';
/** Kubernetes, "Logging Architecture": `<time> <stream> <tag> <text>`. */
const CRI_LINE = /^\S+ (?:stdout|stderr) F /;

/** Lines of a container's files as they stand there, rotated ones too; none of them may be compressed or cut in parts. */
export function linesOnNode(cluster: RealCluster, namespace: string, container = 'app'): readonly string[] {
  const folders = logFolders(cluster, namespace, container);
  return folders.flatMap((folder) =>
    readdirSync(folder).flatMap((name) =>
      readFileSync(join(folder, name), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          if (!CRI_LINE.test(line)) throw new Error(`read ${name}: expected a whole line of a runtime, got ${line}`);
          return line.replace(CRI_LINE, '');
        }),
    ),
  );
}

/** How many files the kubelet has put aside of a container's log and still holds. */
export function rotationsOnNode(cluster: RealCluster, namespace: string, container = 'app'): number {
  const names = logFolders(cluster, namespace, container).flatMap((folder) => readdirSync(folder));
  return names.filter((name) => /^\d+\.log\.\d{8}-\d{6}/.test(name)).length;
}

function logFolders(cluster: RealCluster, namespace: string, container: string): readonly string[] {
  const root = cluster.nodePath(PODS);
  return readdirSync(root)
    .filter((name) => name.startsWith(`${namespace}_`))
    .map((name) => join(root, name, container));
}
