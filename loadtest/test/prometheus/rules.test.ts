// SPDX-License-Identifier: Apache-2.0
// deploy/prometheus by Prometheus' own tool: rules that it takes, and each alert fires when its cause is there and resolves after it.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { parse } from "yaml";
import { projectRoot } from "../../../services/common/root.js";
import { needs } from "../../../testbed/needs.js";
import { which } from "../../../testbed/process.js";
import { scratch } from "../../../testbed/service.js";
import { filled, panels } from "../../bench/see/grafana.js";

const deploy = path.join(projectRoot, "deploy");
const read = (file: string): string => readFileSync(path.join(projectRoot, file), "utf8");

interface Alert {
  alert: string;
  annotations: { summary: string; runbook_url: string };
}
const alerts = (): Alert[] =>
  (parse(read("deploy/prometheus/alerts.yml")) as { groups: { rules: Alert[] }[] }).groups.flatMap((g) => g.rules);

test("each alert has a summary, a section in the runbook that its URL leads to, and a test of its own", (t) => {
  const runbook = read("docs/runbook.md");
  const tests = (parse(read("deploy/prometheus/alerts.test.yml")) as { tests: { name: string }[] }).tests.map((x) => x.name);
  t.true(alerts().length >= 18);
  for (const { alert, annotations } of alerts()) {
    t.true(runbook.includes(`\n## ${alert}\n`), alert);
    t.true(annotations.runbook_url.endsWith(`/runbook.md#${alert.toLowerCase()}`), alert);
    t.true(tests.includes(alert), alert);
  }
});

test("seven dashboards, each panel with a title, an id of its own and queries that name the load balancer or add up over all", (t) => {
  const all = panels();
  t.is(new Set(all.map((p) => p.dashboard)).size, 7);
  for (const p of all) {
    t.not(p.title, "");
    for (const e of p.exprs) t.notRegex(filled(e), /\$/, `${p.dashboard}, ${p.title}`);
  }
});

const promtool = which("promtool");
needs(promtool, "needs promtool of Prometheus on PATH")("promtool: configuration, rules, and the tests of the alerts", (t) => {
  const run = (...args: string[]): string =>
    execFileSync(promtool as string, args, { cwd: deploy, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  t.regex(run("check", "config", "prometheus.yml"), /SUCCESS/);
  t.regex(run("test", "rules", "prometheus/alerts.test.yml"), /SUCCESS/);
});

needs(promtool, "needs promtool of Prometheus on PATH")("promtool: every dashboard's query is one", (t) => {
  const rules = panels()
    .flatMap((p) => p.exprs)
    .map((expr, i) => ({ record: `q${i}`, expr: filled(expr) }));
  const folder = scratch();
  t.teardown(folder.remove);
  const file = folder.config(JSON.stringify({ groups: [{ name: "dashboards", rules }] }));
  t.notThrows(() => execFileSync(promtool as string, ["check", "rules", file], { stdio: "pipe" }));
});
