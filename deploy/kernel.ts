/**
 * `npm run build:kernel`: compiles the byte kernel (src/kernel/assembly, AssemblyScript) into src/kernel/line-kernel-wasm.ts.
 *
 * The result is committed, as text: a checkout runs without a build, the bundles need no file beside them, and a test that compiles
 * anew and compares keeps it honest.
 */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import asc from 'assemblyscript/asc';

const ROOT = resolve(import.meta.dirname, '..');
const PROGRAM = 'src/kernel/assembly/line-kernel.ts';
/** What the program becomes, relative to the repository. */
export const KERNEL_MODULE = 'src/kernel/line-kernel-wasm.ts';

const OPTIONS: readonly string[] = [
  ...['-O3', '--converge', '--noAssert'],
  ...['--runtime', 'stub', '--importMemory', '--enable', 'simd'],
];

/** The text of KERNEL_MODULE. Rejects with the compiler's words when the program is wrong. */
export async function compileKernel(): Promise<string> {
  let binary: Uint8Array | undefined;
  const { error } = await asc.main([PROGRAM, ...OPTIONS, '--baseDir', ROOT, '--outFile', 'kernel.wasm'], {
    writeFile: (_name: string, contents: string | Uint8Array) => {
      if (typeof contents !== 'string') binary = contents;
    },
  });
  if (error !== null || binary === undefined) {
    throw new Error(`compile ${PROGRAM}: ${error?.message ?? 'nothing was written'}`);
  }
  const lines =
    Buffer.from(binary)
      .toString('base64')
      .match(/.{1,120}/g) ?? [];
  const text = lines.map((line) => `  '${line}',\n`).join('');
  const head = '/** Made by `npm run build:kernel` from assembly/line-kernel.ts; do not edit. */\n';
  return `${head}export const LINE_KERNEL_WASM: string = [\n${text}].join('');\n`;
}

if (process.argv[1] === import.meta.filename) writeFileSync(join(ROOT, KERNEL_MODULE), await compileKernel());
