/**
 * What every key of webhook.yaml and certs.yaml means, and whether a change of it needs a restart.
 *
 * The parsers say type, bounds and default of a key; this says the rest. Both together make the JSON Schemas in deploy/schema and
 * docs/config.md, and a test holds that neither knows a key that the other does not. May import: nothing.
 */

export interface KeyAbout {
  /** One sentence without a full stop; the unit of a number in it. */
  readonly meaning: string;
  /** True where a running process keeps the value that it started with. */
  readonly needsRestart: boolean;
}

const live = (meaning: string): KeyAbout => ({ meaning, needsRestart: false });
const atStart = (meaning: string): KeyAbout => ({ meaning, needsRestart: true });

/** Keys of webhook.yaml by path. */
export const WEBHOOK_KEYS: Readonly<Record<string, KeyAbout>> = {
  cluster: live('name of the cluster: {cluster} of templates and CLUSTER_NAME of the sidecar'),
  namespace: atStart('namespace of logtender itself; POD_NAMESPACE, where it is set, wins'),
  instance: atStart('suffix of every name of logtender, for a second install in one cluster'),
  hosts: atStart('DNS names and IP addresses that the certificate covers beside <service>.<namespace>.svc'),
  image: live('image of the sidecar; it has to name what was pushed, with its registry'),
  imagePullPolicy: live("pull policy of the sidecar; without it Kubernetes' own rule applies"),
  imagePullSecrets: live(
    'pull secrets for the image of the sidecar, by name in the namespace of each pod; added to those that the pod has',
  ),
  imagesAllowed: live('images that logging.io/image may name; one that ends with a star is a prefix'),
  resourcesMax: live('the most that annotations may ask for; what is above is refused with the code not_allowed'),
  'resourcesMax.cpu': live('most of logging.io/cpu-request and logging.io/cpu-limit, a quantity of CPUs'),
  'resourcesMax.memory': live('most of logging.io/memory-request and logging.io/memory-limit, a quantity of bytes'),
  serviceAccountMode: live(
    "whether a pod's service account may be switched to the one that is named: never, only from default, or always",
  ),
  elasticsearchUrl: live('where Elasticsearch or OpenSearch is, unless the sink Secret of a namespace says it'),
  elasticsearchGzip: live('true compresses the requests to Elasticsearch or OpenSearch'),
  elasticsearchSigning: live('aws signs the requests (Signature Version 4), for domains of Amazon OpenSearch Service'),
  elasticsearchRegion: live(
    'region that these requests are signed for; without it that of the host name of the domain, else awsRegion',
  ),
  cloudwatchEndpoint: live('another endpoint of CloudWatch Logs, for VPC endpoints and tests'),
  cloudwatch: live('how CloudWatch Logs is used (docs/cloudwatch.md)'),
  'cloudwatch.logGroupClass': live(
    'class of log groups that sidecars create, which cannot be changed later; without it standard',
  ),
  'cloudwatch.kmsKey': live('symmetric KMS key of log groups that sidecars create'),
  'cloudwatch.tags': live('tags of log groups that sidecars create'),
  'cloudwatch.rejected': live(
    'what becomes of events that are too old, too new or expired for the service: the dead letter, or once more with the time of now',
  ),
  'cloudwatch.requestsPerSecond': live('most PutLogEvents of one sidecar in a second; 0 sets no bound'),
  'cloudwatch.confirm': live('true reads back what may have been stored before it is sent again'),
  'cloudwatch.fips': live('true uses the FIPS 140 endpoints of AWS'),
  s3: live('how objects are written to S3; bucket and prefix are annotations, and keys of defaults (docs/s3.md)'),
  's3.endpoint': live('another server than AWS, for compatible stores and VPC endpoints'),
  's3.addressing': live(
    'where the bucket stands: virtual in the host name, path in the path; auto is virtual on AWS and path elsewhere, and for names with a dot',
  ),
  's3.compression': live('compression of an object'),
  's3.objectBytes': live('an object is closed when its records have so many bytes, before compression'),
  's3.objectAge': live('an object is closed when its first record has waited so long'),
  's3.storageClass': live("storage class of the objects; without it the bucket's"),
  's3.kmsKey': live('KMS key of the objects (SSE-KMS); without it the encryption of the bucket applies'),
  's3.tags': live('up to ten tags of every object'),
  's3.deadLetter': live('records that a sink refused for good go to dead-letter/ of the prefix as well'),
  awsRegion: live('AWS region of the sinks'),
  httpProxy: live('proxy of the sidecars for http:// destinations (HTTP_PROXY); without user and password'),
  httpsProxy: live('proxy of the sidecars for https:// destinations (HTTPS_PROXY); without user and password'),
  noProxy: live('hosts, with commas between, that the sidecars reach without the proxy (NO_PROXY)'),
  meshBypass: live('true takes the ports of the sinks out of a mesh whose proxy is a plain container (docs/shapes.md)'),
  stdoutNode: live(
    'true lets pods ask for logging.io/stdout: node, for which their sidecar gets a hostPath volume with the log files of its own pod',
  ),
  defaults: live(
    'values for every pod that asks, by annotation key without logging.io/; namespace and pod win over them',
  ),
  paused: live('true admits every pod as it is; who asked is told by status, warning and Event with the code paused'),
  logLevel: atStart('least severe lines of the log'),
  tls: atStart('where the serving certificate comes from'),
  'tls.mode': atStart(
    'who makes the certificate: logtender itself, cert-manager (into the Secret logtender-tls), or whoever writes the files; WEBHOOK_TLS_MODE, where it is set, wins',
  ),
  'tls.certFile': atStart('mode files: PEM of the leaf and its intermediates; read again when it changes'),
  'tls.keyFile': atStart('mode files: PEM of the private key'),
  'tls.caFile': atStart('mode files: PEM of the CA that the caBundle of the webhook configuration holds'),
  server: atStart('the server that API servers talk to'),
  'server.host': atStart('address to listen on; :: is all of IPv6 and IPv4'),
  'server.port': atStart('port for API servers; 0 takes a free one'),
  'server.adminPort': atStart('port of /livez, /readyz, /status and /metrics; 0 takes a free one'),
  'server.bodyBytesMax': atStart('longest request body, in bytes'),
  'server.inFlightBytesMax': atStart(
    'most bytes of all bodies that are worked on at one time; above it requests are answered with 503 and Retry-After',
  ),
  'server.requestTimeout': atStart('longest time from the first byte of a request to its answer'),
  'server.drain': atStart('how long requests are still served after SIGTERM'),
  'server.tlsMinVersion': atStart('oldest TLS that is spoken; 1.2 with AEAD ciphers alone'),
  'server.clientCa': atStart('makes API servers prove themselves by a client certificate (docs/security.md)'),
  'server.clientCa.file': atStart('PEM file with the CA of those certificates; read again when it changes'),
  'server.clientCa.names': atStart('common names or DNS names of which a certificate has to bear one; none takes any'),
  'server.pathToken': atStart('makes the path a secret (docs/security.md)'),
  'server.pathToken.file': atStart('file whose one or two lines are secret last parts of the path'),
};

/** Keys of certs.yaml by path. The process reads them once: a change takes a restart, which costs nothing but a Lease. */
export const CERTS_KEYS: Readonly<Record<string, KeyAbout>> = {
  namespace: atStart('namespace of the Secrets, the Lease and the Service; POD_NAMESPACE, where it is set, wins'),
  instance: atStart('suffix of every name of logtender, for a second install in one cluster'),
  hosts: atStart('DNS names and IP addresses of the leaf beside <service>.<namespace>.svc'),
  mode: atStart('who makes the certificate; in any mode but self this process writes nothing'),
  keyType: atStart('type of new keys; a leaf of another type is renewed at once, a CA when it is renewed anyway'),
  caLife: atStart('life of a CA; it is renewed at two thirds of it'),
  leafLife: atStart(
    'life of a leaf; it is renewed at two thirds of it. Of a shorter life than before the next leaf is the first: `logtender certs rotate --leaf` makes it now',
  ),
  backdate: atStart(
    'how long before its making a certificate is valid, for clocks that are behind; half of it is how far a clock may be off from the API server’s',
  ),
  settle: atStart('how long a CA is trusted everywhere before a leaf depends on it'),
  pruneMargin: atStart("how long after its last leaf's end a CA stays trusted"),
  restoreGrace: atStart('how long a replica without memory leaves a lost CA to the others; at least one tick'),
  tick: atStart('longest time between two looks at the cluster'),
  lease: atStart('how long a replica is left alone with the work after its last sign of life'),
  adminHost: atStart('address of /livez, /readyz, /status and /metrics'),
  adminPort: atStart('port of /livez, /readyz, /status and /metrics; 0 takes a free one'),
  logLevel: atStart('least severe lines of the log'),
};
