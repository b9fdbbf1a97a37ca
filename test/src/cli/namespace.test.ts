/**
 * What `logtender namespace` prints and refuses.
 */
import assert from 'node:assert/strict';

import { parseAllDocuments } from 'yaml';

import { namespaceManifests, runNamespace } from '../../../src/cli/namespace.ts';
import { SECRET_KEYS } from '../../../src/config/forwarder-config.ts';
import { OperationalError } from '../../../src/core/errors.ts';

describe('logtender namespace', () => {
  it('prints account, rights, binding and the form of the Secret, all in the namespace', () => {
    let text = '';
    runNamespace(['shop'], (part) => {
      text += part;
    });
    assert.equal(text, namespaceManifests('shop'));
    const objects = parseAllDocuments(text).map((document) => {
      assert.deepEqual(document.errors, []);
      return document.toJS() as {
        kind: string;
        metadata: { name: string; namespace: string };
        rules?: unknown;
        stringData?: unknown;
      };
    });
    assert.deepEqual(
      objects.map(({ kind, metadata }) => [kind, metadata.name, metadata.namespace]),
      [
        ['ServiceAccount', 'logtender-forwarder', 'shop'],
        ['Role', 'logtender-forwarder', 'shop'],
        ['RoleBinding', 'logtender-forwarder', 'shop'],
        ['Secret', 'logtender-sink', 'shop'],
      ],
    );
    assert.deepEqual(objects[1]?.rules, [
      { apiGroups: [''], resources: ['pods/log'], verbs: ['get'] },
      { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
    ]);
    assert.equal(objects[3]?.stringData, null, 'a form holds no credentials');
    for (const key of Object.keys(SECRET_KEYS)) assert(text.includes(`# ${key}: `), key);
  });

  for (const args of [[], ['a', 'b'], ['Shop'], [''], ['a/b'], ['a\nkind: Pod'], ['a'.repeat(64)]]) {
    it(`refuses ${JSON.stringify(args).slice(0, 30)}`, () => {
      assert.throws(
        () => runNamespace(args, () => {}),
        (error) => error instanceof OperationalError && error.code === 'USAGE' && error.hint !== undefined,
      );
    });
  }
});
