/**
 * The formats of `bucket` and `prefix`: templates whose own text has to be legal, because nobody may be sent to another bucket than
 * the one that he typed. What placeholders bring is made legal later (src/config/legal-names.ts).
 *
 * Pure. May import: core, config.
 */
import { legalBucket, legalKeyPrefix } from '../src/config/legal-names.ts';
import { invalid, template } from './annotation-values.ts';
import type { Parse } from './annotation-values.ts';

/** Stands for what a placeholder brings: legal at every place of both names, and long enough for a bucket of its own. */
const SAMPLE = 'xxx';

/** `logs-{cluster}`. */
export const bucketTemplate: Parse<string> = (text) => {
  const parsed = template(text);
  const sample = sampled(text);
  if (!parsed.ok || legalBucket(sample) === sample) return parsed;
  const near = sample === text ? `did you mean ${legalBucket(text)}?` : undefined;
  return invalid('the name of a bucket: 3 to 63 lower-case letters, digits, . and -', near);
};

/** `{cluster}/{namespace}/`. */
export const prefixTemplate: Parse<string> = (text) => {
  const parsed = template(text);
  const sample = sampled(text);
  const legal = legalKeyPrefix(sample);
  if (!parsed.ok || legal === sample || legal === `${sample}/`) return parsed;
  const near = sample === text ? `did you mean ${legal}?` : undefined;
  return invalid(
    "a prefix of object keys: letters, digits, !-_.'()= and single / between, none at the beginning",
    near,
  );
};

function sampled(text: string): string {
  return text.replaceAll(/\{[^{}]*\}/g, SAMPLE);
}
