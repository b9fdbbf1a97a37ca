/**
 * A SIGTERM that came while Node was starting, which process 1 of a container would never hear of.
 *
 * For process 1 the kernel drops a signal that has no handler (pid_namespaces(7)). Node catches SIGTERM from its first milliseconds on, to
 * put the terminal in order, once (SA_RESETHAND), and then raises it again: for process 1 that is dropped too (nodejs/node, src/node.cc,
 * SignalExit and PlatformInit). But it leaves a trace: from then on the process does not catch SIGTERM any more. Nothing else resets it
 * before somebody listens in JavaScript. What is left is the time from exec to PlatformInit: 5 to 180 ms were seen, by how busy the machine
 * was. A caller that blocks the signal does not help: Node unblocks it before it catches it.
 * May import: node:.
 */
import { readFileSync } from 'node:fs';

const SIGINT = 2;
const SIGTERM = 15;

/**
 * Did a SIGTERM come and go? To be asked once, right before the first listener is installed: a listener hides the trace.
 *
 * @param status of the process, as in /proc/PID/status (proc_pid_status(5))
 */
export function wasTermLost(pid: number, status: string): boolean {
  // Anybody else was ended by the signal.
  if (pid !== 1) return false;
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (mask === undefined) return false;
  const catches = (signal: number): boolean => ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
  // Node treats the two alike: where SIGINT is not caught either, this Node does something else, and nothing is known.
  return catches(SIGINT) && !catches(SIGTERM);
}

/** The same of this process; false where the system does not tell. */
export function hasLostTerm(): boolean {
  try {
    return wasTermLost(process.pid, readFileSync('/proc/self/status', 'utf8'));
  } catch {
    return false;
  }
}

type EndSignal = 'SIGTERM' | 'SIGINT';

/** Who sends the signals: the process. */
interface SignalSource {
  on(signal: EndSignal, receive: (signal: EndSignal) => void): unknown;
  off(signal: EndSignal, receive: (signal: EndSignal) => void): unknown;
}

/**
 * Listens for SIGTERM and SIGINT from now on; a SIGTERM that was lost before comes at once. To be called once in a process.
 *
 * @param receive told of each signal
 * @param options.isOnce of the first alone: a second one ends the process as if nobody listened
 */
export function listenForEnd(
  receive: (signal: EndSignal) => void,
  options: { readonly isOnce?: boolean; readonly source?: SignalSource; readonly isLost?: () => boolean } = {},
): void {
  const { isOnce = false, source = process, isLost = hasLostTerm } = options;
  const listener = (signal: EndSignal): void => {
    if (isOnce) for (const one of END_SIGNALS) source.off(one, listener);
    receive(signal);
  };
  // A listener hides the trace.
  const isLate = isLost();
  for (const signal of END_SIGNALS) source.on(signal, listener);
  if (isLate) listener('SIGTERM');
}

const END_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
