/**
 * An API server for fast tests: the API in memory, with a record of the calls and with faults on order.
 *
 * Faults: an answer instead of the call (`fail`), a write that happens although its answer is lost (`loseAnswer`).
 */
import { createMemoryKube } from '../../src/kube/memory.ts';
import { noAnswer } from '../../src/kube/client.ts';
import type { KubeClient, KubeFailure, KubeObject, KubeResult } from '../../src/kube/client.ts';

export interface KubeCall {
  readonly verb: 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete' | 'watch';
  readonly path: string;
}

export interface FakeKube extends KubeClient {
  /** Every call, oldest first. */
  readonly calls: readonly KubeCall[];
  /** Asked before each call: a failure is given instead of the call. */
  fail: (call: KubeCall) => KubeFailure | undefined;
  /** Asked after each successful write: true loses the answer. */
  loseAnswer: (call: KubeCall) => boolean;
  /** Runs before each call, for what others do at that moment. */
  before: (call: KubeCall) => Promise<void> | void;
  /** The object as it stands; fails the test when there is none. */
  object(path: string): Promise<KubeObject>;
  /** Past every fault and record: what another client does. */
  readonly others: KubeClient;
}

/** An empty API server, or another view of `others` (a second client of the same server). */
export function createFakeKube(others: KubeClient = createMemoryKube()): FakeKube {
  const calls: KubeCall[] = [];
  const call = async <T>(
    verb: KubeCall['verb'],
    path: string,
    run: () => Promise<KubeResult<T>>,
  ): Promise<KubeResult<T>> => {
    const made = { verb, path };
    calls.push(made);
    await fake.before(made);
    const failure = fake.fail(made);
    if (failure !== undefined) return failure;
    const result = await run();
    const isWrite = verb !== 'get' && verb !== 'list' && verb !== 'watch';
    return isWrite && result.ok && fake.loseAnswer(made) ? noAnswer('answer lost on order') : result;
  };
  const fake: FakeKube = {
    calls,
    others,
    fail: () => undefined,
    loseAnswer: () => false,
    before: () => {},
    object: async (path) => {
      const result = await others.get(path);
      if (!result.ok) throw new Error(`${path}: ${result.text}`);
      return result.value;
    },
    get: (path, options) => call('get', path, () => others.get(path, options)),
    list: (path, query, options) => call('list', path, () => others.list(path, query, options)),
    create: (path, body, options) => call('create', path, () => others.create(path, body, options)),
    update: (path, body, options) => call('update', path, () => others.update(path, body, options)),
    patch: (path, body, type, options) => call('patch', path, () => others.patch(path, body, type, options)),
    delete: (path, options) => call('delete', path, () => others.delete(path, options)),
    watch: (path, query, onEvent, signal, options) =>
      call('watch', path, () => others.watch(path, query, onEvent, signal, options)),
    close: () => {},
  };
  return fake;
}
