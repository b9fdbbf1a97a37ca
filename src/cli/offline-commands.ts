/**
 * The commands that need no cluster, as rows of `logtender help`.
 *
 * Invariant: a command's code is loaded when it is run, and not before. May import: everything but test.
 */
import type { CommandIo } from './command-io.ts';

export interface OfflineCommand {
  /** Command line and meaning, one line. */
  readonly usage: string;
  /** What `logtender help COMMAND` adds. */
  readonly details: string;
  readonly run: (args: readonly string[], io: CommandIo) => Promise<number>;
}

const FACTS = `
What a cluster would know is said by options; what nobody says is assumed, and the line of the workload says so:
  -f FILE                          a manifest, - for the standard input; several are one stream
  -n, --namespace NAME             namespace of objects that name none (default)
  --namespace-label KEY=VALUE      label of the namespaces that are not among the manifests
  --namespace-annotation KEY=VALUE the same for annotations
  --config FILE                    the operator's webhook.yaml, or the ConfigMap that holds it; built-in defaults without it
  --kubelet-version 1.N            the oldest kubelet; 1.29 or newer is assumed
  --service-account NAME           an account that exists; without it, and without a ServiceAccount among the manifests, every named
                                   account is assumed to exist
`;

export const OFFLINE_COMMANDS: Readonly<Record<string, OfflineCommand>> = {
  inject: {
    usage: 'inject -f FILE|- [-o yaml|json|patch] [facts]   manifests with their sidecars, as the webhook would do it',
    details: `${FACTS}
  -o yaml|json|patch               format; without it that of the input. patch: one line of JSON a workload, RFC 6902 inside

Any mix of YAML documents, JSON and Lists; everything without a pod template passes as it is, comments included.
Exit 0; 1 when something that was asked for is not given or an object is invalid; 2 when the input cannot be read (nothing is written).
`,
    run: async (args, io) => (await import('./inject.ts')).runInject(args, io),
  },
  uninject: {
    usage: 'uninject -f FILE|- [-o yaml|json]   the same manifests without what logtender put into them',
    details: `
Takes manifests of inject and of kubectl get -o yaml. What was changed after the injection stays.
Exit 0; 2 when the input cannot be read (nothing is written).
`,
    run: async (args, io) => (await import('./uninject.ts')).runUninject(args, io),
  },
  diff: {
    usage: 'diff -f FILE|- [facts]   what inject would change, as a unified diff',
    details: `${FACTS}
Exit 0 without a difference, 1 with one (as diff and kubectl diff do), 2 when the input cannot be read.
`,
    run: async (args, io) => (await import('./diff.ts')).runDiff(args, io),
  },
  lint: {
    usage:
      'lint -f FILE|- [--strict] [-o text|json] [facts]   what is wrong with logging.io/ words in manifests, and where',
    details: `${FACTS}
  --strict                         warnings fail as errors do
  -o text|json                     lines of FILE:LINE:COLUMN, or one list of JSON

Exit 0; 1 when there is an error (with --strict: or a warning); 2 when the input cannot be read.
`,
    run: async (args, io) => (await import('./lint.ts')).runLint(args, io),
  },
  'athena-ddl': {
    usage: 'athena-ddl --bucket NAME [--prefix TEXT] [--table NAME]   the Athena table over what the S3 sink writes',
    details: `
  --bucket NAME                    the bucket
  --prefix TEXT                    what stands before year= in the keys, placeholders filled in
  --table NAME                     name of the table (logs)

Prints CREATE EXTERNAL TABLE with partition projection. Exit 0; 2 when a name cannot be.
`,
    run: async (args, io) => (await import('./athena-ddl.ts')).runAthenaDdl(args, io.out),
  },
};
