/**
 * The decision table of webhook/decision.ts, row by row.
 */
import assert from 'node:assert/strict';

import { decide } from '../../webhook/decision.ts';
import type { Decision, DecisionFacts } from '../../webhook/decision.ts';

const SILENT: DecisionFacts = {
  podInject: undefined,
  isNamespaceLabelled: false,
  isMirror: false,
  isPaused: false,
  onInvalid: 'warn',
  conflict: undefined,
  obstacle: undefined,
  isDegraded: false,
};
const POD = { ...SILENT, podInject: 'true' };
const NAMESPACE = { ...SILENT, isNamespaceLabelled: true };
type Level = 'pod' | 'namespace';
/** A level says that somebody asked, so that the status explains; without one nobody did. */
const skip = (reason: Decision['reason'], level?: Level): Decision =>
  level === undefined
    ? { action: 'skip', reason, isExplained: false }
    : { action: 'skip', reason, isExplained: true, level };
const deny = (reason: Decision['reason']): Decision => ({ action: 'deny', reason });

const TABLE: readonly (readonly [string, DecisionFacts, Decision])[] = [
  ['nobody asked', SILENT, skip('not_asked')],
  ['the pod asked', POD, { action: 'inject', reason: 'injected', level: 'pod' }],
  ['the namespace asked', NAMESPACE, { action: 'inject', reason: 'injected', level: 'namespace' }],
  [
    'both asked: the pod is more specific',
    { ...NAMESPACE, podInject: 'true' },
    { action: 'inject', reason: 'injected', level: 'pod' },
  ],
  ['the pod said no', { ...SILENT, podInject: 'false' }, skip('disabled_by_pod')],
  ['the pod beats its namespace', { ...NAMESPACE, podInject: 'false' }, skip('disabled_by_pod')],
  ['"yes" is explained', { ...SILENT, podInject: 'yes' }, skip('inject_invalid', 'pod')],
  ['"yes" under deny', { ...SILENT, podInject: 'yes', onInvalid: 'deny' }, deny('inject_invalid')],
  ['"True" is not "true"', { ...SILENT, podInject: 'True' }, skip('inject_invalid', 'pod')],
  [
    '"yes": the next lower level applies',
    { ...NAMESPACE, podInject: 'yes' },
    { action: 'inject', reason: 'injected_degraded', level: 'namespace' },
  ],
  [
    '"yes" in a labelled namespace under deny',
    { ...NAMESPACE, podInject: '', onInvalid: 'deny' },
    deny('invalid_values'),
  ],
  ['a pause comes before everything but silence', { ...POD, isPaused: true }, skip('paused', 'pod')],
  [
    'a pause lets pods through that would be refused',
    { ...POD, isPaused: true, onInvalid: 'deny', conflict: 'conflict_container', isDegraded: true },
    skip('paused', 'pod'),
  ],
  [
    'a pause lets a pod through whose wish cannot be read',
    { ...POD, podInject: 'yes', isPaused: true, onInvalid: 'deny' },
    skip('paused', 'pod'),
  ],
  ['a pause says nothing to who did not ask', { ...POD, podInject: undefined, isPaused: true }, skip('not_asked')],
  ['a pause says nothing to who said no', { ...POD, podInject: 'false', isPaused: true }, skip('disabled_by_pod')],
  ['a pause says that the namespace asked', { ...NAMESPACE, isPaused: true }, skip('paused', 'namespace')],
  [
    'an impossible shape says that the namespace asked',
    { ...NAMESPACE, obstacle: 'windows_pod' },
    skip('windows_pod', 'namespace'),
  ],
  ['mirror pods are left alone', { ...POD, isMirror: true }, skip('mirror_pod')],
  [
    'a bad value under warn',
    { ...POD, isDegraded: true },
    { action: 'inject', reason: 'injected_degraded', level: 'pod' },
  ],
  ['a bad value under deny', { ...POD, isDegraded: true, onInvalid: 'deny' }, deny('invalid_values')],
  ['a taken name under warn', { ...POD, conflict: 'conflict_container' }, skip('conflict_container', 'pod')],
  ['a taken name under deny', { ...POD, conflict: 'conflict_volume', onInvalid: 'deny' }, deny('conflict_volume')],
  [
    'a taken name of a pod that did not ask',
    { ...SILENT, conflict: 'conflict_volume', onInvalid: 'deny' },
    skip('not_asked'),
  ],
  [
    'an impossible shape is no bad value',
    { ...POD, obstacle: 'windows_pod', onInvalid: 'deny' },
    skip('windows_pod', 'pod'),
  ],
  [
    'a conflict is said before an obstacle',
    { ...POD, conflict: 'conflict_volume', obstacle: 'windows_pod' },
    skip('conflict_volume', 'pod'),
  ],
];

describe('decide', () => {
  for (const [name, facts, want] of TABLE) it(name, () => assert.deepEqual(decide(facts), want));
});
