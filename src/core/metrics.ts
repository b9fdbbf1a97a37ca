/**
 * Counters, gauges and histograms in the Prometheus text format, small enough for the sidecar.
 *
 * Invariants: label values come from closed sets (reason codes, sink names, source kinds), never from user text, so the number
 * of series is bounded; more than `SERIES_MAX` of one metric go to the series `other="true"`.
 * Format: Prometheus text exposition format 0.0.4. May import: core.
 */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(value: number, labels?: Labels): void;
  value(labels?: Labels): number;
}
export interface Gauge {
  set(value: number, labels?: Labels): void;
  /** Sets this series and forgets all others: for a label that says which one of many it is now. */
  only(value: number, labels: Labels): void;
  value(labels?: Labels): number | undefined;
}
export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

export interface Metrics {
  counter(name: string, help: string): Counter;
  gauge(name: string, help: string): Gauge;
  histogram(name: string, help: string, buckets: readonly number[]): Histogram;
  /** Everything in the text exposition format. */
  expose(): string | Promise<string>;
}

/** Metrics whose text is there at once. */
export interface TextMetrics extends Metrics {
  expose(): string;
}

/** Bound on the series of one metric: 20 reasons x 10 sinks, with room. */
export const SERIES_MAX = 256;

/** One series of a metric: its labels in the order in which they are always given. */
export function seriesKey(labels: Labels): string {
  return JSON.stringify(labels);
}

interface Series {
  readonly labels: Labels;
  value: number;
  buckets: number[];
  count: number;
}

class Family {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  constructor(name: string, help: string, kind: Family['kind'], bounds: readonly number[] = []) {
    this.name = name;
    this.help = help;
    this.kind = kind;
    this.bounds = bounds;
  }

  at(labels: Labels): Series {
    const key = seriesKey(labels);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (this.#series.size >= SERIES_MAX && labels['other'] === undefined) return this.at({ other: 'true' });
    const made: Series = { labels, value: 0, buckets: this.bounds.map(() => 0), count: 0 };
    this.#series.set(key, made);
    return made;
  }

  clear(): void {
    this.#series.clear();
  }

  find(labels: Labels): Series | undefined {
    return this.#series.get(seriesKey(labels));
  }

  expose(): string {
    const lines = [`# HELP ${this.name} ${this.help}`, `# TYPE ${this.name} ${this.kind}`];
    for (const series of this.#series.values()) {
      if (this.kind !== 'histogram') {
        lines.push(`${this.name}${labelText(series.labels)} ${valueText(series.value)}`);
        continue;
      }
      this.bounds.forEach((bound, i) =>
        lines.push(
          `${this.name}_bucket${labelText({ ...series.labels, le: String(bound) })} ${series.buckets[i] ?? 0}`,
        ),
      );
      lines.push(`${this.name}_bucket${labelText({ ...series.labels, le: '+Inf' })} ${series.count}`);
      lines.push(`${this.name}_sum${labelText(series.labels)} ${series.value}`);
      lines.push(`${this.name}_count${labelText(series.labels)} ${series.count}`);
    }
    return lines.join('\n');
  }
}

/** Infinity as the text format writes it (Prometheus exposition formats, "Comments, help text, and type information"). */
function valueText(value: number): string {
  return value === Number.POSITIVE_INFINITY ? '+Inf' : String(value);
}

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(
    ([key, value]) => `${key}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  );
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

/** An empty registry. Asking twice for a name gives the same metric. */
export function createMetrics(): TextMetrics {
  const families = new Map<string, Family>();
  const family = (name: string, help: string, kind: Family['kind'], bounds?: readonly number[]): Family => {
    const known = families.get(name);
    if (known !== undefined) return known;
    const made = new Family(name, help, kind, bounds);
    families.set(name, made);
    return made;
  };
  return {
    counter: (name, help) => {
      const f = family(name, help, 'counter');
      return {
        add: (value, labels = {}) => {
          f.at(labels).value += value;
        },
        value: (labels = {}) => f.find(labels)?.value ?? 0,
      };
    },
    gauge: (name, help) => {
      const f = family(name, help, 'gauge');
      return {
        set: (value, labels = {}) => {
          f.at(labels).value = value;
        },
        only: (value, labels) => {
          f.clear();
          f.at(labels).value = value;
        },
        value: (labels = {}) => f.find(labels)?.value,
      };
    },
    histogram: (name, help, buckets) => {
      const f = family(name, help, 'histogram', buckets);
      return {
        observe: (value, labels = {}) => {
          const series = f.at(labels);
          series.value += value;
          series.count += 1;
          f.bounds.forEach((bound, i) => {
            if (value <= bound) series.buckets[i] = (series.buckets[i] ?? 0) + 1;
          });
        },
      };
    },
    expose: () => `${[...families.values()].map((f) => f.expose()).join('\n')}\n`,
  };
}
