/**
 * Shows a pod the way `kubectl describe pod` does, cut to what injection changes.
 *
 * Pure: raw pod in, text out. May import: core.
 */

type Json = Readonly<Record<string, unknown>>;

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function objects(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(object) : [];
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === undefined ? '' : JSON.stringify(value);
}

/** The pod's name, account, annotations, containers and volumes as aligned text, ending in a newline. */
export function describePod(pod: unknown): string {
  const metadata = object(object(pod)['metadata']);
  const spec = object(object(pod)['spec']);
  const lines = [
    row('Name', text(metadata['name'] ?? metadata['generateName'])),
    row('Namespace', text(metadata['namespace'])),
    row('Service Account', text(spec['serviceAccountName'] ?? 'default')),
    ...entries('Annotations', object(metadata['annotations'])),
    ...containers('Init Containers', objects(spec['initContainers'])),
    ...containers('Containers', objects(spec['containers'])),
    ...volumes(objects(spec['volumes'])),
  ];
  return `${lines.join('\n')}\n`;
}

function row(name: string, value: string): string {
  return `${`${name}:`.padEnd(18)}${value}`;
}

/** Values of several lines stand below their key, as kubectl prints them. */
function entries(name: string, values: Json): readonly string[] {
  const lines = Object.entries(values).flatMap(([key, value]) => {
    const parts = text(value).split('\n');
    return parts.length === 1 ? [`${key}: ${parts[0] ?? ''}`] : [`${key}:`, ...parts.map((part) => `  ${part}`)];
  });
  if (lines.length === 0) return [row(name, '<none>')];
  return lines.map((line, i) => (i === 0 ? row(name, line) : `${' '.repeat(18)}${line}`));
}

function containers(title: string, list: readonly Json[]): readonly string[] {
  return list.length === 0 ? [] : [`${title}:`, ...list.flatMap(container)];
}

function container(item: Json): readonly string[] {
  const lines = [`  ${text(item['name'])}:`, field('Image', text(item['image']))];
  if (item['restartPolicy'] !== undefined) lines.push(field('Restart Policy', text(item['restartPolicy'])));
  if (Array.isArray(item['command'])) lines.push(field('Command', item['command'].map(text).join(' ')));
  if (Array.isArray(item['args'])) lines.push(field('Args', item['args'].map(text).join(' ')));
  for (const kind of ['limits', 'requests']) {
    const quantities = Object.entries(object(object(item['resources'])[kind]));
    if (quantities.length > 0)
      lines.push(field(kind, quantities.map(([name, value]) => `${name} ${text(value)}`).join(', ')));
  }
  const env = objects(item['env']);
  if (env.length > 0)
    lines.push(
      '    Environment:',
      ...env.map((entry) => `      ${`${text(entry['name'])}:`.padEnd(27)}${envValue(entry)}`),
    );
  const mounts = objects(item['volumeMounts']);
  if (mounts.length > 0) lines.push('    Mounts:', ...mounts.map((mount) => `      ${mountText(mount)}`));
  return lines;
}

function field(name: string, value: string): string {
  return `    ${`${name[0]?.toUpperCase()}${name.slice(1)}:`.padEnd(18)}${value}`;
}

function envValue(entry: Json): string {
  const path = object(object(entry['valueFrom'])['fieldRef'])['fieldPath'];
  return path === undefined ? text(entry['value']) : `(v1:${text(path)})`;
}

function mountText(mount: Json): string {
  const flags = [mount['readOnly'] === true ? 'ro' : 'rw'];
  if (mount['subPath'] !== undefined) flags.push(`path="${text(mount['subPath'])}"`);
  return `${text(mount['mountPath'])} from ${text(mount['name'])} (${flags.join(',')})`;
}

function volumes(list: readonly Json[]): readonly string[] {
  if (list.length === 0) return [];
  return [
    'Volumes:',
    ...list.flatMap((volume) => {
      const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
      return [`  ${text(volume['name'])}:`, field('Type', kind)];
    }),
  ];
}
