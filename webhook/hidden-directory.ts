/**
 * Where a volume of ours in a user's container would hide files of its image.
 *
 * Pure. A mount over a directory of the system, or over one from which the container starts, is refused; one over a directory that does
 * not look like a place for logs is told. May import: core, config.
 */
import { posix } from 'node:path';

import { listAt, textAt } from './json.ts';
import { isInside, normalized } from './mount-path.ts';
import type { ContainerView } from './pod.ts';
import { mountAt } from './user-mounts.ts';

/** A mount at or above one of these would hide what every image needs. */
const NEVER_AT_OR_ABOVE = [
  '/',
  '/etc',
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib64',
  '/var',
  '/home',
  '/root',
  '/opt',
  '/run',
  '/var/run',
];
/** The kernel's own file systems and the places of tokens and of ourselves: no mount inside them. */
const NEVER_INSIDE = ['/proc', '/sys', '/dev', '/var/run/secrets', '/run/secrets', '/logtender'];
/** Directories of the system (Filesystem Hierarchy Standard 3.0, chapters 3 and 4): what lies in them belongs to the image. */
const SYSTEM = /^\/(?:usr|bin|sbin|lib(?:32|64|x32|exec)?|etc|boot|root)(?:\/|$)/;
/** The same for people. */
export const SYSTEM_DIRECTORIES = '/usr, /bin, /sbin, /lib*, /etc, /boot and /root';
/** Software that the image's author installed by hand keeps its logs there: /usr/local/tomcat/logs. */
const LOCAL_LOGS = /^\/usr\/local\/(?:[^/]+\/)*logs?(?:\/|$)/;
/** `/var/log` itself is not among them: images have directories there that their programs do not make (`/var/log/nginx`). */
const LOG_LIKE = /^\/(?:tmp(?:\/|$)|var\/log\/)|^(?!\/var\/log$).*\/logs?(?:\/|$)/;

/** True where no mount of ours may be, whatever the pod has there. */
export function isNeverMounted(directory: string): boolean {
  return (
    NEVER_AT_OR_ABOVE.some((kept) => isInside(kept, directory)) ||
    NEVER_INSIDE.some((kept) => isInside(directory, kept))
  );
}

/** True where only a volume of the user may be mounted. */
export function isOfSystem(directory: string): boolean {
  return SYSTEM.test(directory) && !LOCAL_LOGS.test(directory);
}

/** True when a whole part of the path is `log` or `logs`, or it lies in /var/log or in /tmp. */
export function isLogLike(directory: string): boolean {
  return LOG_LIKE.test(directory);
}

/** Programs of a container that the pod itself names, each a list of words. */
const PROGRAMS: readonly (readonly string[])[] = [
  ['command'],
  ...['livenessProbe', 'readinessProbe', 'startupProbe'].map((probe) => [probe, 'exec', 'command']),
  ...['postStart', 'preStop'].map((hook) => ['lifecycle', hook, 'exec', 'command']),
];

/**
 * True where a volume of ours at the directory would take from the container what the pod says it starts from: a program, or the
 * working directory. A mount of the user below the directory stays on top of ours.
 */
export function startsFrom(container: ContainerView, directory: string): boolean {
  const workingDir = textAt(container.raw, 'workingDir') ?? '';
  const isHidden = (path: string): boolean => {
    const place = normalized(path);
    if (!isInside(place, directory)) return false;
    const mount = mountAt(container, place);
    return mount === undefined || !isInside(normalized(mount.path), directory);
  };
  if (workingDir !== '' && isHidden(workingDir)) return true;
  return PROGRAMS.some((keys) => {
    const [program] = listAt(container.raw, ...keys);
    // A word without a slash is looked up in PATH; one that is relative counts from the working directory, which only the image may know.
    if (typeof program !== 'string' || !program.includes('/')) return false;
    if (program.startsWith('/')) return isHidden(program);
    return workingDir !== '' && isHidden(posix.join(workingDir, program));
  });
}
