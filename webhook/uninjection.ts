/**
 * From an injected pod back to the one that was written: the operations that take our parts out again.
 *
 * Pure. Invariants: uninject(inject(x)) equals x, members that held nothing included; what others changed or added after the injection
 * stays; the status annotation is a user's to write, so of its originals only values are taken that an injection could have replaced.
 * A `logging.io/status` that stood in the pod before the first injection is ours by name and does not come back.
 * May import: core, config.
 */
import { at, isObject, listAt, member, textAt } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import { FOREIGN_ANNOTATION, STATUS_ANNOTATION, VOLUME } from './names.ts';
import { isHoldingNothing } from './originals.ts';
import { PatchBuilder, pointer } from './patch.ts';
import type { Operation } from './patch.ts';
import { readPod } from './pod.ts';
import type { ContainerView, PodView } from './pod.ts';
import { defaultContainer } from './pod-patch.ts';
import { pullSecretsOf } from './pull-secrets.ts';
import { isAutomaticTokenVolume, isSwitched } from './service-account.ts';
import { originalsIn, statusOf } from './status.ts';

export interface Uninjection {
  /** `injected`: our container stood in it; `explained`: only a status that says why there was none; `bare`: nothing of ours. */
  readonly found: 'injected' | 'explained' | 'bare';
  /** None for a bare pod. */
  readonly operations: readonly Operation[];
}

const OUR_VOLUMES: ReadonlySet<string> = new Set(Object.values(VOLUME));

/** Says how to restore a pod (or a pod template); one without anything of ours passes untouched. */
export function uninject(raw: JsonObject): Uninjection {
  const pod = readPod(raw);
  const patch = new PatchBuilder();
  if (pod.ours !== undefined) {
    const restorer = new Restorer(pod, patch);
    restorer.restoreSpec();
    restorer.restoreAnnotations();
    return { found: 'injected', operations: patch.operations };
  }
  const decision = textAt(statusOf(pod), 'decision');
  if (decision !== 'skipped') return { found: 'bare', operations: [] };
  new Restorer(pod, patch).dropStatus();
  return { found: 'explained', operations: patch.operations };
}

/** An element of a list that an injection took away, with its place. */
interface Taken {
  readonly index: number;
  readonly value: JsonObject;
}

interface ListChange {
  /** Positions of what is ours, ascending. */
  readonly ours: readonly number[];
  readonly taken: readonly Taken[];
  /** What stood in the place of the list; undefined where nothing did. */
  readonly before: Json | undefined;
}

class Restorer {
  readonly #pod: PodView;
  readonly #patch: PatchBuilder;
  readonly #originals: JsonObject | undefined;

  constructor(pod: PodView, patch: PatchBuilder) {
    this.#pod = pod;
    this.#patch = patch;
    this.#originals = originalsIn(pod);
  }

  restoreSpec(): void {
    const pod = this.#pod;
    const volumes = this.#takenVolumes();
    const names = new Set(volumes.map(({ value }) => textAt(value, 'name') ?? ''));
    for (const container of pod.others) {
      const ours = container.mounts.filter((mount) => OUR_VOLUMES.has(mount.volume)).map((mount) => mount.index);
      const taken = this.#takenMounts(container.name, names).filter(
        ({ value }) =>
          !container.mounts.some(
            ({ volume, path: place }) => place === textAt(value, 'mountPath') && !OUR_VOLUMES.has(volume),
          ),
      );
      const path = pointer('spec', container.list, container.index, 'volumeMounts');
      const before = this.#replaced(pointer('spec', container.list, this.#indexBefore(container), 'volumeMounts'));
      this.#restoreList(path, listAt(container.raw, 'volumeMounts'), { ours, taken, before });
    }
    const present = new Set(pod.volumes.map((volume) => volume.name));
    this.#restoreList('/spec/volumes', listAt(pod.spec, 'volumes'), {
      ours: pod.volumes.filter(({ name }) => OUR_VOLUMES.has(name)).map(({ index }) => index),
      taken: volumes.filter(({ value }) => !present.has(textAt(value, 'name') ?? '')),
      before: this.#replaced('/spec/volumes'),
    });
    this.#restorePullSecrets();
    if (isSwitched(pod)) this.#restoreAccount();
    // Last, because positions of the other containers were read with ours among them.
    if (pod.ours !== undefined) {
      const { list, index } = pod.ours;
      const path = pointer('spec', list);
      this.#restoreList(path, listAt(pod.spec, list), { ours: [index], taken: [], before: this.#replaced(path) });
    }
  }

  /** Those that the status says were added, as far as they still stand there; the pod's own were never among them. */
  #restorePullSecrets(): void {
    const added = new Set(listAt(this.#originals, 'pullSecrets'));
    const now = pullSecretsOf(this.#pod);
    const ours = now.flatMap((item, index) => (added.has(textAt(item, 'name') ?? '') ? [index] : []));
    const path = '/spec/imagePullSecrets';
    this.#restoreList(path, now, { ours, taken: [], before: this.#replaced(path) });
  }

  restoreAnnotations(): void {
    const { annotations } = this.#pod;
    const originals = member(this.#originals, 'annotations');
    const names = new Set(this.#pod.others.map(({ name }) => name));
    const ports = new Set(listAt(this.#originals, 'meshPorts').filter((port) => typeof port === 'string'));
    for (const [key, before] of [
      [FOREIGN_ANNOTATION.istioPorts, this.#extendedBefore(FOREIGN_ANNOTATION.istioPorts, ports)],
      [FOREIGN_ANNOTATION.linkerdPorts, this.#extendedBefore(FOREIGN_ANNOTATION.linkerdPorts, ports)],
      // Its words tell whose they are, whatever became of the status.
      [FOREIGN_ANNOTATION.safeToEvict, this.#withoutAdded(FOREIGN_ANNOTATION.safeToEvict, OUR_VOLUMES)],
      [FOREIGN_ANNOTATION.eksSkipContainers, this.#extendedBefore(FOREIGN_ANNOTATION.eksSkipContainers, names)],
    ] as const) {
      const now = annotations.get(key);
      if (now !== undefined && before !== now) this.#setAnnotation(key, now, before);
    }
    const key = FOREIGN_ANNOTATION.defaultContainer;
    const chosen = annotations.get(key);
    const isOurs = textAt(originals, key) === undefined && chosen === defaultContainer(this.#pod);
    if (chosen !== undefined && isOurs) this.#setAnnotation(key, chosen, undefined);
    this.dropStatus();
  }

  /** Takes the status away, and with it the maps that were made for it. */
  dropStatus(): void {
    const patch = this.#patch;
    const metadata = member(this.#pod.raw, 'metadata');
    const annotations = member(metadata, 'annotations');
    const status = member(annotations, STATUS_ANNOTATION);
    if (status !== undefined) patch.remove(pointer('metadata', 'annotations', STATUS_ANNOTATION), status);
    const removed = patch.operations.filter(
      ({ op, path }) => op === 'remove' && /^\/metadata\/annotations\//.test(path),
    );
    if (!isObject(annotations) || Object.keys(annotations).length > removed.length) return;
    const isAlone = isObject(metadata) && Object.keys(metadata).length === 1;
    const map = '/metadata/annotations';
    const before = this.#replaced(map);
    if (before !== undefined) this.#putBack(map, {}, before);
    else if (!isAlone) patch.remove(map, {});
    else {
      patch.remove(map, {});
      this.#putBack('/metadata', {}, this.#replaced('/metadata'));
    }
  }

  /** What stood where we put something: a value that held nothing. */
  #replaced(path: string): Json | undefined {
    const found = at(this.#originals, 'replaced', path);
    return found !== undefined && isHoldingNothing(found) ? found : undefined;
  }

  /** `now` gives way to what was there before, or to nothing. */
  #putBack(path: string, now: Json, before: Json | undefined): void {
    if (before === undefined) this.#patch.remove(path, now);
    else if (JSON.stringify(before) !== JSON.stringify(now)) this.#patch.replace(path, now, before);
  }

  #setAnnotation(key: string, now: string, before: string | undefined): void {
    const path = pointer('metadata', 'annotations', key);
    const replaced = this.#replaced(path);
    this.#putBack(path, now, before ?? replaced);
  }

  /** Where a container stood before ours was put into its list. */
  #indexBefore({ list, index }: ContainerView): number {
    const { ours } = this.#pod;
    return ours !== undefined && ours.list === list && ours.index < index ? index - 1 : index;
  }

  #restoreList(path: string, now: readonly Json[], change: ListChange): void {
    const { ours, taken, before } = change;
    if (ours.length === 0 && taken.length === 0) return;
    if (ours.length === now.length && taken.length === 0 && path !== '/spec/containers') {
      this.#putBack(path, now, before);
      return;
    }
    for (const index of ours.toReversed()) this.#patch.remove(`${path}/${index}`, now[index] ?? null);
    let length = now.length - ours.length;
    for (const { index, value } of taken.toSorted((a, b) => a.index - b.index)) {
      this.#patch.insert(path, now.length === 0 ? undefined : now, value, Math.min(index, length));
      length += 1;
    }
  }

  #restoreAccount(): void {
    const { spec } = this.#pod;
    // Without a status to remember it, only the account could be switched that is switched by default.
    const originals = this.#originals ?? { serviceAccountName: 'default' };
    if (member(originals, 'serviceAccountName') === undefined) return;
    const account = textAt(statusOf(this.#pod), 'account') ?? textAt(spec, 'serviceAccountName');
    for (const key of ['serviceAccountName', 'serviceAccount']) {
      const now = member(spec, key);
      if (now === undefined || now !== account) continue;
      this.#putBack(pointer('spec', key), now, textAt(originals, key) ?? this.#replaced(pointer('spec', key)));
    }
    const path = '/spec/automountServiceAccountToken';
    const before = member(originals, 'automountServiceAccountToken');
    const wanted = typeof before === 'boolean' ? before : this.#replaced(path);
    this.#putBack(path, false, wanted);
  }

  /** Token volumes of the pod's own account that a switch took away; nothing else is believed of a status. */
  #takenVolumes(): readonly Taken[] {
    return listAt(this.#originals, 'volumes').flatMap((item) => {
      const value = member(item, 'volume');
      const index = member(item, 'index');
      const name = textAt(value, 'name');
      if (!isObject(value) || name === undefined || !isIndex(index)) return [];
      return isAutomaticTokenVolume({ index, name, raw: value }) ? [{ index, value }] : [];
    });
  }

  #takenMounts(container: string, volumes: ReadonlySet<string>): readonly Taken[] {
    return listAt(this.#originals, 'mounts').flatMap((item) => {
      const value = member(item, 'mount');
      const index = member(item, 'index');
      const isMeant = textAt(item, 'container') === container && volumes.has(textAt(value, 'name') ?? '');
      return isMeant && isObject(value) && isIndex(index) ? [{ index, value }] : [];
    });
  }

  /** The same where only the status knows whether it was extended at all. */
  #extendedBefore(key: string, ours: ReadonlySet<string>): string | undefined {
    const isExtended = member(member(this.#originals, 'annotations'), key) !== undefined;
    return isExtended ? this.#withoutAdded(key, ours) : this.#pod.annotations.get(key);
  }

  /** A comma list without the words that we added; the original text where nobody else changed it. Undefined: it was not there. */
  #withoutAdded(key: string, ours: ReadonlySet<string>): string | undefined {
    const original = textAt(this.#originals, 'annotations', key);
    const before = wordsOf(original ?? '');
    const rest = wordsOf(this.#pod.annotations.get(key) ?? '').filter(
      (word) => before.includes(word) || !ours.has(word),
    );
    if (rest.join() === before.join()) return original;
    return rest.length === 0 ? undefined : rest.join(',');
  }
}

function isIndex(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

function wordsOf(list: string): readonly string[] {
  return list
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
