/**
 * A SIGTERM that came before process 1 listened: told by the trace that Node's own handler leaves. With a real process 1 of a namespace of
 * its own: test/servers/process-one.test.ts.
 */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { hasLostTerm, listenForEnd, wasTermLost } from '../../../src/core/lost-signal.ts';

/** As Node 24 has them: 2 SIGINT, 10 SIGUSR1, 11 SIGSEGV, 15 SIGTERM, 33 of the C library. */
const BOTH = 'SigCgt:\t0000000100004602';
const INT_ALONE = 'SigCgt:\t0000000100000602';
const NEITHER = 'SigCgt:\t0000000100000600';
const TERM_ALONE = 'SigCgt:\t0000000100004600';

describe('wasTermLost', () => {
  for (const [name, pid, status, expected] of [
    ['both are caught: none came', 1, BOTH, false],
    ['SIGTERM is not caught any more: it came', 1, INT_ALONE, true],
    ['neither is caught: a Node that does it otherwise', 1, NEITHER, false],
    ['SIGINT came, which nobody asks about', 1, TERM_ALONE, false],
    ['another process would not be there any more', 7, INT_ALONE, false],
    ['no such line', 1, 'Name:\tnode', false],
    ['no mask in it', 1, 'SigCgt:\t', false],
  ] as const)
    it(name, () =>
      assert.equal(wasTermLost(pid, `Name:\tnode\nSigIgn:\t0000000000000000\n${status}\nCapInh:\t0\n`), expected),
    );

  it('this process has lost none', () => assert.equal(hasLostTerm(), false));
});

describe('listenForEnd', () => {
  const received = (isOnce: boolean, isLost: boolean, signals: readonly string[]): readonly string[] => {
    const source = new EventEmitter();
    const told: string[] = [];
    const isLostNow = (): boolean => {
      assert.equal(source.listenerCount('SIGTERM'), 0, 'a listener hides the trace');
      return isLost;
    };
    listenForEnd((signal) => told.push(signal), { isOnce, source, isLost: isLostNow });
    for (const signal of signals) if (!source.emit(signal, signal)) told.push(`${signal} of the system`);
    return told;
  };

  for (const [name, isOnce, isLost, signals, told] of [
    ['each is told', false, false, ['SIGTERM', 'SIGINT', 'SIGTERM'], ['SIGTERM', 'SIGINT', 'SIGTERM']],
    [
      'once: the second ends the process, whichever it is',
      true,
      false,
      ['SIGTERM', 'SIGINT'],
      ['SIGTERM', 'SIGINT of the system'],
    ],
    ['a lost one comes at once', false, true, ['SIGTERM'], ['SIGTERM', 'SIGTERM']],
    ['a lost one is the first', true, true, ['SIGTERM'], ['SIGTERM', 'SIGTERM of the system']],
  ] as const)
    it(name, () => assert.deepEqual(received(isOnce, isLost, signals), told));
});
