/**
 * The formats of the keys that say how lines become records: the forwarder's own (src/config/record-rules.ts), with our answer to what is
 * not valid. One schema on both sides of the pod.
 *
 * Pure. May import: core, config.
 */
import { readDetections, readMultiline, readPatterns, readSamples } from '../src/config/record-rules.ts';
import type { Detection, Multiline, Read, Sample } from '../src/config/record-rules.ts';
import { invalid, suggestion } from './annotation-values.ts';
import type { Parse } from './annotation-values.ts';

function answering<T>(read: (text: string) => Read<T>): Parse<T> {
  return (text) => {
    const result = read(text);
    if (result.ok) return result;
    const near = result.near === undefined ? undefined : suggestion(...result.near);
    return invalid(result.expected, near ?? result.hint);
  };
}

/** `["\\d{16}","password=\\S+"]`, or the same a line each. */
export const patternList: Parse<readonly string[]> = answering(readPatterns);
/** `10% DEBUG`, `50%`, `100/s level:info`. */
export const sampleList: Parse<readonly Sample[]> = answering(readSamples);
/** `java,python`, or `start:` and the pattern of the first line of a record. */
export const multiline: Parse<Multiline> = answering(readMultiline);
/** `time,level`. */
export const detections: Parse<readonly Detection[]> = answering(readDetections);
