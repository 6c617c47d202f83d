// SPDX-License-Identifier: Apache-2.0
// docs/metrics.md, from the registries of the services as they are made: node scripts/run.mjs loadtest/docs/metrics.js writes it, and a
// test fails where it is not what this makes.
import path from "node:path";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { v1 } from "../../services/common/grpc/protos.js";
import { countCalls } from "../../services/common/grpc/server-metrics.js";
import { type Family, Registry } from "../../services/common/metrics.js";
import { processMetrics } from "../../services/common/process-metrics.js";
import { projectRoot } from "../../services/common/root.js";
import type { CreateService, CreateWebService } from "../../services/common/run.js";
import { LADDER_STEPS } from "../../services/common/vocabulary.js";
import { create as webConsole } from "../../services/console/service.js";
import { create as failover } from "../../services/failover/service.js";
import { create as health } from "../../services/health/service.js";
import { create as inference } from "../../services/inference/service.js";
import { create as agent } from "../../services/shm-agent/service.js";
import { context } from "../../testbed/fuzz.js";

export const FILE = path.join(projectRoot, "docs/metrics.md");

const SERVICES: readonly [name: string, about: string, create: CreateService | CreateWebService][] = [
  ["shm-agent", "The agent beside a data plane: what the data plane counts, its process, and the loop.", agent],
  ["inference", "Policies and models.", inference],
  ["health", "Checks and verdicts, of each replica.", health],
  ["failover", "Pools and orders, of each replica.", failover],
  ["console", "The page.", webConsole],
];

async function familiesOf(create: CreateService | CreateWebService): Promise<readonly Family[]> {
  const it = context("/dev/shm/none");
  const service = await create(it);
  const { families } = it.registry;
  await service.stop();
  return families;
}

function common(): readonly Family[] {
  const registry = new Registry();
  processMetrics(registry, { lines: { lost: 0, suppressed: 0 }, ready: () => true, spans: null });
  const none: readonly ServiceDefinition[] = [v1.Process.service];
  countCalls(registry, none, () => 0);
  return registry.families;
}

/** How many values a label has beside `vip` and `server`; where a series says the one state that holds, one. */
const VALUES: Record<string, number> = { step: LADDER_STEPS.length, source: 5, share: 3, reason: 10 };

const lines = (f: Family): number => f.labelNames.reduce((n, l) => n * (VALUES[l] ?? 1), f.linesEach);
const sum = (families: readonly Family[]): number => families.reduce((n, f) => n + lines(f), 0);

/** Series that one more server, one more VIP, and nothing at all make. */
function series(families: readonly Family[]): { server: number; vip: number; fixed: number } {
  const server = families.filter((f) => f.labelNames.includes("server"));
  const vip = families.filter((f) => !server.includes(f) && f.labelNames.includes("vip"));
  return { server: sum(server), vip: sum(vip), fixed: sum(families) - sum(server) - sum(vip) };
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");

const table = (families: readonly Family[]): string[] => [
  "| metric | type | labels | meaning |",
  "|---|---|---|---|",
  ...[...families]
    .sort((a, b) => a.name.localeCompare(b.name))
    .map((f) => `| \`${f.name}\` | ${f.type} | ${f.labelNames.map((l) => `\`${l}\``).join(", ") || "-"} | ${cell(f.help)} |`),
];

export async function page(): Promise<string> {
  const all: [string, string, readonly Family[]][] = [];
  for (const [name, about, create] of SERVICES) all.push([name, about, await familiesOf(create)]);
  const counted = all.map(([name, , families]) => ({ name, ...series(families) }));
  const of = (vips: number, servers: number) =>
    counted.reduce((n, c) => n + c.fixed + vips * c.vip + vips * servers * c.server, 0);
  return [
    "<!-- Written by `node scripts/run.mjs loadtest/docs/metrics.js`; a test fails where it is out of date. -->",
    "# Metrics",
    "",
    "Every line has the labels `service` and `instance_name`. Units are base units (seconds, bytes); a `_total` only grows, and begins anew with the process that",
    "counts it. A series goes with its VIP or server. `vip` is the VIP's name and `server` the server's address.",
    "",
    "## How many series",
    "",
    "| service | each server | each VIP | fixed |",
    "|---|---|---|---|",
    ...counted.map((c) => `| ${c.name} | ${c.server} | ${c.vip} | ${c.fixed} |`),
    "",
    `That is about ${of(1, 8)} for one VIP of 8 servers, and ${of(10, 64)} for 10 VIPs of 64 servers, without the figures of Node and of gRPC (some 200 a service). A`,
    "label's values are bounded: clients, requests and errors make none.",
    "",
    "Histograms have classic buckets: a page in text cannot hold native ones. A VIP's latency has the data plane's own 54 buckets, a server's every third edge of them, from 128 us to 12.6 s.",
    "",
    ...all.flatMap(([name, about, families]) => [`## ${name}`, "", about, "", ...table(families), ""]),
    "## Every service",
    "",
    "Beside these: `process_*` and `nodejs_*`, as prom-client has them.",
    "",
    ...table(common()),
    "",
  ].join("\n");
}
