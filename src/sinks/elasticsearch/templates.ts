/**
 * Index template, lifecycle policy and role for what this sink writes, for Elasticsearch and OpenSearch: pure.
 *
 * Field types: Elastic Common Schema field reference (`@timestamp` date, `message` match_only_text, `log.*`, `orchestrator.*`) and the
 * `kubernetes.*` names of Elastic's own shippers. What an app calls `error`, `service` or `trace` is left to the first record: where ECS has
 * an object and the app writes a text, a fixed mapping would refuse every such line. The priority is above 100, that of the built-in template `logs` for `logs-*-*`
 * (Elasticsearch reference, "Index templates", "Avoid index pattern collisions"). deploy/elasticsearch holds these objects as files,
 * kept equal by a test. May import: core, config.
 */

export const FLAVOURS = ['elasticsearch', 'opensearch'] as const;
export type Flavour = (typeof FLAVOURS)[number];

/** Name of template, policy and role. */
export const TEMPLATE_NAME = 'logtender';
/** The data streams of DEFAULTS.dataStream. */
export const TEMPLATE_PATTERN = 'logs-logtender-*';
export const TEMPLATE_RETENTION_DAYS = 30;

const PRIORITY = 200;
const VERSION = 2;

export interface TemplateOptions {
  readonly flavour: Flavour;
  /** Names of data streams, with `*`. */
  readonly pattern: string;
  readonly retentionDays: number;
  /** False where the cluster has no lifecycle policies (an unknown setting would refuse the template). */
  readonly hasPolicy: boolean;
  /** False where the cluster does not know the type `match_only_text` (Elasticsearch before 7.14, or without its mapper module). */
  readonly hasMatchOnlyText: boolean;
  /**
   * False where the cluster does not know `data_stream_options` (Elasticsearch before 8.19, and 9.0): an unknown field would refuse the
   * template. OpenSearch has no failure store. Source: elasticsearch-specification, IndexTemplateMapping, "Added in 8.19.0"; Elastic
   * documentation, "Failure store", "generally available since 9.1".
   */
  readonly hasFailureStore: boolean;
}

type Json = Readonly<Record<string, unknown>>;

const keyword = { type: 'keyword', ignore_above: 1024 } as const;
const object = (properties: Json): Json => ({ properties });

/** Body of `PUT /_index_template/logtender`. */
export function indexTemplate(options: TemplateOptions): Json {
  const { flavour, pattern, hasPolicy, hasMatchOnlyText, hasFailureStore } = options;
  // OpenSearch has match_only_text since 2.12, text in every version.
  const text = { type: flavour === 'elasticsearch' && hasMatchOnlyText ? 'match_only_text' : 'text' };
  return {
    index_patterns: [pattern],
    data_stream: {},
    priority: PRIORITY,
    version: VERSION,
    _meta: { managed_by: 'logtender' },
    template: {
      // What a failure store takes is answered with 201 and found by no search: refused, it goes to the dead letter under its own id.
      ...(flavour === 'elasticsearch' && hasFailureStore
        ? { data_stream_options: { failure_store: { enabled: false } } }
        : {}),
      settings: {
        'index.codec': 'best_compression',
        // A value that does not fit the type of its field costs the field, not the record (ignored fields are in `_ignored`).
        'index.mapping.ignore_malformed': true,
        'index.mapping.total_fields.limit': 2000,
        // `lifecycle.name` is Elasticsearch's; OpenSearch finds the policy by its own ism_template.
        ...(flavour === 'elasticsearch' && hasPolicy ? { 'index.lifecycle.name': TEMPLATE_NAME } : {}),
      },
      mappings: {
        // A text that looks like a date in one record and does not in the next would be refused.
        date_detection: false,
        dynamic_templates: [{ strings_as_keyword: { match_mapping_type: 'string', mapping: keyword } }],
        properties: {
          // The field that a data stream lives by must be well-formed.
          '@timestamp': { type: 'date', ignore_malformed: false },
          message: text,
          log: object({
            file: object({ path: keyword }),
            offset: { type: 'long' },
            level: keyword,
            logger: keyword,
          }),
          orchestrator: object({ cluster: object({ name: keyword }) }),
          kubernetes: object({
            namespace: keyword,
            pod: object({ name: keyword, uid: keyword }),
            container: object({ name: keyword }),
            node: object({ name: keyword }),
          }),
        },
      },
    },
  };
}

/** One lifecycle for both: a new backing index each day or at 50 GB, deleted after the retention. */
export function lifecyclePolicy(options: TemplateOptions): Json {
  return options.flavour === 'elasticsearch' ? ilmPolicy(options) : ismPolicy(options);
}

/** Body of `PUT /_ilm/policy/logtender` (Elasticsearch reference, ILM; max_primary_shard_size since 7.13). */
function ilmPolicy({ retentionDays }: TemplateOptions): Json {
  return {
    policy: {
      _meta: { managed_by: 'logtender' },
      phases: {
        hot: { actions: { rollover: { max_primary_shard_size: '50gb', max_age: '1d' } } },
        delete: { min_age: `${retentionDays}d`, actions: { delete: {} } },
      },
    },
  };
}

/** Body of `PUT /_plugins/_ism/policies/logtender` (OpenSearch documentation, Index State Management, policies and ism_template). */
function ismPolicy({ pattern, retentionDays }: TemplateOptions): Json {
  return {
    policy: {
      description: 'logtender: a new backing index each day or at 50 GB, deleted after the retention',
      default_state: 'hot',
      states: [
        {
          name: 'hot',
          actions: [{ rollover: { min_primary_shard_size: '50gb', min_index_age: '1d' } }],
          transitions: [{ state_name: 'delete', conditions: { min_rollover_age: `${retentionDays}d` } }],
        },
        { name: 'delete', actions: [{ delete: {} }], transitions: [] },
      ],
      ism_template: [{ index_patterns: [pattern], priority: PRIORITY }],
    },
  };
}

/**
 * The least that a forwarder needs: to create documents, and the data stream where it is not there yet; no reading, no deleting.
 *
 * Body of `PUT /_security/role/logtender` (Elasticsearch reference, Bulk API, prerequisites: create_doc, auto_configure), or of
 * `PUT /_plugins/_security/api/roles/logtender` (OpenSearch documentation, Bulk API and data streams, required permissions).
 */
export function writerRole({ flavour, pattern }: TemplateOptions): Json {
  if (flavour === 'elasticsearch') {
    return { cluster: [], indices: [{ names: [pattern], privileges: ['create_doc', 'auto_configure'] }] };
  }
  return {
    // A bulk is authorised as a whole, then item by item.
    cluster_permissions: ['indices:data/write/bulk'],
    index_permissions: [
      {
        // The backing indices of a data stream are checked by their own names.
        index_patterns: [pattern, `.ds-${pattern}`],
        allowed_actions: [
          'indices:data/write/index',
          'indices:data/write/bulk*',
          'indices:admin/auto_create',
          'indices:admin/mapping/put',
        ],
      },
    ],
  };
}
