/**
 * Paths of the API server for the few resources that we touch.
 *
 * Source: Kubernetes API concepts, "Resource URIs". Names are path-escaped, so that no name reaches another object.
 * May import: core, config.
 */

/** `/api/v1/namespaces/{namespace}/{resource}[/{name}]`: resources of the core group inside a namespace. */
export function corePath(namespace: string, resource: string, name?: string): string {
  return withName(`/api/v1/namespaces/${encodeURIComponent(namespace)}/${resource}`, name);
}

/** `/api/v1/{resource}[/{name}]`: cluster-wide resources of the core group, or one kind in all namespaces. */
export function coreClusterPath(resource: string, name?: string): string {
  return withName(`/api/v1/${resource}`, name);
}

/** `/apis/{group}/{version}/namespaces/{namespace}/{resource}[/{name}]`. */
export function groupPath(groupVersion: string, namespace: string, resource: string, name?: string): string {
  return withName(`/apis/${groupVersion}/namespaces/${encodeURIComponent(namespace)}/${resource}`, name);
}

/** `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations[/{name}]`. */
export function webhookConfigurationPath(name?: string): string {
  return withName('/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations', name);
}

/** Field selector for one object by name: the only way to watch under an RBAC rule with `resourceNames`. */
export function byName(name: string): Readonly<Record<string, string>> {
  return { fieldSelector: `metadata.name=${name}` };
}

function withName(collection: string, name: string | undefined): string {
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}
