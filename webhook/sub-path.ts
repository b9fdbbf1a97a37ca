/**
 * Which part of a volume a container mounts, said so that our container mounts the same part.
 *
 * Pure. `subPath` is taken as it stands. `subPathExpr` names variables of the container's own env, which ours does not have; where each
 * of them is a plain value or one of the pod's own fields that our env carries as well, the expression is written anew with ours.
 * Source: Kubernetes, "Volumes: Using subPath with expanded environment variables"; the kubelet starts no container whose expression
 * names a variable that it lacks. May import: core, config.
 */
import { ENV } from '../src/config/forwarder-config.ts';
import { escapeForKubelet } from './env-expansion.ts';
import { listAt, member, textAt } from './json.ts';
import type { JsonObject } from './json.ts';

export interface SubPath {
  readonly subPath: string | undefined;
  readonly subPathExpr: string | undefined;
}

/** Fields of the pod that our container has in its env, by their path in the downward API. */
const OUR_VARIABLE: Readonly<Record<string, string>> = {
  'metadata.name': ENV.pod,
  'metadata.namespace': ENV.namespace,
  'metadata.uid': ENV.uid,
  'spec.nodeName': ENV.node,
};

/** The part of the volume as our container has to say it; undefined where it cannot be said. */
export function subPathOf(container: JsonObject, mount: JsonObject): SubPath | undefined {
  // The API server takes the empty text for none, and refuses a mount that has both.
  const expression = textAt(mount, 'subPathExpr') ?? '';
  const plain = textAt(mount, 'subPath') ?? '';
  if (expression === '') return { subPath: plain === '' ? undefined : plain, subPathExpr: undefined };
  // The kubelet's syntax: `$$` is a dollar sign, `$(NAME)` a variable, and any other text itself.
  let isKnown = true;
  const ours = expression.replaceAll(/\$\$|\$\(([^)]*)\)/g, (whole, name: string | undefined) => {
    if (name === undefined) return whole;
    const value = variable(container, name);
    isKnown &&= value !== undefined;
    return value ?? '';
  });
  return isKnown ? { subPath: undefined, subPathExpr: ours } : undefined;
}

/** What stands for `$(name)` in our expression; undefined where we cannot know the value. */
function variable(container: JsonObject, name: string): string | undefined {
  // Of two variables with one name the last holds; one of envFrom is not to be seen here, and env wins over it.
  const found = listAt(container, 'env').findLast((item) => textAt(item, 'name') === name);
  const ours = OUR_VARIABLE[textAt(found, 'valueFrom', 'fieldRef', 'fieldPath') ?? ''];
  if (ours !== undefined) return `$(${ours})`;
  const value = textAt(found, 'value');
  // A value that is itself an expression would need the order of the variables as well.
  if (value === undefined || member(found, 'valueFrom') !== undefined || value.includes('$')) return undefined;
  return escapeForKubelet(value);
}
