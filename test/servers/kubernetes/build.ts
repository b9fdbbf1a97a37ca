/**
 * The binaries of a Kubernetes control plane and of a node, built once from Go modules.
 *
 * go.mod beside this file pins everything, go.sum the content of it. The build uses a module cache and a build cache of its own
 * (3 GB) that are gone afterwards; modules that the user's own cache holds are taken from there. May import: node:, test/servers.
 */
import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cached, cacheKey, findCached, type Entry, type Preparation } from '../cache.ts';
import { findProgram, mustRun, run } from '../programs.ts';
import type { Availability } from '../server-kind.ts';

export const KUBERNETES_VERSION = 'v1.36.3';

/** Binary -> package. etcd first: where the proxy cannot be reached, it fails early. */
const PACKAGES: Readonly<Record<string, string>> = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  kubelet: 'k8s.io/kubernetes/cmd/kubelet',
  'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
};

/** About 600 CPU seconds; one slow core that also does other work gets there. */
const BUILD_MS_MAX = 40 * 60_000;
const ASK_MS_MAX = 60_000;
/** A linker takes 2 GB of memory: more at once would not fit a small machine. */
const PARALLEL_MAX = 8;

const REMEDY = 'install Go 1.26 or newer from https://go.dev/dl';

function linkerFlags(): string {
  const [major = '', minor = ''] = KUBERNETES_VERSION.slice(1).split('.');
  const facts: Readonly<Record<string, string>> = {
    gitVersion: KUBERNETES_VERSION,
    gitMajor: major,
    gitMinor: minor,
    gitCommit: 'unknown',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
  };
  // Both carry a copy: the server answers /version from one, clients name the other in their user agent.
  const rooms = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'];
  const values = rooms.flatMap((room) => Object.entries(facts).map(([name, value]) => `-X ${room}.${name}=${value}`));
  return ['-s', '-w', ...values].join(' ');
}

const textOf = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8');

function entry(): Entry {
  const packages = JSON.stringify(PACKAGES);
  const key = cacheKey(textOf('go.mod'), textOf('go.sum'), packages, linkerFlags(), process.platform, process.arch);
  return { name: 'kubernetes', key };
}

export async function kubernetesAvailability(cache: string): Promise<Availability> {
  if (findCached(cache, entry()) !== undefined) return { available: true, prepared: true };
  const go = findProgram('go');
  if (go === undefined)
    return { available: false, reason: 'Go was not found, which builds the control plane', remedy: REMEDY };
  const { stdout } = await run(go, ['env', 'GOVERSION', 'GOTOOLCHAIN'], { cwd: '/', timeoutMs: ASK_MS_MAX });
  const [version = '', toolchain = ''] = stdout.split('\n');
  if (canBuild(version, toolchain)) return { available: true, prepared: false };
  return {
    available: false,
    reason: `Go 1.26 or newer is needed to build the control plane, found ${version}`,
    remedy: REMEDY,
  };
}

/** Go since 1.21 fetches the toolchain that go.mod asks for, unless GOTOOLCHAIN forbids it (https://go.dev/doc/toolchain). */
export function canBuild(version: string, toolchain: string): boolean {
  const match = /^go(\d+)\.(\d+)/.exec(version);
  if (match === null) return false;
  const minor = Number(match[1]) * 1000 + Number(match[2]);
  return minor >= 1026 || (minor >= 1021 && /(^|\+)(auto|path)$/.test(toolchain) && !toolchain.endsWith('path'));
}

/** The folder with the binaries of PACKAGES. */
export async function buildKubernetes({ cache, progress }: Preparation): Promise<string> {
  return cached(cache, entry(), async (target) => {
    const go = findProgram('go');
    if (go === undefined) throw new Error(`build kubernetes: expected go on PATH, got none (${REMEDY})`);
    progress(
      `kubernetes ${KUBERNETES_VERSION}: downloading about 130 MB of Go modules and compiling, about 10 CPU minutes`,
    );
    const scratch = join(target, 'scratch');
    mkdirSync(scratch);
    for (const name of ['go.mod', 'go.sum']) copyFileSync(join(import.meta.dirname, name), join(scratch, name));
    const environment = await buildEnvironment(go, scratch);
    for (const [binary, path] of Object.entries(PACKAGES)) {
      progress(`kubernetes ${KUBERNETES_VERSION}: building ${binary}`);
      const parallel = String(Math.min(availableParallelism(), PARALLEL_MAX));
      const flags = ['-mod=readonly', '-modcacherw', '-buildvcs=false', '-trimpath', '-p', parallel];
      await mustRun(go, ['build', ...flags, '-ldflags', linkerFlags(), '-o', join(target, binary), path], {
        cwd: scratch,
        env: environment,
        timeoutMs: BUILD_MS_MAX,
      });
    }
    rmSync(scratch, { recursive: true });
  });
}

async function buildEnvironment(go: string, scratch: string): Promise<Readonly<Record<string, string>>> {
  const { stdout } = await mustRun(go, ['env', 'GOMODCACHE', 'GOPROXY'], { cwd: scratch, timeoutMs: ASK_MS_MAX });
  const [modules = '', proxy = ''] = stdout.split('\n');
  // A module cache is itself a proxy (https://go.dev/ref/mod#goproxy-protocol): what is not in it comes from the user's proxy.
  const own = pathToFileURL(join(modules, 'cache/download')).href;
  return {
    CGO_ENABLED: '0',
    GOWORK: 'off',
    GOPROXY: [own, proxy].filter((part) => part !== '').join(','),
    GOMODCACHE: join(scratch, 'modules'),
    GOCACHE: join(scratch, 'build'),
  };
}
