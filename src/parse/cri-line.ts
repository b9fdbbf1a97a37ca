/**
 * The line format of the container runtimes: `2016-10-06T00:17:09.669794202Z stdout F text`.
 *
 * Source: Kubernetes, "CRI log format" (kuberuntime/logs/logs.go, parseCRILog): time in RFC 3339 with nanoseconds, stream, tags separated
 * by `:` of which the first is P (partial) or F (full), text. In our own spill log the stream is `-` where nobody said which. Nothing is allocated per line. May import: parse.
 */
import { isoTimeMs } from './iso-time.ts';

const SPACE = 0x20;
const DASH = 0x2d;
const STDOUT = Buffer.from('stdout');
const STDERR = Buffer.from('stderr');

export type Stdio = '' | 'stdout' | 'stderr';

export class CriLine {
  /** After a `read` that was true: where the text begins. */
  textFrom = 0;
  timeMs = Number.NaN;
  stdio: Stdio = '';
  /** The line goes on in the next one of the same stream. */
  isPartial = false;

  /** Reads `line[from, to)`; false when it is no line of a container runtime. */
  read(line: Uint8Array, from: number, to: number): boolean {
    const timeTo = indexOfSpace(line, from, to);
    const stdioTo = indexOfSpace(line, timeTo + 1, to);
    if (timeTo >= to || stdioTo >= to) return false;
    this.timeMs = isoTimeMs(line, from, timeTo);
    this.stdio = isText(line, timeTo + 1, stdioTo, STDOUT)
      ? 'stdout'
      : isText(line, timeTo + 1, stdioTo, STDERR)
        ? 'stderr'
        : '';
    const tag = line[stdioTo + 1];
    const tagsTo = indexOfSpace(line, stdioTo + 1, to);
    const tagTo = line[stdioTo + 2];
    const isTag = (tag === 0x50 || tag === 0x46) && (stdioTo + 2 >= tagsTo || tagTo === 0x3a);
    const isUnsaid = stdioTo === timeTo + 2 && line[timeTo + 1] === DASH;
    if (Number.isNaN(this.timeMs) || (this.stdio === '' && !isUnsaid) || !isTag) return false;
    this.isPartial = tag === 0x50;
    this.textFrom = Math.min(tagsTo + 1, to);
    return true;
  }
}

function indexOfSpace(line: Uint8Array, from: number, to: number): number {
  let i = from;
  while (i < to && line[i] !== SPACE) i += 1;
  return i;
}

function isText(line: Uint8Array, from: number, to: number, text: Uint8Array): boolean {
  if (to - from !== text.length) return false;
  for (let i = 0; i < text.length; i += 1) if (line[from + i] !== text[i]) return false;
  return true;
}
