/**
 * rsyslog 8: imfile, a queue of its own for the ruleset, omelasticsearch in bulk mode.
 *
 * Tuned for throughput by its manual (rsyslog.com/doc), the page of each setting beside it. Where two are allowed the cheaper one is taken:
 * `index` without ids (`create` must name an id, omelasticsearch "writeoperation"), the state of a file saved at the end alone (imfile
 * "PersistStateInterval", 0 is the default), a queue in memory.
 */
import { METADATA, type Peer, type PeerCase, type PeerPlaces } from './peer.ts';

export const rsyslog: Peer = {
  name: 'rsyslog',
  versionArgs: ['-v'],
  versionOf: (said) => /^rsyslogd +(\d[\w.]*)/m.exec(said)?.[1],
  configure,
  args: (configuration, _places, modules) => ['-n', '-iNONE', '-M', modules, '-f', configuration],
};

function configure({ workload, metadata }: PeerCase, { state, log, port }: PeerPlaces): string {
  const { modules, input, actions, time, rest } = WORKLOADS[workload];
  const added = metadata === 'full' ? `${metadataJson()},` : '';
  return `# global(): lines up to 64 KiB, not cut at the default of 8 KiB ("Configuration Objects", maxMessageSize)
global(workDirectory="${state}" maxMessageSize="64k")
# imfile in its default mode, inotify ("imfile", mode)
module(load="imfile")
module(load="omelasticsearch")
${modules}
template(name="document" type="list") {
  ${constant('{"@timestamp":"')} ${time} ${constant(`",${added}`)} ${rest}
}
# "imfile": addMetadata off, the document does not use it
input(type="imfile" file="${log}" tag="app:" ruleset="ship" addMetadata="off"${input})
# "General Queue Parameters": FixedArray is the fast one of the queues in memory, larger batches perform better, and a batch is a bulk request
# ("omelasticsearch", bulkmode and maxbytes). One worker keeps the order of lines. imfile waits for a full queue.
ruleset(name="ship" queue.type="FixedArray" queue.size="${QUEUE_LINES}" queue.dequeueBatchSize="${BATCH_LINES}" queue.workerThreads="1") {
  ${actions}
  # "omelasticsearch": refused records go to errorFile; "Actions": action.resumeRetryCount -1 tries again without end
  action(type="omelasticsearch" server="http://127.0.0.1" serverport="${port}" template="document" searchIndex="logs-bench" searchType=""
         bulkmode="on" errorFile="${state}/refused" action.resumeRetryCount="-1")
}
`;
}

/** Twenty batches. */
const QUEUE_LINES = 80_000;
const BATCH_LINES = 4_096;

interface Parts {
  readonly modules: string;
  readonly input: string;
  readonly actions: string;
  /** The record's time, and what of the document is behind the metadata ("Templates", list). */
  readonly time: string;
  readonly rest: string;
}

const WORKLOADS: Readonly<Record<PeerCase['workload'], Parts>> = {
  plain: {
    modules: '',
    input: '',
    actions: '',
    time: 'property(name="timereported" dateFormat="rfc3339")',
    rest: `property(outname="message" name="msg" format="jsonf") ${constant('}')}`,
  },
  json: {
    modules: 'module(load="mmjsonparse")',
    input: '',
    // "mmjsonparse": an empty cookie for lines that are JSON and nothing else.
    actions: 'action(type="mmjsonparse" cookie="")',
    time: 'property(name="$!time")',
    // The members of the line's object: all of it behind its opening brace.
    rest: 'property(name="$!all-json" position.from="2")',
  },
  cri: {
    modules: 'module(load="mmnormalize")',
    // "imfile", endmsg.regex: its example is this format. The parts come as one record; the header of the second stays in its text.
    input: ' endmsg.regex="^[^ ]+ (stdout|stderr) F "',
    // "mmnormalize", rule; liblognorm: word, rest.
    actions: 'action(type="mmnormalize" rule=["rule=:%time:word% %stream:word% %tag:word% %message:rest%"])',
    time: 'property(name="$!time")',
    rest: `${constant('"stream":"')} property(name="$!stream") ${constant('",')} property(outname="message" name="$!message" format="jsonf") ${constant('}')}`,
  },
};

/** A constant of a list template ("Templates"): quotes and backslashes as in C. */
function constant(text: string): string {
  return `constant(value=${JSON.stringify(text)})`;
}

/** The members of the metadata as JSON, nested, without the braces of the whole. */
function metadataJson(): string {
  const whole: Nested = {};
  for (const [path, value] of METADATA) put(whole, path.split('.'), value);
  return JSON.stringify(whole).slice(1, -1);
}

interface Nested {
  [name: string]: Nested | string;
}

function put(into: Nested, [first = '', ...rest]: readonly string[], value: string): void {
  if (rest.length === 0) {
    into[first] = value;
    return;
  }
  const found = into[first];
  const inner: Nested = typeof found === 'object' ? found : {};
  into[first] = inner;
  put(inner, rest, value);
}
