/**
 * What tests of the offline commands stand on: texts instead of files, and a run of a command with what it wrote.
 */
import { OperationalError } from '../../../src/core/errors.ts';
import type { CommandIo } from '../../../src/cli/command-io.ts';

export interface CommandRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command over texts by name; `-` is the standard input. */
export async function runCommand(
  run: (args: readonly string[], io: CommandIo) => Promise<number>,
  args: readonly string[],
  files: Readonly<Record<string, string>>,
): Promise<CommandRun> {
  let out = '';
  let err = '';
  const code = await run(args, {
    read: async (file) => {
      const text = files[file];
      if (text === undefined)
        throw new OperationalError('MANIFEST_UNREADABLE', `read ${file}: expected a file, got none`);
      return text;
    },
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    hasColour: false,
  });
  return { code, out, err };
}

/** A Deployment that asks, written as people write. */
export const DEPLOYMENT = `# The shop's front.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web   # the name
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations:
        logging.io/inject: "true"
        logging.io/files: '/var/log/app/*.log'   # ours
        logging.io/sink: console
        logging.io/stdout: "off"
    spec:
      containers:
      # The app itself.
      - name: app
        image: nginx
        env: [{name: MODE, value: "0644"}]
      # No more containers.
      securityContext:
        runAsUser: 1000
`;

/** A Pod in the same words. */
export const POD = `apiVersion: v1
kind: Pod
metadata:
  name: web-1
  annotations:
    logging.io/inject: "true"
    logging.io/files: /var/log/app/*.log
    logging.io/sink: console
    logging.io/stdout: "off"
spec:
  containers:
    - name: app
      image: nginx
`;
