/**
 * The annotation `logging.io/status`: what was decided and why, for people (`kubectl describe pod`) and for uninject.
 *
 * Invariants: it is written by us and believed by nobody for a decision; only the originals are read back, and only where our own
 * container stands in the pod; the same pod gives the same text, so a second pass changes nothing. May import: core, config.
 */
import type { Decision } from './decision.ts';
import type { Finding } from './finding.ts';
import { findingText } from './finding.ts';
import { at, isObject, member, textAt } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import { FOREIGN_ANNOTATION, STATUS_ANNOTATION, VOLUME } from './names.ts';
import type { PodView } from './pod.ts';
import { reasonText } from './reasons.ts';
import { isAutomaticTokenVolume, isSwitched } from './service-account.ts';
import type { AccountDecision } from './service-account.ts';
import type { Settings } from './settings.ts';
import type { Shape } from './shape.ts';
import type { Parts } from './sidecar.ts';

/** Findings that a status lists; the rest is counted. */
const FINDINGS_MAX = 12;

/** `kubectl describe` cuts each line of an annotation at 138 characters (kubectl, printAnnotationsMultiline: 140 less the indent). */
const LINE_CHARS_MAX = 138;

/** Everything that the status of an injected pod tells. */
export interface Injected {
  readonly settings: Settings;
  readonly shape: Shape;
  readonly account: AccountDecision;
  readonly parts: Parts;
}

/** The status as JSON, in lines that `kubectl describe` shows whole where a value's own length lets it. */
export function statusText(options: {
  readonly pod: PodView;
  readonly decision: Decision;
  readonly findings: readonly Finding[];
  readonly version: string;
  readonly injected: Injected | undefined;
}): string {
  const { decision, findings, injected, version } = options;
  const shown = findings.slice(0, FINDINGS_MAX).map((finding) => ({ code: finding.code, text: findingText(finding) }));
  const status: JsonObject = {
    decision: wordOf(decision),
    reason: decision.reason,
    ...(decision.action === 'inject' ? { level: decision.level } : { message: reasonText(decision.reason) }),
    version,
    ...(injected === undefined ? {} : injectedFields(options.pod, injected)),
    ...(shown.length === 0 ? {} : { findings: shown }),
    ...(findings.length > FINDINGS_MAX ? { findingsMore: findings.length - FINDINGS_MAX } : {}),
  };
  return inLines(status);
}

/** The same with nothing but what uninject needs and the reason, for pods whose annotations leave no room for more. */
export function shortStatusText(options: {
  readonly pod: PodView;
  readonly decision: Decision;
  readonly version: string;
  readonly injected: Injected | undefined;
}): string {
  const { pod, decision, version, injected } = options;
  return inLines({
    decision: wordOf(decision),
    reason: decision.reason,
    version,
    ...(injected === undefined ? {} : { originals: originalsOf(pod, injected.account.action === 'switch') }),
  });
}

function wordOf({ action }: Decision): string {
  return action === 'inject' ? 'injected' : action === 'skip' ? 'skipped' : 'denied';
}

/** JSON with line breaks between members, and between the elements of a list. */
function inLines(status: JsonObject): string {
  const members = Object.entries(status).map(([key, value]) => {
    const text = Array.isArray(value)
      ? `[\n${value.map((item) => JSON.stringify(item)).join(',\n')}]`
      : JSON.stringify(value);
    return `${JSON.stringify(key)}:${text}`;
  });
  let line = '{';
  const lines: string[] = [];
  for (const [i, text] of members.entries()) {
    const part = `${text}${i === members.length - 1 ? '}' : ','}`;
    const first = part.split('\n', 1)[0] ?? part;
    if (line.length > 1 && line.length + first.length > LINE_CHARS_MAX) {
      lines.push(line);
      line = '';
    }
    line += part;
    const end = line.lastIndexOf('\n');
    if (end < 0) continue;
    lines.push(line.slice(0, end));
    line = line.slice(end + 1);
  }
  return [...lines, line].join('\n');
}

function injectedFields(pod: PodView, { settings, shape, account, parts }: Injected): JsonObject {
  const destinations: Record<string, Json> = {};
  for (const sink of settings.sinks) {
    if (sink === 'elasticsearch') destinations[sink] = parts.destinations.dataStream;
    else if (sink === 'cloudwatch')
      destinations[sink] = `${parts.destinations.logGroup} ${parts.destinations.logStream}`;
    else destinations[sink] = 'log of the sidecar';
  }
  return {
    config: parts.hash,
    shape: shape.shape,
    shapeReason: shape.reason,
    account: account.account,
    accountReason: account.reason,
    destinations,
    originals: originalsOf(pod, account.action === 'switch'),
  };
}

/** The account that an earlier pass of ours found, undefined before one. */
export function originalAccount(pod: PodView): string | undefined {
  return textAt(previousOriginals(pod), 'serviceAccountName');
}

/** What uninject puts back: null stands for a member that was not there. */
function originalsOf(pod: PodView, isAccountSwitched: boolean): JsonObject {
  const previous = previousOriginals(pod);
  if (previous !== undefined && isSwitched(pod) === (member(previous, 'serviceAccountName') !== undefined))
    return previous;
  const annotations: Record<string, Json> = {
    [FOREIGN_ANNOTATION.safeToEvict]: withoutOurs(pod.annotations.get(FOREIGN_ANNOTATION.safeToEvict)),
    [FOREIGN_ANNOTATION.defaultContainer]: pod.annotations.get(FOREIGN_ANNOTATION.defaultContainer) ?? null,
  };
  if (!isAccountSwitched) return { annotations };
  annotations[FOREIGN_ANNOTATION.eksSkipContainers] = pod.annotations.get(FOREIGN_ANNOTATION.eksSkipContainers) ?? null;
  return { annotations, ...accountOriginals(pod) };
}

function accountOriginals(pod: PodView): JsonObject {
  // Without a status to remember it, the account before an earlier switch can only have been the one that switches by default.
  if (isSwitched(pod))
    return { serviceAccountName: 'default', serviceAccount: null, automountServiceAccountToken: null };
  const volumes = pod.volumes.filter(isAutomaticTokenVolume);
  const names = new Set(volumes.map((volume) => volume.name));
  const mounts = pod.others.flatMap((container) =>
    container.mounts
      .filter((mount) => names.has(mount.volume))
      .map((mount) => ({ container: container.name, index: mount.index, mount: mount.raw })),
  );
  return {
    serviceAccountName: member(pod.spec, 'serviceAccountName') ?? null,
    serviceAccount: member(pod.spec, 'serviceAccount') ?? null,
    automountServiceAccountToken: member(pod.spec, 'automountServiceAccountToken') ?? null,
    ...(volumes.length === 0 ? {} : { volumes: volumes.map(({ index, raw }) => ({ index, volume: raw })) }),
    ...(mounts.length === 0 ? {} : { mounts }),
  };
}

/** The originals of an earlier status, where our own container shows that there was one. */
function previousOriginals(pod: PodView): JsonObject | undefined {
  const text = pod.annotations.get(STATUS_ANNOTATION);
  if (pod.ours === undefined || text === undefined) return undefined;
  try {
    const originals = at(JSON.parse(text) as Json, 'originals');
    return isObject(originals) ? originals : undefined;
  } catch {
    return undefined;
  }
}

/** The comma list as it was before we added our volumes. */
function withoutOurs(list: string | undefined): string | null {
  if (list === undefined) return null;
  const ours: ReadonlySet<string> = new Set(Object.values(VOLUME));
  const words = list.split(',').filter((word) => !ours.has(word));
  return words.length === 0 && list !== '' ? null : words.join(',');
}
