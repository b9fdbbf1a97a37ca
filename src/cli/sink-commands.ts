/**
 * The commands that talk to a destination, and their help.
 *
 * Each loads its own file when it runs. May import: everything but test.
 */
import type { CommandIo } from './command-io.ts';
import type { OfflineCommand } from './offline-commands.ts';

/** A command that also reads the environment: in a sidecar that is the sidecar's own. */
export interface SinkCommand extends Omit<OfflineCommand, 'run'> {
  readonly run: (
    args: readonly string[],
    io: CommandIo,
    env: Readonly<Record<string, string | undefined>>,
  ) => Promise<number>;
}

const WHERE = `  --url URL            in place of ELASTICSEARCH_URL
  --secret-dir FOLDER  in place of SINK_SECRET_DIR: one file per key of the sink Secret
Everything else comes from the environment, as the sidecar reads it: kubectl exec POD -c logtender -- has it all.
`;

export const SINK_COMMANDS: Readonly<Record<string, SinkCommand>> = {
  forward: {
    usage:
      'forward [--config FILE] [--check | --try LINE|- | --once] [-o text|json]   the forwarder, without Kubernetes',
    details: `
Ships the files that FILE names until a signal ends it. The configuration is one YAML file (docs/forward.md) and the env of the sidecar;
env wins. All that is wrong with it is said at once, before anything starts; a file that changes later is taken up without a restart.

  --config FILE        the file; without it env alone
  --check              says what would be shipped where, and ends
  --try LINE|-         the records that the line (-: the standard input) would become; what is dropped is told on standard error
  --once               ships what is there and ends
  -o text|json         form of --check

Exit 0; 1 with --once when not everything was delivered; 2 when the configuration is wrong.
`,
    run: async (args, io, env) => (await import('./forward.ts')).runForward(args, io, env),
  },
  check: {
    usage:
      'check sink [--sink NAME] [--write] [--url URL] [--secret-dir FOLDER] [-o text|json] | check injection [-n NAMESPACE]   what stands between us and a sink, or a pod and its sidecar',
    details: `
injection: asks the API server for a pod that asks, as a dry run, and looks for its sidecar. Takes --kubeconfig, --context and -n as
kubectl does; needs the right to create pods there. Exit 0 when the sidecar is there.

sink: name, connection, certificate and whose it is, clock, region, credentials, the right to write (which privilege on which index, which
IAM action on which ARN) and template, each with what to do. Nothing is written without --write, which sends one record.

  --sink NAME          one of the sinks that SINKS names, or another
${WHERE}Exit 0, 1 when a step has failed.
`,
    run: async (args, io, env) => (await import('./check.ts')).runCheck(args, io, env),
  },
  replay: {
    usage:
      'replay FILE --sink NAME [--config FILE] [--filter KEY=VALUE]... [--dry-run] [--again FILE] [--timeout 10m] [-o text|json]   sends dead records again',
    details: `
Sends the records of a dead letter to where they were meant to go, under the ids of their first sending: what is there already is
recognised by Elasticsearch, OpenSearch and S3. FILE is never changed. What is refused again, and lines that cannot be read, go to another
file with the new reason. After an interruption, a kill included, the same command goes on where it was.

  --sink NAME          elasticsearch, cloudwatch or s3: records that this sink refused
  --config FILE        the forwarder's file (docs/forward.md); without it the environment, as the sidecar reads it
  --filter KEY=VALUE   reason, source, path, container, since, before (times); several have to hold at once
  --dry-run            what would be sent where; sends nothing
  --again FILE         where what is left goes (FILE.again.ndjson)
  --timeout DURATION   gives up after this time (10m)

Exit 0 when all that was meant is delivered, 1 when something is left, 2 when the input is wrong.
`,
    run: async (args, io, env) => (await import('./replay.ts')).runReplay(args, io, env),
  },
  verify: {
    usage:
      'verify --ledger FILE|URL --sink elasticsearch|s3|cloudwatch|file [--config FILE] [--index PATTERN] [-o text|json]   is every delivered record there?',
    details: `
Holds the ledger of a forwarder against what its destination has, and names what is missing or twice by source and offset. Where the log
file is still there, it says which records are missing; else how many.

  --ledger FILE|URL    ledger.json of the state folder, or the page http://HOST:PORT/ledger
  --sink NAME          elasticsearch (OpenSearch too), s3, cloudwatch or file
  --config FILE        the forwarder's file (docs/forward.md); without it the environment, as the sidecar reads it
  --index PATTERN      in place of what the configuration names, dates as stars
  -o text|json         sentences, or a line of JSON for each source and one for all

CloudWatch Logs and files hold records at least once: there a record may be twice, in a log stream as often as the ledger allows.

Exit 0 when every delivered record is there once, 1 when one is missing or twice, 2 when that cannot be told.
`,
    run: async (args, io, env) => (await import('./verify.ts')).runVerify(args, io, env),
  },
  templates: {
    usage:
      'templates print|apply [--flavour elasticsearch|opensearch] [--pattern PATTERN] [--retention-days N] [--without-policy] [--url URL] [--secret-dir FOLDER]   index template, lifecycle and role',
    details: `
print: index template, lifecycle policy (ILM or ISM) and the role of a forwarder, as one JSON object with the path of each. apply: puts
policy and template into the cluster; the role stays yours to give. Where the policy is refused or cannot be sent, no template is written;
only a cluster that has no lifecycle API at all gets the template without, and that is said. Run it as a user that may manage templates and
policies; a forwarder needs only the role.

  --flavour NAME        print: elasticsearch unless given; apply: found out, where the cluster says it
  --pattern PATTERN     names of data streams (logs-logtender-*)
  --retention-days N    how long records are kept (30)
  --without-policy      the template alone, where logs are deleted in another way
${WHERE}Exit 0, 1 when the cluster refuses.
`,
    run: async (args, io, env) => (await import('./templates.ts')).runTemplates(args, io, env),
  },
};
