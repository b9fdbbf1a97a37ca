/**
 * Mocha root hooks (`require` in .mocharc): end the shared servers after the last test, and keep their logs when a test failed.
 *
 * May import: test/servers.
 */
import type { RootHookObject } from 'mocha';
import { stopShared } from './require-server.ts';
import { keepWorkFolders } from './work-folder.ts';

const STOP_MS_MAX = 60_000;

export const mochaHooks: RootHookObject = {
  afterEach(this: Mocha.Context) {
    if (this.currentTest?.state === 'failed') keepWorkFolders();
  },
  async afterAll(this: Mocha.Context) {
    this.timeout(STOP_MS_MAX);
    await stopShared();
  },
};
