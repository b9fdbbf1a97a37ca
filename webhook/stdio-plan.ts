/**
 * Whether and by which way stdout and stderr of which containers are shipped.
 *
 * Pure. `node` needs the operator's word and a namespace whose Pod Security lets hostPath through; `api` a token with which our container
 * may read the log of its own pod; `auto` is `api` where the pod will run under the account that `logtender namespace` makes, else off with
 * a warning. What cannot be had is off, never the pod refused. May import: core, config.
 */
import { nearest } from '../src/config/fields.ts';
import { ACCOUNT_TOKEN_DIR, STDIO_DIR } from '../src/config/stdio-config.ts';
import type { StdioConfig, StdioWay } from '../src/config/stdio-config.ts';
import type { WebhookConfig } from '../src/config/webhook-config.ts';
import type { Finding } from './finding.ts';
import type { JsonObject } from './json.ts';
import { FORWARDER_ACCOUNT, PATHS, POD_SECURITY_ENFORCE, VOLUME } from './names.ts';
import { userContainers } from './pod.ts';
import type { PodView } from './pod.ts';
import type { AccountDecision } from './service-account.ts';
import type { Settings } from './settings.ts';

export interface StdioPlan {
  /** What the forwarder is told; undefined where nothing is shipped. */
  readonly stdio: StdioConfig | undefined;
  /** Our container gets a token of the pod's own account, at the path of our other tokens; with a switch it has the new one's anyway. */
  readonly needsOwnToken: boolean;
  readonly findings: readonly Finding[];
}

export interface StdioFacts {
  readonly pod: PodView;
  readonly settings: Settings;
  readonly account: AccountDecision;
  /** Labels of the namespace. */
  readonly labels: ReadonlyMap<string, string>;
  readonly config: WebhookConfig;
}

/** The pod's directory of the node: `<namespace>_<name>_<uid>`, which only the kubelet knows in time. */
const POD_DIRECTORY = '$(POD_NAMESPACE)_$(POD_NAME)_$(POD_UID)';
const NODE_LOGS = '/var/log/pods';

/** Pod Security Standards, "Baseline": hostPath volumes are forbidden; "Restricted" is stricter. */
const WITHOUT_HOST_PATH: ReadonlySet<string> = new Set(['baseline', 'restricted']);

/** Decides. */
export function planStdio(facts: StdioFacts): StdioPlan {
  const { settings } = facts;
  const findings: Finding[] = [];
  const way = wayOf(facts, findings);
  if (way === undefined) return { stdio: undefined, needsOwnToken: false, findings };
  const containers = containersOf(facts, findings);
  if (containers.length === 0) return { stdio: undefined, needsOwnToken: false, findings };
  const needsOwnToken = way === 'api' && facts.account.action !== 'switch';
  if (needsOwnToken && settings.stdout === 'api' && facts.account.account !== FORWARDER_ACCOUNT)
    findings.push({ code: 'stdio_account_unsure', key: 'stdout' });
  const tokenDir = needsOwnToken ? PATHS.token : ACCOUNT_TOKEN_DIR;
  return { stdio: { way, containers, tokenDir }, needsOwnToken, findings };
}

/** The volume and the mount of the node's files: of all pods' directories our container sees this pod's alone, and only to read. */
export function nodeLogs(): { readonly volume: JsonObject; readonly mount: JsonObject } {
  return {
    volume: { name: VOLUME.stdio, hostPath: { path: NODE_LOGS, type: 'Directory' } },
    mount: { name: VOLUME.stdio, mountPath: STDIO_DIR, readOnly: true, subPathExpr: POD_DIRECTORY },
  };
}

function wayOf({ settings, account, labels, config }: StdioFacts, findings: Finding[]): StdioWay | undefined {
  if (settings.stdout === 'off') return undefined;
  if (settings.stdout === 'node') {
    const level = labels.get(POD_SECURITY_ENFORCE);
    const isForbidden = level !== undefined && WITHOUT_HOST_PATH.has(level);
    if (config.stdoutNode && !isForbidden) return 'node';
    if (!config.stdoutNode) findings.push({ code: 'stdio_node_not_allowed', key: 'stdout' });
    else findings.push({ code: 'stdio_node_forbidden', key: 'stdout', detail: `${POD_SECURITY_ENFORCE} is ${level}` });
    return undefined;
  }
  if (settings.stdout === 'api' || account.account === FORWARDER_ACCOUNT) return 'api';
  findings.push({ code: 'stdio_not_shipped', key: 'stdout' });
  return undefined;
}

/** Those that were named, else all of the user's, init containers included. */
function containersOf({ pod, settings }: StdioFacts, findings: Finding[]): readonly string[] {
  const named = settings.containers;
  if (named === undefined) return userContainers(pod).map(({ name }) => name);
  const names = pod.others.map(({ name }) => name);
  for (const name of named) {
    if (names.includes(name)) continue;
    const near = nearest(name, names);
    const hint = near === undefined ? '' : `, did you mean ${near}?`;
    const detail = `expected among ${names.join(', ')}, got ${name}${hint}`;
    findings.push({ code: 'unknown_container', key: 'containers', detail });
  }
  return names.filter((name) => named.includes(name));
}
