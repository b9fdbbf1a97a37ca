/**
 * Every reason code with its sentence and its remedy: the same words for log line, metric label, status, warning and Event.
 *
 * Invariants: a code never changes its meaning; sentences hold no values of a user. What varies (key, expected, found) is the detail
 * of a finding and goes only into the answer and the status. May import: nothing.
 */

/** How much a reason takes away from what was asked. Only `degraded` counts for `on-invalid`. */
export type Severity = 'info' | 'warning' | 'degraded' | 'error';

export interface Reason {
  readonly severity: Severity;
  readonly sentence: string;
  /** What the reader can do; the empty text where nothing is to be done. */
  readonly remedy: string;
}

const info = (sentence: string): Reason => ({ severity: 'info', sentence, remedy: '' });
const warning = (sentence: string, remedy: string): Reason => ({ severity: 'warning', sentence, remedy });
const degraded = (sentence: string, remedy: string): Reason => ({ severity: 'degraded', sentence, remedy });
const error = (sentence: string, remedy: string): Reason => ({ severity: 'error', sentence, remedy });

export const REASONS = {
  // Outcomes.
  injected: info('the sidecar was injected as asked'),
  injected_degraded: info('the sidecar was injected, but not everything that was asked for holds'),
  already_injected: info('the pod already has the sidecar as it should be'),
  not_asked: info('neither the pod nor its namespace asked for a sidecar'),
  disabled_by_pod: info('the pod said logging.io/inject: "false"'),
  mirror_pod: info('a mirror pod of a static pod cannot be changed'),
  namespace_excluded: warning(
    'the webhook is never called for pods of this namespace',
    'run pods that ask in a namespace of their own',
  ),
  not_a_pod: info('the request is about something else than a pod'),
  not_a_create: info('only the creation of a pod is acted on'),
  inject_invalid: degraded('logging.io/inject is neither "true" nor "false"', 'write "true" or "false", in quotes'),
  invalid_values: error(
    'logging.io/on-invalid is deny and something that was asked for does not hold',
    'correct what is listed, or set logging.io/on-invalid: warn',
  ),
  conflict_container: error(
    'the pod has a container named logtender that is not the injected one',
    'rename that container',
  ),
  conflict_volume: error(
    'the pod uses a volume name that the injected sidecar needs and that is not the injected volume',
    'rename that volume',
  ),
  windows_pod: warning('the forwarder has no Windows image', 'remove logging.io/inject from Windows pods'),
  ends_without_native: warning(
    'the pod is meant to end, and a plain sidecar container would keep it running for ever',
    'use kubelets from 1.29; or run it under logtender-forwarder, with restartPolicy OnFailure and no plain mesh proxy',
  ),
  ends_as_container: warning(
    'the pod is meant to end, and the plain container that logging.io/sidecar asks for would keep it running for ever',
    'set logging.io/sidecar: auto in the pod; or use logtender-forwarder, restartPolicy OnFailure, no plain mesh proxy',
  ),
  paused: warning(
    'the operator has paused injection, so that every pod is admitted as it is',
    'create the pod again when the operator has ended the pause',
  ),
  annotations_full: warning(
    'the annotations of the pod leave no room for those of the sidecar (256 KiB is the limit of the API server)',
    'make the annotations of the pod shorter',
  ),
  // Values of annotations.
  invalid_value: degraded('the next lower level applies', 'correct the value'),
  not_allowed: degraded(
    'the operator does not allow it, the next lower level applies',
    'choose what is allowed, or ask the operator (imagesAllowed, resourcesMax)',
  ),
  value_not_available: degraded(
    'this version has not got it, the next lower level applies',
    'choose one of the available values',
  ),
  key_not_available: degraded('the key is documented but not available in this version', 'remove the key'),
  unknown_key: warning('the key is not known and has no effect', 'correct or remove the key'),
  wrong_place: warning('the key has no effect in this place', 'move it to where it is read'),
  superseded: warning('another key of the same level says the same and wins', 'keep one of the two'),
  unknown_container: degraded('the pod has no such container', 'name a container of the pod'),
  files_too_many: degraded(
    'the sidecar can be told of no more files, and those that are too many are not shipped',
    'name fewer files: a directory with * in place of single files, and the container before a path that only one of them has',
  ),
  glob_refused: degraded(
    'a mount there would hide files that containers need',
    'write logs to a directory of their own, such as /var/log/app',
  ),
  directory_hidden: warning(
    'whatever the image has in that directory is hidden by the shared volume',
    'write logs to a directory of their own, such as /app/logs',
  ),
  mount_refused: degraded(
    'the volume that is mounted there cannot be read by the sidecar',
    'mount an emptyDir or a persistent volume at the directory, and let subPathExpr name only plain values and fields of the pod',
  ),
  mount_below_not_seen: warning(
    'another volume is mounted below the directory and is not seen by the sidecar',
    'name the directory of that mount in logging.io/files as well',
  ),
  persistent_volume: warning(
    'positions in files on a volume that outlives the pod are kept with the pod, a new pod may ship lines again',
    'mount a claim that the container may write to, in parts that all have the same subPathExpr or none; or use an emptyDir',
  ),
  request_above_limit: degraded('the request is above the limit and was lowered to it', 'raise the limit'),
  request_raised: warning(
    'the pod is Guaranteed, so the request is the limit too, and was raised to the least that lets the sidecar start',
    'ask for at least that much',
  ),
  resources_of_pod: warning(
    'the pod has resources of its own (spec.resources) for this, and the sidecar lives within them',
    'remove the key, or the resource from spec.resources',
  ),
  processes_shared: warning(
    'the containers of the pod see each other, so what runs there as root or as the user of the sidecar can read its credentials',
    'remove shareProcessNamespace and hostPID, or give the sidecar no credentials that the app may not have',
  ),
  grace_short: warning(
    'the pod leaves the sidecar too little time to send its last lines',
    'set terminationGracePeriodSeconds to 5 or more',
  ),
  label_missing: warning('the pod has no such label, the name says unknown instead', 'set the label'),
  // What is shipped.
  stdio_not_shipped: warning(
    'stdout and stderr are not shipped: the pod will not run under the account that may read its log',
    'apply what logtender namespace NAME prints and name its account in logging.io/service-account, or set stdout: "off"',
  ),
  stdio_account_unsure: warning(
    'whether the account of the pod may read its log is not known, and without that stdout and stderr are not shipped',
    'name the account that logtender namespace NAME prints, or give this one the same right (get on pods/log)',
  ),
  stdio_node_not_allowed: degraded(
    'the operator does not allow that sidecars read the log files of the node, so stdout and stderr are not shipped',
    'ask the operator (stdoutNode), or set logging.io/stdout: api',
  ),
  stdio_node_forbidden: degraded(
    'the namespace enforces a Pod Security level without hostPath volumes, so stdout and stderr are not shipped',
    'set logging.io/stdout: api, which needs no volume of the node',
  ),
  nothing_to_ship: warning(
    'no file is named and stdout and stderr are not shipped, so the sidecar has nothing to ship',
    'name log files in logging.io/files, or let logging.io/stdout be shipped',
  ),
  sink_defaulted: warning('no sink is configured, records go to the log of the sidecar', 'set logging.io/sink'),
  bucket_missing: degraded(
    'logging.io/sink names s3 and nobody names a bucket, so nothing is sent there and the files are held',
    'set logging.io/bucket for the pod or its namespace, or bucket among the defaults of the configuration',
  ),
  mesh_not_native: warning(
    'the mesh proxy of the pod is a plain container and may be gone before the last lines are sent',
    'let the mesh inject its proxy as a native sidecar',
  ),
  mesh_bypassed: info('the mesh proxy of the pod is a plain container, and the sidecar reaches its sinks past it'),
  // Shape of the sidecar.
  shape_asked: info('the shape was asked for'),
  native_not_everywhere: warning(
    'a kubelet is older than 1.29, and on its node the pod would wait for the sidecar for ever',
    'remove logging.io/sidecar: native, or keep the pod off such nodes',
  ),
  kubelets_ready: info('every kubelet knows native sidecars'),
  kubelets_old: info('a kubelet is older than 1.29'),
  kubelets_unknown: info('the versions of the kubelets are not known'),
  // Service account.
  account_none_named: info('no service account is named'),
  account_in_use: info('the pod runs under the named account already'),
  account_switched: info(
    'the pod ran as default and now runs under the named account, whose token only the sidecar holds',
  ),
  account_replaced: warning(
    'the named account replaced the pod own one (mode require), and only the sidecar holds its token',
    'ask the operator for the mode if-default if the app needs its own account',
  ),
  account_exposed: degraded(
    'the pod runs under the named account, and something that came to it after the sidecar lets the app have a token of it too',
    'let that webhook run before logtender, so that the pod keeps its account, or remove logging.io/service-account',
  ),
  account_mode_never: warning(
    'the operator switched changes of service accounts off',
    'set serviceAccountName in the pod',
  ),
  account_not_found: degraded(
    'the named service account does not exist',
    'create it: logtender namespace NAME prints it',
  ),
  account_pod_names_own: warning(
    'the pod names a service account of its own and keeps it',
    'set serviceAccountName in the pod',
  ),
  account_token_wanted: warning(
    'the pod asks for the token of its account and keeps it',
    'remove automountServiceAccountToken: true, or set serviceAccountName in the pod',
  ),
  account_token_volume: warning(
    'the pod has a volume with a token of its account and keeps it',
    'set serviceAccountName in the pod',
  ),
  account_processes_shared: warning(
    'the containers of the pod see each other, so that no token could be kept from them, and the pod keeps its account',
    'remove shareProcessNamespace and hostPID, or set serviceAccountName in the pod',
  ),
  // Manifests, read by the command line before there is a request.
  manifest_invalid: error('the object is not what its kind says it is', 'correct the manifest'),
  value_no_text: error(
    'the value of an annotation or label is no text, and Kubernetes refuses the object',
    'put the value in quotes',
  ),
  directory_shared: info(
    'no volume of the container is mounted there, so a shared emptyDir will be, and it hides what the image has in the directory',
  ),
  sink_incomplete: degraded(
    'the sink lacks something that it needs',
    'put it into the Secret of the sink, or ask the operator for a default',
  ),
  sink_unchecked: info('what the sink needs is not among the manifests and has to be there before logs arrive'),
  // Requests that never became a decision.
  review_invalid: error('the body is no AdmissionReview v1', 'send admission.k8s.io/v1 AdmissionReview objects'),
  body_too_large: error('the body is larger than the limit', 'raise server.bodyBytesMax'),
  body_too_deep: error('the body is nested deeper than any pod', 'send a well-formed pod'),
  body_encoding: error('the body is compressed', 'send it uncompressed'),
  media_type: error('the content type is not application/json', 'send application/json'),
  unknown_path: error('there is nothing under this path', 'post to /mutate'),
  wrong_method: error('only POST is answered', 'use POST'),
  overloaded: error('more requests are waiting than can be answered in time', 'try again in a second'),
  draining: error('the server is about to end', 'try again, another replica answers'),
  deadline_exceeded: error('no answer could be found within the time-out', 'look at the API server and its latency'),
  facts_unavailable: error(
    'the cluster could not be asked about namespace or account',
    'look at the API server and our rights',
  ),
  body_aborted: error('the client went away before its body was complete', ''),
  internal_error: error('logtender failed while deciding', 'look at the log of logtender-webhook'),
} as const satisfies Readonly<Record<string, Reason>>;

export type ReasonCode = keyof typeof REASONS;

/**
 * The outcomes that become an Event on the owner of the pod: what was asked for does not come about, or not whole. Findings are told in
 * the message of such an Event. `injected` becomes one too, of type Normal, where there are warnings that not every pod has; the rest is for whoever looks.
 */
export const ANNOUNCED: readonly ReasonCode[] = [
  'injected_degraded',
  'inject_invalid',
  'invalid_values',
  'conflict_container',
  'conflict_volume',
  'windows_pod',
  'ends_without_native',
  'ends_as_container',
  'paused',
  'annotations_full',
];

/** Warnings that a pod has until its namespace has an account for stdout: an Event for each Deployment of a cluster would be noise. */
export const USUAL: readonly ReasonCode[] = ['stdio_account_unsure', 'stdio_not_shipped'];

/** The entry of a code. */
export function reasonOf(code: ReasonCode): Reason {
  return REASONS[code];
}

/** Sentence and remedy of a code. */
export function reasonText(code: ReasonCode): string {
  const { sentence, remedy } = reasonOf(code);
  return remedy === '' ? sentence : `${sentence}: ${remedy}`;
}

/** `invalid_value` as the API wants reasons of Events: `InvalidValue`. */
export function eventReason(code: ReasonCode): string {
  return code
    .split('_')
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join('');
}
