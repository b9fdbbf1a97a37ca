/**
 * Where a volume of ours in a user's container would hide files of its image.
 *
 * Pure. A mount over a directory of the system is refused; one over a directory that does not look like a place for logs is told.
 * May import: nothing.
 */

/** Directories of the system (Filesystem Hierarchy Standard 3.0, chapters 3 and 4): what lies in them belongs to the image. */
const SYSTEM = /^\/(?:usr|bin|sbin|lib(?:32|64|x32|exec)?|etc|boot|root)(?:\/|$)/;
/** The same for people. */
export const SYSTEM_DIRECTORIES = '/usr, /bin, /sbin, /lib*, /etc, /boot and /root';
/** Software that the image's author installed by hand keeps its logs there: /usr/local/tomcat/logs. */
const LOCAL_LOGS = /^\/usr\/local\/(?:[^/]+\/)*logs?(?:\/|$)/;
const LOG_LIKE = /^\/(?:tmp|var\/log)(?:\/|$)|logs?(?:\/|$)/;

/** True where our volume must not be mounted. */
export function isOfSystem(directory: string): boolean {
  return SYSTEM.test(directory) && !LOCAL_LOGS.test(directory);
}

/** True when some part of the path is or ends with log or logs, or it lies in /var/log or /tmp. */
export function isLogLike(directory: string): boolean {
  return LOG_LIKE.test(directory);
}
