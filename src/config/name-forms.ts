/**
 * The forms of names that more than one configuration knows.
 *
 * May import: core, config.
 */
import { textForm } from './fields.ts';

/** RFC 1123 label, the form of namespaces and of every part of our names. */
export const LABEL = textForm(
  'lower-case letters, digits and - (at most 63)',
  /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
);

/** RFC 1123 subdomain, the form of most names (Kubernetes concepts, "Object Names and IDs"). */
export const OBJECT_NAME = textForm(
  'names of lower-case letters, digits, - and . (at most 253 characters)',
  /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/,
);

/** The suffix of a second install: `logtender-webhook-` and it make one label. */
export const INSTANCE = textForm(
  'at most 40 lower-case letters, digits and -',
  /^(?:[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?)?$/,
);

/** What stands in the SAN of a leaf: RFC 1123 names and addresses. */
export const HOST = textForm(
  'DNS names and IP addresses',
  /^(?=.{1,253}$)(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|[0-9A-Fa-f:.]+)$/,
);

/** Some texts reach env of pods, where a NUL keeps a container from starting. */
export const NOT_EMPTY = textForm('a text that is not empty, without control characters', /^\P{Cc}+$/u);
