/**
 * `npm run build [-- FOLDER]`: one bundle per entry into dist/ (or FOLDER), and nothing else. With `--packages` it prints, in place of
 * the sizes, the folders of the npm packages that went in, as JSON.
 *
 * Bundles are ESM for the pinned Node. Libraries that still use `require` get it from the banner. Each AWS and Kubernetes library
 * stays behind its dynamic import, as a chunk of its own, so that a forwarder without that sink never reads it.
 */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import type { Plugin } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
const [folder = 'dist', flag] = process.argv.slice(2);
const outdir = resolve(root, folder);
const packages = new Set<string>();

/** Entry name in dist/ -> its composition root. */
const ENTRIES = {
  forwarder: 'src/main.ts',
  webhook: 'webhook/main.ts',
  certs: 'certs/main.ts',
  cli: 'src/cli/main.ts',
} as const;

/**
 * Leaves out what the kubeconfig's module of @kubernetes/client-node imports and we never call: the models of the whole API, which are
 * class definitions and nothing else, and undici, the agent for `fetch` (our requests go through node:https and its agents). Together
 * they are 40 MiB of resident memory of each process that talks to an API server.
 */
const LEAN_CLIENT: Plugin = {
  name: 'lean-client',
  setup: ({ onResolve, onLoad }) => {
    const isOfClient = (path: string): boolean => path.includes('/@kubernetes/client-node/dist/');
    // The library writes its own files with their whole names, so that there is nothing to look up; asking the bundler again for each of
    // its thousands of imports takes a minute.
    onResolve({ filter: /^\.{1,2}\/.*\.js$/ }, ({ path, importer, resolveDir }) => {
      if (!isOfClient(importer)) return undefined;
      const found = join(resolveDir, path);
      return found.includes('/dist/gen/') ? { path: found, sideEffects: false } : undefined;
    });
    onResolve({ filter: /^undici$/ }, ({ importer }) =>
      isOfClient(importer) ? { path: 'undici', namespace: LEAN_CLIENT.name } : undefined,
    );
    onLoad({ filter: /^undici$/, namespace: LEAN_CLIENT.name }, () => ({ contents: ABSENT_UNDICI }));
  },
};

/** Says what is missing instead of failing as an undefined constructor would, should the library ever make one. */
const ABSENT_UNDICI = [
  'export const fetch = globalThis.fetch;',
  ...['Agent', 'ProxyAgent'].map(
    (name) => `export class ${name} { constructor() { throw new Error('undici is not part of this bundle'); } }`,
  ),
].join('\n');

await rm(outdir, { recursive: true, force: true });
for (const [name, entry] of Object.entries(ENTRIES)) {
  const result = await build({
    entryPoints: { [name]: join(root, entry) },
    outdir,
    bundle: true,
    splitting: true,
    chunkNames: `${name}/[name]-[hash]`,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    outExtension: { '.js': '.mjs' },
    minifySyntax: true,
    minifyWhitespace: true,
    // A name is kept by a call for every function that is made: a tenth of what a review costs, and neither webhook nor forwarder asks for one.
    keepNames: name !== 'webhook' && name !== 'forwarder',
    legalComments: 'linked',
    metafile: true,
    plugins: [LEAN_CLIENT],
    logLevel: 'warning',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  for (const input of Object.values(result.metafile.outputs).flatMap((output) => Object.entries(output.inputs))) {
    const [path, { bytesInOutput }] = input;
    const found = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
    if (found !== undefined && bytesInOutput > 0) packages.add(found);
  }
  for (const [path, output] of Object.entries(result.metafile.outputs)) {
    if (path.endsWith(`/${name}.mjs`) && flag !== '--packages')
      process.stdout.write(`${path} ${Math.round(output.bytes / 1024)} KiB\n`);
  }
}
if (flag === '--packages') process.stdout.write(JSON.stringify([...packages].toSorted()));
