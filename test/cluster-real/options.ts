/**
 * The command line of `npm run cluster`. Pure.
 *
 * May import: node:.
 */
import { parseArgs } from 'node:util';

export const USAGE = `npm run cluster [-- OPTIONS]: a Kubernetes cluster on this machine with logtender in it, and an example

  --once           ends by itself: exit 0 when every line of the example arrived, and nothing is left running
  --context NAME   the same on your own cluster, by that context of your kubeconfig; needs --image
  --image NAME:TAG the image where the nodes of your cluster can pull it (npm run image makes one: docs/image.md)
  --help           this text
`;

export interface ClusterOptions {
  readonly once: boolean;
  /** A user's own cluster; undefined for one on this machine. */
  readonly own: { readonly context: string; readonly image: string } | undefined;
}

export type ParsedOptions =
  | { readonly kind: 'run'; readonly options: ClusterOptions }
  | { readonly kind: 'say'; readonly text: string; readonly code: 0 | 2 };

/** @param args what stands behind `--` */
export function parseOptions(args: readonly string[]): ParsedOptions {
  const wrong = (text: string): ParsedOptions => ({ kind: 'say', text: `cluster: ${text}\n\n${USAGE}`, code: 2 });
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        once: { type: 'boolean', default: false },
        context: { type: 'string' },
        image: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error));
  }
  const { once, context, image, help } = values;
  if (help) return { kind: 'say', text: USAGE, code: 0 };
  if ((context === undefined) !== (image === undefined))
    return wrong(
      context === undefined
        ? '--image goes with --context: on this machine the image is built'
        : '--context needs --image NAME:TAG: the nodes of your cluster have to pull it from somewhere',
    );
  if (image !== undefined && !/^[^\s:@]+(:\d+\/[^\s:@]+)?:[\w.-]+$/.test(image))
    return wrong(`--image: expected NAME:TAG such as registry.example/logtender:0.1.0, got ${image}`);
  const own = context === undefined || image === undefined ? undefined : { context, image };
  return { kind: 'run', options: { once, own } };
}
