/**
 * `npm run build [-- FOLDER]`: one bundle per entry into dist/ (or FOLDER), and nothing else.
 *
 * Bundles are ESM for the pinned Node. Libraries that still use `require` get it from the banner. Each AWS and Kubernetes library
 * stays behind its dynamic import, as a chunk of its own, so that a forwarder without that sink never reads it.
 */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
const outdir = resolve(root, process.argv[2] ?? 'dist');

/** Entry name in dist/ -> its composition root. */
const ENTRIES = {
  forwarder: 'src/main.ts',
  webhook: 'webhook/main.ts',
  certs: 'certs/main.ts',
  cli: 'src/cli/main.ts',
} as const;

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
    keepNames: true,
    legalComments: 'linked',
    metafile: true,
    logLevel: 'warning',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  for (const [path, output] of Object.entries(result.metafile.outputs)) {
    if (path.endsWith(`/${name}.mjs`)) process.stdout.write(`${path} ${Math.round(output.bytes / 1024)} KiB\n`);
  }
}
