// SPDX-License-Identifier: Apache-2.0
// Every query of every dashboard, asked of a real Prometheus that scrapes a real run: a panel without data is an empty one.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import * as grpc from "@grpc/grpc-js";
import { parse, stringify } from "yaml";
import { ask as asked } from "../../../services/common/grpc/ask.js";
import { v1 } from "../../../services/common/grpc/protos.js";
import { projectRoot } from "../../../services/common/root.js";
import { Child, freePort, which } from "../../../testbed/process.js";
import { Stack } from "../../../testbed/stack.js";
import { eventually, sleep } from "../../../testbed/wait.js";
import { OpenLoop } from "../../demo/open-loop.js";
import { startServers, stopServers } from "../../demo/pool.js";
import type { BenchOptions } from "../harness.js";
import { exact, row } from "../row.js";

export interface Panel {
  dashboard: string;
  title: string;
  exprs: string[];
}

interface Model {
  title: string;
  panels: { title: string; type: string; targets?: { expr: string }[]; panels?: Model["panels"] }[];
}

const ASK_MS = 10_000;
const FOLDER = path.join(projectRoot, "deploy/grafana");

/** Every panel that asks something. */
export function panels(): Panel[] {
  return readdirSync(FOLDER)
    .filter((f) => f.endsWith(".json"))
    .flatMap((f) => {
      const model = JSON.parse(readFileSync(path.join(FOLDER, f), "utf8")) as Model;
      const all = model.panels.flatMap((p) => [p, ...(p.panels ?? [])]);
      return all.flatMap((p) =>
        p.targets ? [{ dashboard: model.title, title: p.title, exprs: p.targets.map((x) => x.expr) }] : [],
      );
    });
}

/** As Grafana fills its variables in, with all of everything chosen. */
export const filled = (expr: string): string =>
  expr
    .replaceAll("$__rate_interval", "20s")
    .replaceAll("$__interval", "5s")
    .replaceAll("$__range", "60s")
    .replace(/\$\{?(\w+)(:\w+)?\}?/g, ".*");

/** Prometheus with deploy/prometheus.yml as it stands, but for the addresses. */
export async function prometheus(folder: string, targets: ReadonlyMap<string, string>): Promise<{ api: string; child: Child }> {
  const program = which("prometheus");
  if (program === null) throw new Error("prometheus is not on PATH (Debian: apt-get install prometheus)");
  const deploy = path.join(projectRoot, "deploy");
  const config = parse(readFileSync(path.join(deploy, "prometheus.yml"), "utf8")) as {
    rule_files: string[];
    scrape_configs: { static_configs: { targets: string[]; labels: { service: string } }[] }[];
    global: Record<string, string>;
  };
  config.rule_files = config.rule_files.map((f) => path.join(deploy, f));
  config.global = { ...config.global, scrape_interval: "2s", evaluation_interval: "2s" };
  for (const scraped of config.scrape_configs) {
    // The stack has no console.
    scraped.static_configs = scraped.static_configs.filter((s) => targets.has(s.labels.service));
    for (const s of scraped.static_configs) s.targets = [targets.get(s.labels.service) as string];
  }
  const file = path.join(folder, "prometheus.yml");
  writeFileSync(file, stringify(config));
  const port = await freePort();
  const child = new Child([
    program,
    `--config.file=${file}`,
    `--storage.tsdb.path=${path.join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--enable-feature=exemplar-storage",
  ]);
  const api = `http://127.0.0.1:${port}/api/v1`;
  await eventually("Prometheus answers", async () => (await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => null))?.ok);
  return { api, child };
}

export async function ask(api: string, query: string): Promise<unknown[]> {
  const r = (await (await fetch(`${api}/query?query=${encodeURIComponent(query)}`)).json()) as {
    status: string;
    error?: string;
    data?: { result: unknown[] };
  };
  if (r.status !== "success") throw new Error(`${query}: ${r.error}`);
  return r.data?.result ?? [];
}

/** One server is drained, and an experiment runs: its arm that waits goes along as a shadow. */
async function tried(stack: Stack, server: string): Promise<void> {
  const credentials = grpc.credentials.createInsecure();
  const [failover, inference] = [
    new v1.Failover(stack.at("failover"), credentials),
    new v1.Inference(stack.at("inference"), credentials),
  ];
  const now = Date.now();
  const times = { started_at_unix_ms: now, block_ms: 2000, deadline_unix_ms: now + 600_000, seed: 1 };
  try {
    await asked(failover, "Drain", { vip_id: 0, name: "web", address: server, reason: "bench" }, ASK_MS);
    await asked(
      inference,
      "StartExperiment",
      { id: "e1", vip: "web", candidate: "marl", baseline: "kalman", share: 0.5, ...times },
      ASK_MS,
    );
  } finally {
    failover.close();
    inference.close();
  }
}

export async function emptyPanels(o: BenchOptions): Promise<void> {
  const seconds = o.quick ? 40 : 75;
  o.progress(`see: every panel's queries after ${seconds} s of a real run`);
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-prometheus-"));
  const servers = await startServers(Array(4).fill(1), 20);
  const file = path.join(folder, "web.json");
  writeFileSync(file, JSON.stringify([{ targets: servers.map((s) => s.address) }]));
  const kept = { decisions: { folder: path.join(folder, "decisions") }, experiments: path.join(folder, "experiments") };
  const stack = await Stack.whole({
    servers: servers.map((s) => ({ address: s.address })),
    policy: "marl",
    vip: { discover: { file } },
    config: { inference: kept },
  });
  const [host, port] = stack.vip.split(":") as [string, string];
  const load = new OpenLoop({ host, port: Number(port), ratePerS: 50, meanMs: 20, seed: 1 });
  let child: Child | undefined;
  try {
    load.start();
    const started = await prometheus(folder, stack.metrics);
    child = started.child;
    await tried(stack, servers[0]?.address ?? "");
    await sleep(seconds * 1000);
    const empty: string[] = [];
    const all = panels();
    for (const p of all) {
      for (const expr of p.exprs) {
        if ((await ask(started.api, filled(expr))).length === 0) empty.push(`${p.dashboard}, ${p.title}: ${expr}`);
      }
    }
    for (const e of empty) o.progress(`empty: ${e}`);
    const n = all.reduce((sum, p) => sum + p.exprs.length, 0);
    const note = `${all.length} panels of ${new Set(all.map((p) => p.dashboard)).size} dashboards, ${n} queries`;
    o.report(row("see.grafana_empty_panels", "queries", "<= 0", exact(empty.length, n), note));
  } finally {
    await load.stop();
    await child?.stop();
    await stack.stop();
    await stopServers(servers);
    rmSync(folder, { recursive: true, force: true });
  }
}
