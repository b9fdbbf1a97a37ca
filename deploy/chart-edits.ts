/**
 * What makes a template of the chart out of a manifest: for each the texts that become values. Data for chart.ts.
 */

export interface Edit {
  /** Text of the manifest. */
  readonly find: string;
  readonly replace: string;
  /** How often the text is there; 1 by default. */
  readonly times?: number;
}

export interface TemplateSource {
  /** Relative to deploy/. */
  readonly manifest: string;
  /** Condition of the whole template. */
  readonly when?: string;
  readonly edits: readonly Edit[];
  /** Takes the place of everything from the line with which it begins to the end. */
  readonly tail?: string;
}

const SELF = 'eq .Values.certificates.mode "self"';
const NAMESPACE = '{{ .Release.Namespace }}';

const namespace = (times: number): Edit => ({
  find: 'namespace: logtender\n',
  replace: `namespace: ${NAMESPACE}\n`,
  times,
});

/** Namespaces that are never asked for: the values' beside ours and Kubernetes'. */
const exclusions = (times: number): Edit => ({
  find: 'values: [logtender, kube-system, kube-node-lease]',
  replace:
    'values: {{ concat (list .Release.Namespace "kube-system" "kube-node-lease") .Values.excludedNamespaces | toJson }}',
  times,
});

/** Adds lines behind a line that stays. */
const after = (find: string, lines: string): Edit => ({ find, replace: find + lines });

/** A block of a pod that is there when the value is. */
const optional = (indent: number, key: string, value: string): string => {
  const spaces = ' '.repeat(indent);
  return `${spaces}{{- with ${value} }}\n${spaces}${key}:\n${spaces}  {{- toYaml . | nindent ${indent + 2} }}\n${spaces}{{- end }}\n`;
};

const PREFERRED = `          # On different nodes where there are several; a node that is lost or alone still gets them all.
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              podAffinityTerm:
                topologyKey: kubernetes.io/hostname
                labelSelector:
                  matchLabels:
                    app.kubernetes.io/name: `;

/** What the operator may say of a Deployment, the same for both. */
function deployment(process: 'webhook' | 'certs', resources: string): readonly Edit[] {
  const name = `logtender-${process}`;
  const values = `.Values.${process}`;
  return [
    { find: '  replicas: 2\n', replace: `  replicas: {{ ${values}.replicas }}\n` },
    {
      find: `    metadata:\n      labels:\n        app.kubernetes.io/name: ${name}\n`,
      replace: `    metadata:\n${optional(6, 'annotations', `${values}.podAnnotations`)}      labels:\n        app.kubernetes.io/name: ${name}\n`,
    },
    after(
      `      serviceAccountName: ${name}\n`,
      `      {{- with .Values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      {{- with ${values}.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
${optional(6, 'nodeSelector', `${values}.nodeSelector`)}${optional(6, 'tolerations', `${values}.tolerations`)}`,
    ),
    {
      find: `${PREFERRED}${name}\n`,
      replace: `          {{- if eq ${values}.antiAffinity "required" }}
          requiredDuringSchedulingIgnoredDuringExecution:
            - topologyKey: kubernetes.io/hostname
              labelSelector:
                matchLabels:
                  app.kubernetes.io/name: ${name}
          {{- else }}
${PREFERRED}${name}
          {{- end }}
`,
    },
    {
      find: '          image: logtender\n          imagePullPolicy: IfNotPresent\n',
      replace:
        '          image: {{ include "logtender.image" . }}\n          imagePullPolicy: {{ .Values.image.pullPolicy }}\n',
    },
    { find: resources, replace: `            {{- toYaml ${values}.resources | nindent 12 }}\n` },
  ];
}

const CERTS_RESOURCES = `            requests:
              cpu: 10m
              memory: 192Mi
            limits:
              memory: 256Mi
`;
const WEBHOOK_RESOURCES = `            requests:
              cpu: 50m
              memory: 128Mi
            limits:
              # Room for the bodies in flight (server.inFlightBytesMax) while they are parsed.
              memory: 512Mi
`;

/** The webhook in the modes whose overlays are deploy/overlays/cert-manager and files. */
const MODES: readonly Edit[] = [
  after(
    `            - name: POD_NAMESPACE
              valueFrom:
                fieldRef:
                  fieldPath: metadata.namespace
`,
    `            {{- if ne .Values.certificates.mode "self" }}
            - name: WEBHOOK_TLS_MODE
              value: {{ .Values.certificates.mode }}
            {{- end }}
`,
  ),
  after(
    `            - name: config
              mountPath: /etc/logtender
              readOnly: true
`,
    `            {{- if eq .Values.certificates.mode "files" }}
            - name: serving-certificate
              mountPath: /etc/logtender-tls
              readOnly: true
            {{- end }}
`,
  ),
  after(
    `              - key: webhook.yaml
                path: webhook.yaml
`,
    `        {{- if eq .Values.certificates.mode "files" }}
        - name: serving-certificate
          secret:
            secretName: {{ .Values.certificates.filesSecret }}
            # Readable by the group that the pod runs as.
            defaultMode: 0440
        {{- end }}
`,
  ),
  after(
    '        runAsGroup: 65532\n',
    `        {{- if eq .Values.certificates.mode "files" }}
        fsGroup: 65532
        {{- end }}
`,
  ),
];

const SECRET_RULE = `  # The serving certificate, watched so that a renewal is served within a second.
  - apiGroups: ['']
    resources: [secrets]
    resourceNames: [logtender-tls]
    verbs: [get, list, watch]
`;

const API_PORTS = `        - port: 443
          protocol: TCP
        - port: 6443
          protocol: TCP
`;
const apiPeers = (side: 'from' | 'to'): string => `{{- with .Values.networkPolicy.apiServer.cidrs }}
      ${side}:
        {{- range . }}
        - ipBlock:
            cidr: {{ . }}
        {{- end }}
      {{- end }}
`;
const METRICS_RULE = `    {{- with .Values.networkPolicy.metricsFrom }}
    # Who scrapes metrics.
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        - port: admin
          protocol: TCP
    {{- end }}
`;
const apiEgress: Edit = {
  find: API_PORTS,
  replace: `        {{- range .Values.networkPolicy.apiServer.ports }}
        - port: {{ . }}
          protocol: TCP
        {{- end }}
      ${apiPeers('to')}`,
};

/** The manifest explains each key where it stands; here values.yaml does. The image is named once, for our pods and the sidecars. */
const CONFIG_DATA = `data:
  webhook.yaml: |
    {{- merge (deepCopy (.Values.config | default dict)) (dict "image" (include "logtender.image" .)) | toYaml | nindent 4 }}
  certs.yaml: |
    {{- toYaml .Values.certificates.config | nindent 4 }}
`;

/** Template -> what it is made of. */
export const EDITS: Readonly<Record<string, TemplateSource>> = {
  'config.yaml': { manifest: 'config.yaml', edits: [namespace(1)], tail: CONFIG_DATA },
  'certs-rbac.yaml': { manifest: 'certs-rbac.yaml', when: SELF, edits: [namespace(5)] },
  'certs.yaml': {
    manifest: 'certs.yaml',
    when: SELF,
    edits: [namespace(2), ...deployment('certs', CERTS_RESOURCES)],
  },
  'webhook-rbac.yaml': {
    manifest: 'webhook-rbac.yaml',
    edits: [
      namespace(5),
      {
        find: SECRET_RULE,
        replace: `  {{- if ne .Values.certificates.mode "files" }}\n${SECRET_RULE}  {{- end }}\n`,
      },
    ],
  },
  'webhook.yaml': {
    manifest: 'webhook.yaml',
    edits: [namespace(3), ...deployment('webhook', WEBHOOK_RESOURCES), ...MODES],
  },
  'webhook-configuration.yaml': {
    manifest: 'webhook-configuration.yaml',
    edits: [
      namespace(4),
      exclusions(4),
      after(
        '  name: logtender-injector\n',
        `  {{- if eq .Values.certificates.mode "cert-manager" }}
  annotations:
    cert-manager.io/inject-ca-from: ${NAMESPACE}/logtender-webhook
  {{- end }}
`,
      ),
    ],
  },
  'certificates.yaml': {
    manifest: 'overlays/cert-manager/certificates.yaml',
    when: 'eq .Values.certificates.mode "cert-manager"',
    edits: [namespace(4), { find: 'logtender-webhook.logtender.svc', replace: `logtender-webhook.${NAMESPACE}.svc` }],
  },
  'policy.yaml': {
    manifest: 'policy/report/policy.yaml',
    when: 'ne .Values.policy "none"',
    edits: [exclusions(1)],
  },
  'policy-report.yaml': {
    manifest: 'policy/report/binding-report.yaml',
    when: 'ne .Values.policy "none"',
    edits: [],
  },
  'policy-deny.yaml': { manifest: 'policy/deny/binding-deny.yaml', when: 'eq .Values.policy "deny"', edits: [] },
  'network-policy.yaml': {
    manifest: 'overlays/network-policy/network-policy.yaml',
    when: '.Values.networkPolicy.enabled',
    edits: [
      namespace(1),
      {
        find: '        - port: https\n          protocol: TCP\n',
        replace: `        - port: https\n          protocol: TCP\n      ${apiPeers('from')}${METRICS_RULE}`,
      },
      apiEgress,
    ],
  },
  'network-policy-certs.yaml': {
    manifest: 'overlays/network-policy/network-policy-certs.yaml',
    when: `and .Values.networkPolicy.enabled (${SELF})`,
    edits: [
      namespace(1),
      {
        find: '  ingress: []\n',
        replace: `  {{- if .Values.networkPolicy.metricsFrom }}\n  ingress:\n${METRICS_RULE}  {{- else }}\n  ingress: []\n  {{- end }}\n`,
      },
      apiEgress,
    ],
  },
};
