/**
 * syslog-ng 3.38 and newer: file(), flow control, http() with the body of a bulk request.
 *
 * Tuned for throughput by its administration guide (syslog-ng.github.io/admin-guide), the chapter of each setting beside it. http() with a
 * constant action line instead of elasticsearch-http(), which is the same with an action line that is formatted anew for each record.
 */
import { METADATA, type Peer, type PeerCase, type PeerPlaces } from './peer.ts';

export const syslogNg: Peer = {
  name: 'syslog-ng',
  versionArgs: ['--version'],
  versionOf: (said) => /^syslog-ng +\S+ +\((\d[\w.]*)\)/m.exec(said)?.[1],
  configure,
  args: (configuration, { state }, modules) => [
    ...['--foreground', '--no-caps', '--stderr', `--module-path=${modules}`, `--cfgfile=${configuration}`],
    ...[`--persist-file=${state}/persist`, `--control=${state}/control`, `--pidfile=${state}/pid`],
  ],
};

/** About a mebibyte of plain lines, as large as a batch of ours. */
const BATCH_LINES = 5_000;
const BATCH_BYTES = 1_048_576;
/** Tried: 1,000 cost less than 5,000 and the default of 10. */
const FETCH_LINES = 1_000;
/** "log-iw-size() must be higher than batch-lines() * workers(), otherwise batches cannot become full" (elasticsearch-http() options). */
const WINDOW_LINES = 8 * BATCH_LINES;

function configure({ workload, metadata }: PeerCase, { log, port }: PeerPlaces): string {
  const { version, parser, document } = WORKLOADS[workload];
  const fields = metadata === 'full' ? METADATA.map(([path, value]) => ` ${path}=${value}`).join('') : '';
  return `@version: ${version}
options { use-dns(no); dns-cache(no); keep-hostname(yes); stats-freq(0); };
# "file: Collecting messages from text files", no-parse: the line is the message; follow-freq() is at its default.
# "Configuring flow-control": log-iw-size() counts the lines under way; log-fetch-limit() those that are read in one go.
source s_file {
  file("${log}" flags(no-parse) log-fetch-limit(${FETCH_LINES}) log-iw-size(${WINDOW_LINES}));
};
${parser}
# "http: Posting messages over HTTP without Java", batch mode. One worker keeps the order of lines; batch-timeout() as our flush interval.
# filter_path as ours asks for it: an answer that is read by nobody need not be long.
destination d_bulk {
  http(
    url("http://127.0.0.1:${port}/logs-bench/_bulk?filter_path=errors") method("POST") headers("Content-Type: application/x-ndjson")
    body('{"create":{}}
$(format-json ${document}${fields})')
    delimiter("\\n") body-suffix("\\n")
    batch-lines(${BATCH_LINES}) batch-bytes(${BATCH_BYTES}) batch-timeout(200) workers(1)
  );
};
# "Flow-control": reading waits for the destination, nothing is dropped.
log { source(s_file);${parser === '' ? '' : ' parser(p_line);'} destination(d_bulk); flags(flow-control); };
`;
}

interface Parts {
  /** Of the configuration's language; from 4.0 on numbers of a JSON line stay numbers ("Specifying data types in value-pairs"). */
  readonly version: string;
  readonly parser: string;
  /** Arguments of the template function format-json. */
  readonly document: string;
}

const WORKLOADS: Readonly<Record<PeerCase['workload'], Parts>> = {
  plain: { version: '3.38', parser: '', document: '--scope none @timestamp=$ISODATE message=$MESSAGE' },
  json: {
    version: '4.0',
    parser: 'parser p_line { json-parser(prefix("line.")); };',
    document: '--key line.* --shift-levels 1 @timestamp=${line.time}',
  },
  cri: {
    version: '3.38',
    // As kubernetes-file-parser() of its configuration library reads them (scl/kubernetes), but without its grouping-by(), which joins the parts
    // of a line: what that makes is not under flow control and is dropped when the queue is full. So each part is a record of its own. The
    // sink's answer has items for those with a number; syslog-ng does not read it.
    parser: `parser p_line {
  csv-parser(columns("line.time", "line.stream", "line.tag", "MESSAGE") delimiters(" ") flags(greedy));
};`,
    document: '--scope none @timestamp=${line.time} stream=${line.stream} message=$MESSAGE',
  },
};
