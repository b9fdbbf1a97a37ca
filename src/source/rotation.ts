/**
 * Which file names are a rotated form of which other name. Pure.
 *
 * logrotate(8) writes `name.N`, with `dateext` `name-YYYYMMDD` or a `dateformat` of the user; Python's TimedRotatingFileHandler
 * `name.YYYY-MM-DD_HH-MM-SS`, RotatingFileHandler `name.N`; log4j2 and logback `name.YYYY-MM-DD` with or without `.N`; Apache
 * rotatelogs `name.SECONDS`; the kubelet `name.YYYYMMDD-HHMMSS` (kubernetes/kubernetes, pkg/kubelet/logs, container_log_manager.go). Compressed forms are not meant: their bytes are not lines.
 * May import: nothing.
 */

export interface Rotation {
  /** The name that the app writes to. */
  readonly base: string;
  /** Larger is older: breaks ties where the file times do not tell. The live file is 0. */
  readonly rank: number;
}

const SUFFIX = /^(.+?)[.\-_](\d{4}-\d\d-\d\d(?:[-_T.]?\d\d(?:[-:.]?\d\d){0,2})?|\d{8}-\d{6}|\d{1,17})(?:\.(\d{1,9}))?$/;

/** Counters are small, dates and times have at least eight digits. */
const COUNTER_DIGITS_MAX = 6;
/** Above every date that is read as digits (YYYYMMDDHHMMSS has 14), so that an older date has the larger rank. */
const DATE_RANK_ORIGIN = 1e15;

/** The rotation that a name shows, or undefined for a name that shows none. */
export function rotationOf(name: string): Rotation | undefined {
  const match = SUFFIX.exec(name);
  if (match === null) return undefined;
  const [, base = '', stamp = '', counter] = match;
  const digits = stamp.replaceAll(/\D/g, '');
  if (stamp === digits && digits.length <= COUNTER_DIGITS_MAX) {
    // `app.log.2.1`: the counter that stands last is the newer rotation of an already rotated name; ranks only need an order.
    return { base, rank: Number(digits) + Number(counter ?? 0) };
  }
  return { base, rank: DATE_RANK_ORIGIN - Number(digits.padEnd(14, '0').slice(0, 14)) + Number(counter ?? 0) };
}
