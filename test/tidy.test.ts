/**
 * The house rules as a test: import arrows, libraries in their rooms, banned calls, file headers.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');

/** Room -> rooms that it may import (itself is always allowed). DESIGN: arrows point one way. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  'src/core': [],
  'src/pattern': ['src/core'],
  'src/config': ['src/core', 'src/pattern'],
  'src/kernel': ['src/core', 'src/config'],
  'src/kube': ['src/core', 'src/config'],
  'src/admin': ['src/core', 'src/config'],
  'src/parse': ['src/core', 'src/config', 'src/kernel', 'src/pattern'],
  'src/source': ['src/core', 'src/config', 'src/kernel', 'src/parse'],
  'src/sinks': ['src/core', 'src/config', 'src/kernel', 'src/parse'],
  'src/pipeline': ['src/core', 'src/config', 'src/kernel', 'src/parse', 'src/source', 'src/sinks'],
  'src/main.ts': [
    'src/core',
    'src/config',
    'src/kernel',
    'src/admin',
    'src/parse',
    'src/source',
    'src/sinks',
    'src/pipeline',
  ],
  certs: ['src/core', 'src/config', 'src/kube', 'src/admin'],
  webhook: ['src/core', 'src/config', 'src/kube', 'src/admin', 'certs'],
  'src/cli': [
    'src/core',
    'src/config',
    'src/kernel',
    'src/kube',
    'src/admin',
    'src/parse',
    'src/source',
    'src/sinks',
    'src/pipeline',
    'src/main.ts',
    'certs',
    'webhook',
  ],
  deploy: [],
};

/** Library -> the only places in the product that load it. */
const LIBRARY_ROOMS: Readonly<Record<string, readonly string[]>> = {
  express: ['webhook/server.ts'],
  '@kubernetes/client-node': ['src/kube/'],
  'fast-json-patch': ['webhook/patch.ts'],
  'node-forge': ['certs/authority.ts'],
  'prom-client': ['src/admin/prometheus.ts'],
  '@aws-sdk/': ['src/sinks/cloudwatch-logs/', 'src/sinks/aws/'],
  '@smithy/': ['src/sinks/cloudwatch-logs/', 'src/sinks/aws/'],
  yaml: ['src/config/', 'src/cli/'],
  esbuild: ['deploy/'],
  assemblyscript: ['deploy/kernel.ts'],
};

/** Call -> where it may stand. Time, chance, environment and console are parameters everywhere else. */
const BANNED: ReadonlyArray<readonly [pattern: RegExp, allowed: RegExp, why: string]> = [
  [/\bDate\.now\(/, /^src\/core\/clock\.ts$/, 'take a Clock'],
  [/\bnew Date\(\)/, /^src\/core\/clock\.ts$/, 'take a Clock'],
  [/\bMath\.random\(/, /^src\/core\/clock\.ts$/, 'take a Random'],
  [/\bconsole\./, /^$/, 'take a Log, or write to the stream that you were given'],
  [/\bprocess\.env\b/, /(^|\/)main\.ts$|^src\/cli\/|^deploy\//, 'parse the environment once, at the door'],
  [
    /\bfrom 'node:https?'|import\('node:https?'\)/,
    /^src\/(sinks|admin|kube|cli|source\/pod-log)\/|^webhook\//,
    'network in its rooms',
  ],
];

interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

function listSources(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

/** Static imports and re-exports, side-effect imports, dynamic imports: statements that begin a line, as prettier writes them. */
const IMPORT =
  /^(?:import|export)\s+(?:type\s+)?(?:\{[^}]*\}|\*(?:\s+as\s+\w+)?|\w+(?:\s*,\s*\{[^}]*\})?)\s+from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm;

function load(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const imports = [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
  return { path, text, imports };
}

function roomOf(path: string): string {
  if (path === 'src/main.ts') return 'src/main.ts';
  const [first, second] = path.split('/');
  return first === 'src' ? `src/${second ?? ''}` : (first ?? '');
}

const product = ['src', 'webhook', 'certs', 'deploy'].flatMap(listSources).map(load);
const tests = listSources('test').map(load);

describe('tidy', () => {
  it('import arrows point one way', () => {
    const wrong: string[] = [];
    for (const file of product) {
      const room = roomOf(file.path);
      const allowed = ARROWS[room];
      if (allowed === undefined) {
        wrong.push(`${file.path}: no such room`);
        continue;
      }
      for (const target of file.imports.filter((name) => name.startsWith('.'))) {
        const targetRoom = roomOf(relative(ROOT, resolve(ROOT, dirname(file.path), target)));
        const onlyMainComposes = target.endsWith('/main.ts') && room !== 'src/cli';
        if ((targetRoom !== room && !allowed.includes(targetRoom)) || onlyMainComposes)
          wrong.push(`${file.path} -> ${target}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('each library is loaded in its room alone', () => {
    const wrong: string[] = [];
    for (const file of product) {
      for (const name of file.imports.filter((target) => !target.startsWith('.') && !target.startsWith('node:'))) {
        const library = Object.keys(LIBRARY_ROOMS).find(
          (known) => name === known || name.startsWith(known.endsWith('/') ? known : `${known}/`),
        );
        if (library === undefined) wrong.push(`${file.path}: unknown library ${name}`);
        else if (!(LIBRARY_ROOMS[library] ?? []).some((room) => file.path.startsWith(room)))
          wrong.push(`${file.path}: ${name}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('the forwarder reaches neither express nor the Kubernetes client nor the metrics library', () => {
    const seen = new Set<string>();
    const open = ['src/main.ts'];
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      const file = product.find((candidate) => candidate.path === path);
      assert.ok(file !== undefined, `${path} exists`);
      for (const target of file.imports) {
        assert.ok(!['express', '@kubernetes/client-node', 'prom-client'].includes(target), `${path} loads ${target}`);
        if (target.startsWith('.')) open.push(relative(ROOT, resolve(ROOT, dirname(path), target)));
      }
    }
    assert.ok(seen.size > 5, 'the walk followed the imports');
  });

  it('time, chance, environment and console stay in their rooms', () => {
    const wrong: string[] = [];
    for (const file of product) {
      const code = file.text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '');
      for (const [pattern, allowed, why] of BANNED) {
        if (pattern.test(code) && !allowed.test(file.path)) wrong.push(`${file.path}: ${pattern.source}: ${why}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('every file says what it is for', () => {
    const wrong = [...product, ...tests]
      .filter((file) => !/^(#![^\n]*\n)?\/\*\*\s/.test(file.text))
      .map((file) => file.path);
    assert.deepEqual(wrong, []);
  });

  it('names tell what a file does', () => {
    const refused = /(^|\/)(utils?|helpers?|common|misc|types|manager|processor)(\/|\.ts$|\.test\.ts$)/;
    assert.deepEqual(
      [...product, ...tests].map((file) => file.path).filter((path) => refused.test(path)),
      [],
    );
  });

  it('nothing is exported that nobody uses', () => {
    const unused: string[] = [];
    for (const file of product) {
      for (const match of file.text.matchAll(/^export (?:async )?(?:const|function|class|interface|type) (\w+)/gm)) {
        const word = new RegExp(`\\b${match[1] ?? ''}\\b`, 'g');
        const isUsedHere = [...file.text.matchAll(word)].length > 1;
        const isUsedElsewhere = [...product, ...tests].some((other) => other !== file && other.text.search(word) >= 0);
        if (!isUsedHere && !isUsedElsewhere) unused.push(`${file.path}: ${match[1] ?? ''}`);
      }
    }
    assert.deepEqual(unused, []);
  });

  it('the product does not import its tests', () => {
    const wrong = product
      .filter((file) => file.imports.some((target) => /(^|\/)test\//.test(target)))
      .map((file) => file.path);
    assert.deepEqual(wrong, []);
  });
});
