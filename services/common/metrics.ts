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
/** UTF-16 units. */
const PIECE = 1 << 13;

/** Names, addresses and help are plain ASCII here: what is not is shown as "?", and the page's bytes are its characters. */
const ODD = /[\\"\n]|[^\x20-\x7e]/;
const escaped = (text: string): string =>
  ODD.test(text)
    ? text
        .replaceAll("\\", "\\\\")
        .replaceAll("\n", "\\n")
        .replaceAll('"', '\\"')
        .replace(/[^\x20-\x7e]/g, "?")
    : text;
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
  /** Of the last page. */
  #size = PIECE;

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
    return (await this.page(open)).toString();
  }

  /** The same, as bytes. */
  async page(open = false): Promise<Buffer> {
    const page = new Page(this.#size);
    let since = performance.now();
    for (const family of this.#families.values()) {
      this.#family(page, family, open);
      if (performance.now() - since < SLICE_MS) continue;
      await turn();
      since = performance.now();
    }
    await this.#ofProcess(page, open);
    if (open) page.add("# EOF\n");
    const bytes = page.end();
    this.#size = bytes.length;
    return bytes;
  }

  #family(page: Page, { name, type, help, write }: Family, open: boolean): void {
    const called = open && type === "counter" ? name.replace(/_total$/, "") : name;
    page.add(`# HELP ${called} ${escaped(help)}\n# TYPE ${called} ${type}\n`);
    const base = this.#base;
    const comma = base === "" ? "" : ",";
    const out: Out = {
      say(suffix, labels, value, exemplar) {
        const own = typeof labels === "string" ? labels : labelText(labels);
        if (own !== "") page.add(`${name}${suffix}{${base}${comma}${own}} ${number(value)}`);
        else page.add(`${name}${suffix}${base === "" ? "" : `{${base}}`} ${number(value)}`);
        if (open && exemplar) page.add(` # {${labelText(exemplar.labels)}} ${number(exemplar.value)} ${exemplar.unixS}`);
        page.add("\n");
      },
    };
    write(out);
  }

  async #ofProcess(page: Page, open: boolean): Promise<void> {
    if (this.#defaults === null) return;
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
      this.#family(page, family, open);
    }
  }
}

/** Text on its way to bytes in short pieces: one string of megabytes, grown line by line, would keep the collector busy longer than us. */
class Page {
  #bytes: Buffer;
  #length = 0;
  #piece = "";

  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafe(size + (size >> 3));
  }

  add(text: string): void {
    this.#piece += text;
    if (this.#piece.length > PIECE) this.#flush();
  }

  end(): Buffer {
    this.#flush();
    return this.#bytes.subarray(0, this.#length);
  }

  #flush(): void {
    const most = this.#length + this.#piece.length;
    if (most > this.#bytes.length) {
      const more = Buffer.allocUnsafe(2 * most);
      this.#bytes.copy(more, 0, 0, this.#length);
      this.#bytes = more;
    }
    this.#length += this.#bytes.write(this.#piece, this.#length, "latin1");
    this.#piece = "";
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

const endsOf = new WeakMap<readonly number[], readonly string[]>();

/** `,le="0.1"` of each edge and of what lies beyond. */
function ends(edges: readonly number[]): readonly string[] {
  let found = endsOf.get(edges);
  if (found === undefined) {
    found = [...edges, "+Inf"].map((e) => `,le="${e}"`);
    endsOf.set(edges, found);
  }
  return found;
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
  const le = ends(edges);
  let below = 0;
  for (let i = 0; i <= edges.length; i++) {
    below += counts[i] as number;
    const end = le[i] as string;
    out.say("_bucket", own === "" ? end.slice(1) : own + end, below, exemplars[i]);
  }
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
