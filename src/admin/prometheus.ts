/**
 * The metrics port over prom-client, for the processes of the control plane: our own metrics, and what the process costs.
 *
 * Invariants: the names of a metric's labels are those of its first use; the number of series of one metric is bounded, what is beyond
 * goes to the series whose every label says `other`; nothing of the library is global. The forwarder keeps the small registry of
 * src/core/metrics.ts: this library costs memory in every pod. Format: Prometheus text exposition format 0.0.4. May import: core.
 */
import assert from 'node:assert/strict';

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

import { seriesKey, SERIES_MAX } from '../core/metrics.ts';
import type { Labels, Metrics } from '../core/metrics.ts';

/** How often the event loop is looked at: 20 wake-ups a second cost nothing, and a stall of one review's time-out is still seen. */
const LOOP_RESOLUTION_MS = 50;

/** A registry of its own with the metrics of the process (CPU, memory, event loop, garbage collection, handles). */
export function createPrometheusMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_RESOLUTION_MS });
  const families = new Map<string, Family>();
  const family = (name: string, help: string, kind: Family['kind'], buckets: readonly number[] = []): Family => {
    const known = families.get(name) ?? new Family({ name, help, kind, buckets, registry });
    assert(known.kind === kind, `${name} is a ${known.kind} and cannot be a ${kind} as well`);
    families.set(name, known);
    return known;
  };
  return {
    counter: (name, help) => {
      const own = family(name, help, 'counter');
      return { add: (value, labels = {}) => own.add(value, labels), value: (labels = {}) => own.value(labels) ?? 0 };
    },
    gauge: (name, help) => {
      const own = family(name, help, 'gauge');
      return {
        set: (value, labels = {}) => own.set(value, labels),
        only: (value, labels) => own.only(value, labels),
        value: (labels = {}) => own.value(labels),
      };
    },
    histogram: (name, help, buckets) => {
      const own = family(name, help, 'histogram', buckets);
      return { observe: (value, labels = {}) => own.observe(value, labels) };
    },
    expose: async () => {
      // A metric without a series yet is named all the same, so that people and alert rules find it.
      const waiting = [...families.values()].filter((one) => !one.isUsed).map((one) => one.head());
      return `${await registry.metrics()}${waiting.join('')}`;
    },
  };
}

interface FamilyOptions {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly buckets: readonly number[];
  readonly registry: Registry;
}

type Library =
  | { readonly kind: 'counter'; readonly metric: Counter }
  | { readonly kind: 'gauge'; readonly metric: Gauge }
  | { readonly kind: 'histogram'; readonly metric: Histogram };

/** One metric; the library's object is made at the first use, when the names of the labels are known. */
class Family {
  readonly kind: FamilyOptions['kind'];
  readonly #options: FamilyOptions;
  /** Last value by series: what `value` gives, and the bound on the number of series. */
  readonly #values = new Map<string, number>();
  #library: Library | undefined;

  constructor(options: FamilyOptions) {
    this.kind = options.kind;
    this.#options = options;
  }

  get isUsed(): boolean {
    return this.#library !== undefined;
  }

  head(): string {
    const { name, help, kind } = this.#options;
    return `\n# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`;
  }

  add(value: number, labels: Labels): void {
    const library = this.#open(labels);
    assert(library.kind === 'counter');
    const [key, kept] = this.#bounded(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + value);
    library.metric.inc(kept, value);
  }

  set(value: number, labels: Labels): void {
    const library = this.#open(labels);
    assert(library.kind === 'gauge');
    const [key, kept] = this.#bounded(labels);
    this.#values.set(key, value);
    library.metric.set(kept, value);
  }

  only(value: number, labels: Labels): void {
    const library = this.#open(labels);
    assert(library.kind === 'gauge');
    library.metric.reset();
    this.#values.clear();
    this.set(value, labels);
  }

  observe(value: number, labels: Labels): void {
    const library = this.#open(labels);
    assert(library.kind === 'histogram');
    const [key, kept] = this.#bounded(labels);
    this.#values.set(key, value);
    library.metric.observe(kept, value);
  }

  value(labels: Labels): number | undefined {
    return this.#values.get(seriesKey(labels));
  }

  #bounded(labels: Labels): readonly [key: string, labels: Labels] {
    const key = seriesKey(labels);
    if (this.#values.has(key) || this.#values.size < SERIES_MAX) return [key, labels];
    const other = Object.fromEntries(Object.keys(labels).map((name) => [name, 'other']));
    return [seriesKey(other), other];
  }

  #open(labels: Labels): Library {
    if (this.#library !== undefined) return this.#library;
    const { name, help, kind, buckets, registry } = this.#options;
    const shared = { name, help, labelNames: Object.keys(labels), registers: [registry] };
    if (kind === 'counter') this.#library = { kind, metric: new Counter(shared) };
    else if (kind === 'gauge') this.#library = { kind, metric: new Gauge(shared) };
    else this.#library = { kind, metric: new Histogram({ ...shared, buckets: [...buckets] }) };
    return this.#library;
  }
}
