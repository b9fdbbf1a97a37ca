/**
 * `npm run image [-- --name REFERENCE] [--out FILE]`: the image without a builder, as an OCI image layout in one tar, and its bill of
 * materials beside it. SOURCE_DATE_EPOCH sets its date.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildImage } from './build.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const MIB = 1024 * 1024;

function main(args: readonly string[]): number {
  const { values } = parseArgs({
    args: [...args],
    options: { name: { type: 'string' }, out: { type: 'string', default: 'image/logtender.tar' } },
  });
  const epoch = Number(process.env['SOURCE_DATE_EPOCH'] ?? '0');
  if (!Number.isSafeInteger(epoch) || epoch < 0) {
    process.stderr.write(`SOURCE_DATE_EPOCH: expected seconds since 1970, got ${process.env['SOURCE_DATE_EPOCH']}\n`);
    return 2;
  }
  const image = buildImage({
    root: ROOT,
    sourceDateEpoch: epoch,
    ...(values.name === undefined ? {} : { reference: values.name }),
  });
  const out = resolve(values.out);
  const sbom = `${out.replace(/\.tar$/, '')}.spdx.json`;
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, image.archive);
  writeFileSync(sbom, image.sbom);
  const mib = (bytes: number): string => (bytes / MIB).toFixed(1);
  process.stdout.write(
    `${image.reference}@${image.digest}\n` +
      `${mib(image.compressedBytes)} MiB compressed, ${mib(image.unpackedBytes)} MiB unpacked\n${out}\n${sbom}\n`,
  );
  return 0;
}

process.exitCode = main(process.argv.slice(2));
