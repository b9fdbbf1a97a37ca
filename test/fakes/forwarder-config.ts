/**
 * A forwarder configuration for tests: what the env schema makes of the given variables, with the pod's own names filled in.
 */
import assert from 'node:assert/strict';
import { parseForwarderEnv, problemsText } from '../../src/config/forwarder-config.ts';
import type { ForwarderConfig } from '../../src/config/forwarder-config.ts';
import type { SourceInfo } from '../../src/core/record.ts';

/** Parses `env` on top of a usual pod; fails the test when the schema finds a problem. */
export function forwarderConfig(env: Readonly<Record<string, string>> = {}): ForwarderConfig {
  const parsed = parseForwarderEnv({
    CLUSTER_NAME: 'test',
    POD_NAMESPACE: 'shop',
    POD_NAME: 'web-7d9f-x2x',
    POD_UID: '11111111-2222-3333-4444-555555555555',
    NODE_NAME: 'node-1',
    APP_NAME: 'web',
    SINK_SECRET_DIR: '/nonexistent/secret',
    ...env,
  });
  assert(parsed.ok, parsed.ok ? '' : problemsText(parsed.problems));
  return parsed.value;
}

/** A source with an id of the right shape. */
export function sourceInfo(path = '/var/log/app/a.log', id = 'AAAABBBBCCCCDDDD'): SourceInfo {
  return { id, container: 'app', path, file: path.slice(1) };
}
