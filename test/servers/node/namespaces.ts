/**
 * The node's own namespaces: mounts, processes, network, host name. What runs in them ends with the first process, and so do they.
 *
 * Invariants: the machine's mounts and sysctls stay as they are: /run, /var/lib and /var/log are the node's own, and the three
 * settings that a kubelet would change are covered by files. The machine's network gets one link and one route, which go with the node.
 * May import: node:, src/core, test/servers.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ManagedProcess } from '../managed-process.ts';
import { findProgram, mustRun, run, type Outcome, type RunOptions } from '../programs.ts';
import type { Addresses } from './addresses.ts';
import { createDisk, mountDisk } from './disk.ts';

const STEP_MS_MAX = 60_000;
/** Settings of the whole machine that a kubelet sets at its start (kubernetes/pkg/kubelet/cm, setupKernelTunables). */
const COVERED_SETTINGS = ['vm/overcommit_memory', 'kernel/panic', 'kernel/panic_on_oops'];
/** What the values have to be for the kubelet to be content. */
const CONTENT: Readonly<Record<string, string>> = {
  'vm/overcommit_memory': '1',
  'kernel/panic': '10',
  'kernel/panic_on_oops': '1',
};
export const PROGRAMS_NEEDED = ['unshare', 'nsenter', 'setpriv', 'ip', 'mount', 'losetup', 'mkfs.ext4', 'sh'];

export interface Namespaces {
  /** Process 1 inside, as this machine numbers it. */
  firstPid(): number;
  /** The command line that runs a program inside: of nsenter(1), which ends the program when it is killed itself. */
  inside(program: string, args: readonly string[]): { readonly program: string; readonly args: readonly string[] };
  /** Runs a program inside to its end. */
  run(program: string, args: readonly string[], options: RunOptions): Promise<Outcome>;
  /** Ends everything inside. */
  stop(): Promise<void>;
}

/** Makes the namespaces. `init` is a program that reaps as process 1. */
export async function createNamespaces(options: {
  readonly work: string;
  readonly addresses: Addresses;
  readonly init: string;
  readonly hostName: string;
}): Promise<Namespaces> {
  const { work, addresses, init } = options;
  const kinds = ['--mount', '--pid', '--uts', '--ipc', '--net', '--fork', '--kill-child=KILL', '--mount-proc'];
  const first: ManagedProcess = new ManagedProcess({
    name: 'node-init',
    program: findProgram('unshare') ?? 'unshare',
    args: [...kinds, '--', init, 'init'],
    cwd: work,
    logFile: join(work, 'node-init.log'),
    ready: async (): Promise<boolean> => childOf(first.pid) !== undefined,
    readyMsMax: STEP_MS_MAX,
  });
  await first.start();
  const firstPid = (): number => childOf(first.pid) ?? 0;
  const inside: Namespaces['inside'] = (program, args) => ({
    program: findProgram('nsenter') ?? 'nsenter',
    args: [
      ...['--target', String(firstPid()), '--mount', '--pid', '--uts', '--ipc', '--net', '--'],
      ...[findProgram('setpriv') ?? 'setpriv', '--pdeathsig', 'KILL', '--', program, ...args],
    ],
  });
  const runInside: Namespaces['run'] = (program, args, runOptions) => {
    const command = inside(program, args);
    return run(command.program, command.args, runOptions);
  };
  const stop = (): Promise<void> => first.halt('SIGKILL');
  try {
    const disk = join(work, 'disk.ext4');
    createDisk(disk);
    await shell(runInside, 'prepare mounts', mountScript(work, disk, options.hostName));
    await connect(addresses, firstPid());
    await shell(runInside, 'prepare network', networkScript(addresses));
  } catch (error) {
    await stop();
    throw error;
  }
  return { firstPid, inside, run: runInside, stop };
}

async function shell(runInside: Namespaces['run'], what: string, script: string): Promise<void> {
  const { code, stderr } = await runInside('/bin/sh', ['-euc', script], { timeoutMs: STEP_MS_MAX });
  if (code !== 0) throw new Error(`${what} of the node: expected exit code 0, got ${code}: ${stderr.trim()}`);
}

function mountScript(work: string, disk: string, hostName: string): string {
  for (const name of COVERED_SETTINGS)
    writeFileSync(join(work, name.replace('/', '-')), `${CONTENT[name] ?? '0'}\n`, { mode: 0o644 });
  const covers = COVERED_SETTINGS.map(
    (name) => `mount --bind '${join(work, name.replace('/', '-'))}' /proc/sys/${name}`,
  );
  return `
mount -t tmpfs tmpfs /run
${mountDisk(disk, '/var/lib')}
mkdir -p /var/lib/log /var/lib/kubelet /var/lib/containerd
mount --bind /var/lib/log /var/log
mount --make-rshared /
${covers.join('\n')}
hostname '${hostName}'
`;
}

/** The link: one end here, the other given to the node. */
async function connect({ link, host, node, linkBits, route }: Addresses, pid: number): Promise<void> {
  const ip = (args: string): Promise<Outcome> => mustRun('ip', args.split(' '), { timeoutMs: STEP_MS_MAX });
  await ip(`link set ${link}n netns ${pid}`);
  await ip(`addr add ${host}/${linkBits} dev ${link}`);
  await ip(`link set ${link} up`);
  await ip(`route add ${route} via ${node} dev ${link}`);
}

/** Without a default route nothing leaves the machine. */
function networkScript({ link, node, linkBits }: Addresses): string {
  return `
ip link set lo up
ip link set ${link}n name eth0
ip addr add ${node}/${linkBits} dev eth0
ip link set eth0 up
echo 1 > /proc/sys/net/ipv4/ip_forward
`;
}

/** The one child of a process: unshare(1) with --fork has no other. */
function childOf(parent: number | undefined): number | undefined {
  if (parent === undefined) return undefined;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // proc(5): the parent is the second field behind the name, which stands in brackets and may hold anything.
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent) return Number(name);
    } catch {
      // It ended while we looked.
    }
  }
  return undefined;
}
