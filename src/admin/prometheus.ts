/**
 * The metrics port over prom-client, for the processes of the control plane: our own metrics, and what the process costs.
 *
 * Invariants: the names of a metric's labels are those of its first use; the number of series of one metric is bounded, what is beyond
 * goes to the series whose every label says `other`; nothing of the library is global. Counters and gauges are kept here and given to
 * the library when somebody reads them: adding to one costs a look-up and no hash of its labels. The forwarder keeps the small registry of
 * src/core/metrics.ts: this library costs memory in every pod. Format: Prometheus text exposition format 0.0.4. May import: core.
 */
import assert from 'node:assert/strict';

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

import { seriesKey, SERIES_MAX } from '../core/metrics.ts';
import type { Labels, Metrics } from '../core/metrics.ts';

/** How often the event loop is looked at: 20 wake-ups a second cost nothing, and a stall of one review's time-out is still seen. */
const LOOP_RESOLUTION_MS = 50;

const NO_LABELS: Labels = {};

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
      return {
        add: (value, labels = NO_LABELS) => own.add(value, labels),
        value: (labels = {}) => own.value(labels) ?? 0,
      };
    },
    gauge: (name, help) => {
      const own = family(name, help, 'gauge');
      return {
        set: (value, labels = NO_LABELS) => own.set(value, labels),
        only: (value, labels) => own.only(value, labels),
        value: (labels = {}) => own.value(labels),
      };
    },
    histogram: (name, help, buckets) => {
      const own = family(name, help, 'histogram', buckets);
      return { observe: (value, labels = NO_LABELS) => own.observe(value, labels) };
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

interface Series {
  readonly labels: Labels;
  value: number;
}

/** One metric; the library's object is made at the first use, when the names of the labels are known. */
class Family {
  readonly kind: FamilyOptions['kind'];
  readonly #options: FamilyOptions;
  /** What `value` gives and what the library gets, and the bound on the number of series. */
  readonly #series = new Map<string, Series>();
  /** Labels that a caller keeps and gives again and again are recognised by what they are. */
  #known = new WeakMap<Labels, Series>();
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
    assert(this.kind === 'counter');
    this.#at(labels).value += value;
  }

  set(value: number, labels: Labels): void {
    assert(this.kind === 'gauge');
    this.#at(labels).value = value;
  }

  only(value: number, labels: Labels): void {
    this.#series.clear();
    this.#known = new WeakMap();
    this.set(value, labels);
  }

  observe(value: number, labels: Labels): void {
    const series = this.#at(labels);
    assert(this.#library?.kind === 'histogram');
    this.#library.metric.observe(series.labels, value);
  }

  value(labels: Labels): number | undefined {
    return this.#series.get(seriesKey(labels))?.value;
  }

  #at(labels: Labels): Series {
    const known = this.#known.get(labels);
    if (known !== undefined) return known;
    this.#library ??= this.#open(labels);
    const key = seriesKey(labels);
    const series = this.#series.get(key) ?? this.#made(key, labels);
    this.#known.set(labels, series);
    return series;
  }

  #made(key: string, labels: Labels): Series {
    if (this.#series.size >= SERIES_MAX) {
      const other = Object.fromEntries(Object.keys(labels).map((name) => [name, 'other']));
      const otherKey = seriesKey(other);
      if (key !== otherKey) return this.#series.get(otherKey) ?? this.#made(otherKey, other);
    }
    const series = { labels, value: 0 };
    this.#series.set(key, series);
    return series;
  }

  #open(labels: Labels): Library {
    const { name, help, kind, buckets, registry } = this.#options;
    const shared = { name, help, labelNames: Object.keys(labels), registers: [registry] };
    const all = this.#series;
    if (kind === 'histogram') return { kind, metric: new Histogram({ ...shared, buckets: [...buckets] }) };
    if (kind === 'gauge') {
      const collect = function (this: Gauge): void {
        this.reset();
        for (const one of all.values()) this.set(one.labels, one.value);
      };
      return { kind, metric: new Gauge({ ...shared, collect }) };
    }
    const collect = function (this: Counter): void {
      this.reset();
      for (const one of all.values()) this.inc(one.labels, one.value);
    };
    return { kind, metric: new Counter({ ...shared, collect }) };
  }
}
