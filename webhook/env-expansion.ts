/**
 * The kubelet expands `$(NAME)` in env values; user text must come through as it was typed.
 *
 * Pure. Source: Kubernetes API reference, EnvVar `value`; kubernetes/kubernetes third_party/forked/golang/expansion: `$$` is one `$`
 * anywhere, `$(NAME)` is the value of an earlier variable, or stays as it is where there is none. May import: nothing.
 */

/** Text that the kubelet turns back into `text`: a single `$` is safe but before `(`, any other run of them is doubled. */
export function escapeForKubelet(text: string): string {
  return text.includes('$') ? text.replaceAll(/\$+(?=\()|\$\$+/g, (run) => run + run) : text;
}

/** What the kubelet makes of a value; `known` gives the variables that were defined before it. */
export function expandAsKubelet(value: string, known: ReadonlyMap<string, string>): string {
  return value.replaceAll(/\$\$|\$\(([^)]*)\)/g, (whole, name: string | undefined) => {
    if (whole === '$$') return '$';
    return known.get(name ?? '') ?? whole;
  });
}
