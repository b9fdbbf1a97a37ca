/**
 * A test hook: the process ends like a power cut at one chosen point of one step.
 *
 * Invariant: without `LOGTENDER_FAULT_AT` there is none of it. It is how the promise "safe to crash before, in or after each step" is
 * shown on real processes. May import: src/core, certs.
 */
import { OperationalError } from '../src/core/errors.ts';
import type { WritingStep } from './apply.ts';

/** `before`: nothing of the step is written. `after`: the API server has confirmed the write, and the process knows nothing of it yet. */
export type FaultPoint = 'before' | 'after';

/** Called at both points of every step that writes. */
export type Fault = (step: WritingStep['kind'], point: FaultPoint) => void;

/** Every step that writes; the type sees to it that none is forgotten. */
const STEPS: Readonly<Record<WritingStep['kind'], true>> = {
  bootstrap: true,
  restore_ca: true,
  generate: true,
  publish: true,
  issue_leaf: true,
  restore_leaf: true,
  promote: true,
  forget: true,
  abandon: true,
  take_up: true,
  distrust: true,
  note_life: true,
};
const POINTS: readonly FaultPoint[] = ['before', 'after'];

/**
 * The fault that `text` (`<step>:<before|after>`, such as `promote:after`) asks for: `end` is called when that point is first reached.
 *
 * @throws OperationalError CONFIG_INVALID when it names no step or no point
 */
export function createFault(text: string, end: () => void): Fault {
  const known = Object.keys(STEPS).flatMap((step) => POINTS.map((point) => `${step}:${point}`));
  if (!known.includes(text)) {
    throw new OperationalError(
      'CONFIG_INVALID',
      `read LOGTENDER_FAULT_AT: expected one of ${known.join(', ')}, got ${JSON.stringify(text.slice(0, 64))}`,
      { hint: 'Remove it: it is for tests alone.' },
    );
  }
  let isDone = false;
  return (step, point) => {
    if (isDone || `${step}:${point}` !== text) return;
    isDone = true;
    end();
  };
}
