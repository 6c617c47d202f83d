// SPDX-License-Identifier: Apache-2.0
// A service's metrics, in the two texts that Prometheus reads. Most values are known elsewhere (a frame, a table of streams) and read when
// they are scraped, so that the tick pays nothing for them; a scrape of ten thousands of lines gives the loop a turn between its families.
import { collectDefaultMetrics, Registry as DefaultRegistry } from "prom-client";
import { type Exemplar, escaped, Lines, labelText, numberText, type Part, WHOLE } from "./metrics-lines.js";

export { labelText } from "./metrics-lines.js";

export type Labels = Readonly<Record<string, string>>;
export type Type = "counter" | "gauge" | "histogram";

/** What a scrape wants of a family. */
export interface Out {
  /** `labels`: an object, or the text that `labelText` made of one. `part`: which of its lines, where a set of labels has several. */
  say(labels: Labels | string, value: number, part?: Part, exemplar?: Exemplar): void;
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

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A family, its head and lines in each of the two texts. */
interface Kept {
  family: Family;
  texts: Record<"plain" | "open", { head: Buffer; lines: Lines } | undefined>;
}

export interface Page {
  pieces: Buffer[];
  /** They were read: their memory is used again. Once, always. */
  release: () => void;
}

export class Registry {
  readonly #families = new Map<string, Kept>();
  readonly #base: string;
  readonly #defaults: DefaultRegistry | null = null;
  /** Pages that are made or read now. */
  #out = 0;

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
    this.#families.set(family.name, kept(family));
  }

  get families(): readonly Family[] {
    return [...this.#families.values()].map((k) => k.family);
  }

  /** Everything, as text; `open`: OpenMetrics, which alone has exemplars. */
  async text(open = false): Promise<string> {
    const { pieces, release } = await this.page(open);
    const text = Buffer.concat(pieces).toString();
    release();
    return text;
  }

  /** The same, as bytes in order. */
  async page(open = false): Promise<Page> {
    this.#out++;
    try {
      return { pieces: await this.#made(open), release: () => void this.#out-- };
    } catch (e) {
      this.#out--;
      throw e;
    }
  }

  async #made(open: boolean): Promise<Buffer[]> {
    const pieces: Buffer[] = [];
    let since = performance.now();
    for (const family of [...this.#families.values(), ...(await this.#process())]) {
      pieces.push(...this.#pieces(family, open));
      if (performance.now() - since < SLICE_MS) continue;
      await turn();
      since = performance.now();
    }
    if (open) pieces.push(Buffer.from("# EOF\n"));
    return pieces;
  }

  /** A family's head and lines. */
  #pieces({ family, texts }: Kept, open: boolean): [head: Buffer, lines: Buffer] {
    const which = open ? "open" : "plain";
    const { head, lines } = texts[which] ?? { head: headOf(family, open), lines: new Lines(family.name, this.#base) };
    texts[which] = undefined; // half a text is no template: it comes back when all lines are said
    lines.begin(this.#out === 1);
    family.write({
      say(labels, value, part = WHOLE, exemplar) {
        lines.say(typeof labels === "string" ? labels : labelText(labels), value, part, open ? exemplar : undefined);
      },
    });
    texts[which] = { head, lines };
    return [head, lines.end()];
  }

  async #process(): Promise<Kept[]> {
    if (this.#defaults === null) return [];
    const metrics = await this.#defaults.getMetricsAsJSON();
    return metrics.map((m) => {
      const { name, help } = m;
      const write: Family["write"] = ({ say }) => {
        for (const v of (m as { values?: DefaultValue[] }).values ?? [])
          say(stringed(v.labels), v.value, partOf((v.metricName ?? name).slice(name.length)));
      };
      return kept({ name, type: String(m.type) as Type, help, labelNames: [], linesEach: 1, write });
    });
  }
}

const kept = (family: Family): Kept => ({ family, texts: { plain: undefined, open: undefined } });

function headOf({ name, type, help }: Family, open: boolean): Buffer {
  const called = open && type === "counter" ? name.replace(/_total$/, "") : name;
  return Buffer.from(`# HELP ${called} ${escaped(help)}\n# TYPE ${called} ${type}\n`, "latin1");
}

const parts = new Map<string, Part>([["", WHOLE]]);
function partOf(suffix: string): Part {
  let part = parts.get(suffix);
  if (part === undefined) parts.set(suffix, (part = { suffix, label: "" }));
  return part;
}

interface DefaultValue {
  value: number;
  metricName?: string;
  labels: Record<string, string | number>;
}

const stringed = (labels: DefaultValue["labels"]): Labels =>
  Object.fromEntries(
    Object.entries(labels).map(([name, value]) => [name, typeof value === "number" ? numberText(value) : value]),
  );

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
      for (const [labels, value] of this.#values) say(labels, value);
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

const partsOf = new WeakMap<readonly number[], readonly Part[]>();
const SUM: Part = { suffix: "_sum", label: "" };
const COUNT: Part = { suffix: "_count", label: "" };

/** The line of each edge, and of what lies beyond. */
function bucketParts(edges: readonly number[]): readonly Part[] {
  let found = partsOf.get(edges);
  if (found === undefined) {
    found = [...edges, "+Inf"].map((e) => ({ suffix: "_bucket", label: `le="${e}"` }));
    partsOf.set(edges, found);
  }
  return found;
}

/** One series of a histogram. `counts`: a bucket each, one more than edges. */
function sayBuckets(
  out: Out,
  labels: Labels | string,
  edges: readonly number[],
  counts: ArrayLike<number>,
  sum: number,
  exemplars: readonly (Exemplar | undefined)[] = [],
): void {
  const own = typeof labels === "string" ? labels : labelText(labels);
  const buckets = bucketParts(edges);
  let below = 0;
  for (let i = 0; i <= edges.length; i++) {
    below += counts[i] as number;
    out.say(own, below, buckets[i], exemplars[i]);
  }
  out.say(own, sum, SUM);
  out.say(own, below, COUNT);
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
    const write: Family["write"] = (out) => read((labels, value) => out.say(labels, value));
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
