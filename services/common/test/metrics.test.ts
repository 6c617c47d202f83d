// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from "node:child_process";
import test from "ava";
import { needs } from "../../../testbed/needs.js";
import { which } from "../../../testbed/process.js";
import {
  Counter,
  createRegistry,
  Histogram,
  labelText,
  Registry,
  readGauge,
  readHistogram,
  wantsOpenMetrics,
} from "../metrics.js";

test("a counter is born at 0, and its text says help, type and the labels of all", async (t) => {
  const registry = new Registry({ service: "x" });
  const plain = new Counter({ name: "a_total", help: "A", registers: [registry] });
  const by = new Counter({ name: "b_total", help: "B", labelNames: ["state"], registers: [registry], born: [{ state: "up" }] });
  plain.inc();
  by.inc({ state: "down" }, 2);
  t.is(
    await registry.text(),
    [
      "# HELP a_total A",
      "# TYPE a_total counter",
      'a_total{service="x"} 1',
      "# HELP b_total B",
      "# TYPE b_total counter",
      'b_total{service="x",state="up"} 0',
      'b_total{service="x",state="down"} 2',
      "",
    ].join("\n"),
  );
  t.throws(() => new Counter({ name: "a_total", help: "again", registers: [registry] }), { message: /a_total/ });
});

test("pages that are read at the same time stay what they were, however many are made meanwhile", async (t) => {
  const registry = new Registry();
  let now = 0;
  readGauge(registry, "a", "A", [], (say) => say({}, now));
  const pages = [];
  for (now = 1; now <= 5; now++) pages.push(await registry.page());
  const value = ({ pieces }: { pieces: Buffer[] }): string | undefined => Buffer.concat(pieces).toString().split("\n")[2];
  t.deepEqual(pages.map(value), ["a 1", "a 2", "a 3", "a 4", "a 5"]);
  for (const page of pages) page.release();
  t.regex(await registry.text(), /^a 6$/m);
});

test("OpenMetrics names a counter without its suffix, shows exemplars, and says where it ends", async (t) => {
  const registry = new Registry();
  new Counter({ name: "a_total", help: "A", registers: [registry] }).inc();
  const h = new Histogram({ name: "h_seconds", help: "H", labelNames: ["vip"], buckets: [0.1, 1], registers: [registry] });
  h.observe({ vip: "web" }, 0.05);
  h.observe({ vip: "web" }, 0.5, { traceId: "abc", unixMs: 1500 });
  h.observe({ vip: "web" }, 7);
  const open = await registry.text(true);
  for (const line of [
    "# TYPE a counter",
    "a_total 1",
    'h_seconds_bucket{vip="web",le="0.1"} 1',
    'h_seconds_bucket{vip="web",le="1"} 2 # {trace_id="abc"} 0.5 1.5',
    'h_seconds_bucket{vip="web",le="+Inf"} 3',
    'h_seconds_sum{vip="web"} 7.55',
    'h_seconds_count{vip="web"} 3',
  ])
    t.true(open.split("\n").includes(line), `${line} is not in\n${open}`);
  t.true(open.endsWith("# EOF\n"));
  t.notRegex(await registry.text(), /abc|EOF/);
  h.remove({ vip: "web" });
  t.notRegex(await registry.text(), /vip="web"/);
});

test("labels are escaped, and numbers written as Prometheus reads them", async (t) => {
  t.is(labelText({ a: 'x"y\\z\n' }), 'a="x\\"y\\\\z\\n"');
  const registry = new Registry();
  readGauge(registry, "g", "two\nlines", ["a"], (say) => {
    say({ a: "1" }, Number.POSITIVE_INFINITY);
    say('a="2"', Number.NaN);
  });
  const text = await registry.text();
  t.regex(text, /^# HELP g two\\nlines$/m);
  t.regex(text, /^g\{a="1"\} \+Inf$/m);
  t.regex(text, /^g\{a="2"\} NaN$/m);
});

test("a scraper gets OpenMetrics where it asks for it", (t) => {
  t.true(wantsOpenMetrics("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2"));
  t.false(wantsOpenMetrics("text/plain"));
  t.false(wantsOpenMetrics(undefined));
});

test("every metric's name fits its type, as Prometheus' own check wants it", async (t) => {
  const types = [...(await createRegistry("x", "y").text()).matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  t.true(types.some(([, name]) => name === "process_cpu_seconds_total"));
  for (const [, name = "", type] of types) t.is(name.endsWith("_total"), type === "counter", name);
});

const promtool = which("promtool");
needs(promtool, "needs promtool of Prometheus on PATH")("promtool has nothing against the text", async (t) => {
  const registry = createRegistry("x", "y");
  const edges = [0.1, 1];
  readHistogram(registry, { name: "t_seconds", help: "T", labelNames: ["vip"], edges }, (say) =>
    say({ vip: "web" }, [1, 2, 3], 9),
  );
  const text = await registry.text();
  t.notThrows(() =>
    execFileSync(promtool as string, ["check", "metrics"], { input: text, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] }),
  );
});
