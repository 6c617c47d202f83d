// SPDX-License-Identifier: Apache-2.0
// A service's metrics, in the two texts that Prometheus reads. Most values are known elsewhere (a frame, a table of streams) and read when
// they are scraped, so that the tick pays nothing for them; a scrape of ten thousands of lines gives the loop a turn between its families.
import { collectDefaultMetrics, Registry as DefaultRegistry } from "prom-client";

export type Labels = Readonly<Record<string, string>>;
export type Type = "counter" | "gauge" | "histogram";

/** A value that is not its family's first: with a trace to look at. */
export interface Exemplar {
  labels: Labels;
  value: number;
  unixS: number;
}

/** What a scrape wants of a family. */
export interface Out {
  /** `labels`: an object, or the text that `labelText` made of one. */
  say(suffix: string, labels: Labels | string, value: number, exemplar?: Exemplar): void;
}

export interface Family {
  name: string;
  type: Type;
  help: string;
  labelNames: readonly string[];
  /** Lines that one set of labels makes. */
  linesEach: number;
  write(out: Out): void;
}

const TEXT = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/** A scrape holds the loop at most so long before others get their turn. */
const SLICE_MS = 2;

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
const number = (v: number): string => {
  if (v === Number.POSITIVE_INFINITY) return "+Inf";
  return v === Number.NEGATIVE_INFINITY ? "-Inf" : String(v);
};

/** `vip="web",server="10.0.0.1:80"`: made once where many families have a line of the same labels. */
export function labelText(labels: Labels): string {
  let out = "";
  for (const name in labels) out += `${out === "" ? "" : ","}${name}="${escaped(labels[name] as string)}"`;
  return out;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class Registry {
  readonly #families = new Map<string, Family>();
  readonly #base: string;
  readonly #defaults: DefaultRegistry | null = null;

  /** `base`: labels of every line. `process`: with the figures of the process and of Node. */
  constructor(base: Labels = {}, process = false) {
    this.#base = labelText(base);
    if (!process) return;
    this.#defaults = new DefaultRegistry();
    collectDefaultMetrics({ register: this.#defaults });
    for (const name of MISNAMED) this.#defaults.removeSingleMetric(name);
  }

  add(family: Family): void {
    if (this.#families.has(family.name)) throw new Error(`metric ${family.name}: there is one of this name`);
    this.#families.set(family.name, family);
  }

  get families(): readonly Family[] {
    return [...this.#families.values()];
  }

  /** Everything, as text; `open`: OpenMetrics, which alone has exemplars. */
  async text(open = false): Promise<string> {
    let out = "";
    let since = performance.now();
    for (const family of this.#families.values()) {
      out += this.#family(family, open);
      if (performance.now() - since < SLICE_MS) continue;
      await turn();
      since = performance.now();
    }
    return `${out}${await this.#ofProcess(open)}${open ? "# EOF\n" : ""}`;
  }

  #family({ name, type, help, write }: Family, open: boolean): string {
    const called = open && type === "counter" ? name.replace(/_total$/, "") : name;
    let out = `# HELP ${called} ${escaped(help)}\n# TYPE ${called} ${type}\n`;
    const base = this.#base;
    write({
      say(suffix, labels, value, exemplar) {
        const own = typeof labels === "string" ? labels : labelText(labels);
        const both = base !== "" && own !== "" ? `${base},${own}` : base + own;
        out += `${name}${suffix}${both === "" ? "" : `{${both}}`} ${number(value)}`;
        if (open && exemplar) out += ` # {${labelText(exemplar.labels)}} ${number(exemplar.value)} ${exemplar.unixS}`;
        out += "\n";
      },
    });
    return out;
  }

  async #ofProcess(open: boolean): Promise<string> {
    if (this.#defaults === null) return "";
    let out = "";
    for (const m of await this.#defaults.getMetricsAsJSON()) {
      const { name, help } = m;
      const type = String(m.type) as Type;
      const family: Family = {
        ...{ name, type, help, labelNames: [], linesEach: 1 },
        write({ say }) {
          for (const v of (m as { values?: DefaultValue[] }).values ?? [])
            say((v.metricName ?? name).slice(name.length), stringed(v.labels), v.value);
        },
      };
      out += this.#family(family, open);
    }
    return out;
  }
}

interface DefaultValue {
  value: number;
  metricName?: string;
  labels: Record<string, string | number>;
}

const stringed = (labels: DefaultValue["labels"]): Labels =>
  Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, typeof value === "number" ? number(value) : value]));

/** Gauges with a counter's name, which Prometheus' own check refuses; the figures by type stay. */
const MISNAMED = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"];

export const createRegistry = (service: string, instance: string): Registry =>
  new Registry({ service, instance_name: instance }, true);

export interface Described<L extends string> {
  name: string;
  help: string;
  labelNames?: readonly L[];
  registers: readonly Registry[];
}

/** A counter that its owner counts. Series are born at 0, so that a first event is seen as a growth: name their labels in `born`. */
export class Counter<L extends string = never> {
  readonly #values = new Map<string, number>();

  constructor(d: Described<L> & { born?: Iterable<Record<L, string>> }) {
    const { name, help, labelNames = [], registers } = d;
    if (!d.born && labelNames.length === 0) this.#values.set("", 0);
    for (const labels of d.born ?? []) this.#values.set(labelText(labels), 0);
    const write: Family["write"] = ({ say }) => {
      for (const [labels, value] of this.#values) say("", labels, value);
    };
    for (const r of registers) r.add({ name, help, type: "counter", labelNames, linesEach: 1, write });
  }

  inc(
    ...[labels, by = 1]: [L] extends [never] ? [labels?: undefined, by?: number] : [labels: Record<L, string>, by?: number]
  ): void {
    const key = labels ? labelText(labels) : "";
    this.#values.set(key, (this.#values.get(key) ?? 0) + by);
  }
}

interface Buckets {
  counts: Float64Array;
  sum: number;
  exemplars: (Exemplar | undefined)[];
}

/** A histogram of values that its owner observes. Upper edges, ascending. */
export class Histogram<L extends string = never> {
  readonly #edges: readonly number[];
  readonly #series = new Map<string, Buckets>();

  constructor(d: Described<L> & { buckets: readonly number[]; unixMs?: () => number }) {
    const { name, help, labelNames = [], registers, buckets } = d;
    this.#edges = buckets;
    if (labelNames.length === 0) this.#of("");
    const write: Family["write"] = (out) => {
      for (const [labels, b] of this.#series) sayBuckets(out, labels, this.#edges, b.counts, b.sum, b.exemplars);
    };
    for (const r of registers) r.add({ name, help, type: "histogram", labelNames, linesEach: buckets.length + 3, write });
  }

  /** `exemplar`: which trace shows this value. */
  observe(
    labels: [L] extends [never] ? undefined : Record<L, string>,
    value: number,
    exemplar?: { traceId: string; unixMs: number },
  ): void {
    const b = this.#of(labels ? labelText(labels) : "");
    let i = 0;
    while (i < this.#edges.length && value > (this.#edges[i] as number)) i++;
    b.counts[i] = (b.counts[i] as number) + 1;
    b.sum += value;
    if (exemplar) b.exemplars[i] = { labels: { trace_id: exemplar.traceId }, value, unixS: exemplar.unixMs / 1000 };
  }

  /** A series that nothing is observed of yet: all zero. */
  born(labels: Record<L, string>): void {
    this.#of(labelText(labels));
  }

  remove(labels: Record<L, string>): void {
    this.#series.delete(labelText(labels));
  }

  #of(key: string): Buckets {
    let b = this.#series.get(key);
    if (b === undefined) {
      b = { counts: new Float64Array(this.#edges.length + 1), sum: 0, exemplars: [] };
      this.#series.set(key, b);
    }
    return b;
  }
}

/** One series of a histogram. `counts`: a bucket each, one more than edges. */
export function sayBuckets(
  out: Out,
  labels: Labels | string,
  edges: readonly number[],
  counts: ArrayLike<number>,
  sum: number,
  exemplars: readonly (Exemplar | undefined)[] = [],
): void {
  const own = typeof labels === "string" ? labels : labelText(labels);
  const comma = own === "" ? "" : ",";
  let below = 0;
  for (let i = 0; i < edges.length; i++) {
    below += counts[i] as number;
    out.say("_bucket", `${own}${comma}le="${edges[i]}"`, below, exemplars[i]);
  }
  below += counts[edges.length] as number;
  out.say("_bucket", `${own}${comma}le="+Inf"`, below, exemplars[edges.length]);
  out.say("_sum", own, sum);
  out.say("_count", own, below);
}

/** Says one series' value. */
export type Say<L extends string> = (labels: Record<L, string> | string, value: number) => void;

function readValues(type: "counter" | "gauge") {
  return <L extends string>(
    registry: Registry,
    name: string,
    help: string,
    labelNames: readonly L[],
    read: (say: Say<L>) => void,
  ): void => {
    const write: Family["write"] = (out) => read((labels, value) => out.say("", labels, value));
    registry.add({ name, help, type, labelNames, linesEach: 1, write });
  };
}

/** A counter whose values are known elsewhere: `read` says them when it is scraped; what it does not say is gone. */
export const readCounter = readValues("counter");
/** The same for a gauge. */
export const readGauge = readValues("gauge");

/** The same for a histogram. Upper edges, ascending; `say`'s counts are a bucket each, one more than edges. */
export function readHistogram<L extends string>(
  registry: Registry,
  d: { name: string; help: string; labelNames: readonly L[]; edges: readonly number[] },
  read: (say: (labels: Record<L, string> | string, counts: ArrayLike<number>, sum: number) => void) => void,
): void {
  const { edges, ...described } = d;
  const write: Family["write"] = (out) => read((labels, counts, sum) => sayBuckets(out, labels, edges, counts, sum));
  registry.add({ ...described, type: "histogram", linesEach: edges.length + 3, write });
}

/** The content type that a scraper asked for. */
export const wantsOpenMetrics = (accept: string | undefined): boolean => /application\/openmetrics-text/.test(accept ?? "");
export const contentType = (open: boolean): string => (open ? OPEN_METRICS : TEXT);
