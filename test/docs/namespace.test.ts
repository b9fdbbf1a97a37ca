/**
 * What `logtender namespace NAME` tells its reader is true of the code: keys, places, and rights that nobody needs yet.
 */
import assert from 'node:assert/strict';

import { namespaceManifests } from '../../src/cli/namespace.ts';
import { documentationOf } from '../../webhook/annotations.ts';

describe('the text of logtender namespace', () => {
  const text = namespaceManifests('shop');

  it('names keys that may stand on a namespace, each with a value that is valid', () => {
    const pairs = [...text.matchAll(/logging\.io\/([a-z-]+)=(\S+)/g)].map(([, key = '', value = '']) => [key, value]);
    for (const [key = '', value = ''] of pairs) {
      const about = documentationOf(key);
      assert(about?.places.some((place) => place === 'namespace' || place === 'namespace-label') === true, key);
      assert(about.parse(value).ok === true, `${key}=${value}`);
    }
    const keys = pairs.map(([key]) => key);
    for (const key of ['cpu-request', 'cpu-limit', 'memory-request', 'memory-limit']) assert(keys.includes(key), key);
    assert.match(text, /LimitRange/);
    assert.match(text, /ResourceQuota/);
  });

  it('says what the right is for, and when it is not needed', () => {
    assert.match(text, /stdout: api[^\n]*\n?[^\n]*Leave it out where files alone are shipped/);
  });
});
