/**
 * Whether the security context that our container has is still as strict as the one that it should have.
 *
 * Pure. Invariants: everything that we ask for stands in it; beside that only what takes nothing back, such as OpenShift's admission
 * writes in (its level for SELinux, `privileged: false`). Source: API reference, SecurityContext; Pod Security Standards, "Restricted".
 * May import: core, config.
 */
import { covers, isObject, listAt, member, textAt } from './json.ts';
import type { Json } from './json.ts';
import { SELINUX_TYPES } from './sidecar-user.ts';

/** Members that somebody may have added or filled, by what makes them harmless; every other one is not. */
const HARMLESS: Readonly<Record<string, (value: Json) => boolean>> = {
  privileged: (value) => value === false,
  procMount: (value) => value === 'Default',
  appArmorProfile: (value) => member(value, 'type') !== 'Unconfined',
  seLinuxOptions: (value) =>
    ['', ...SELINUX_TYPES].includes(textAt(value, 'type') ?? '') &&
    ['user', 'role'].every((key) => (textAt(value, key) ?? '') === ''),
};

/** True when `found` needs no repair. */
export function coversContext(found: Json | undefined, wanted: Json): boolean {
  if (!isObject(found) || !covers(found, wanted)) return false;
  if (listAt(found, 'capabilities', 'add').length > 0) return false;
  return Object.entries(found).every(([key, value]) => {
    if (Object.hasOwn(HARMLESS, key)) return HARMLESS[key]?.(value) === true;
    return member(wanted, key) !== undefined;
  });
}
