// SPDX-License-Identifier: Apache-2.0
// One run: rounds of one or two faults under traffic and orders; after each, what is in force must be what was ordered, at every
// replica and load balancer, and no request may have been lost but those that a fault may cost.
import type net from "node:net";
import * as grpc from "@grpc/grpc-js";
import { ask } from "../../services/common/grpc/ask.js";
import { v1 } from "../../services/common/grpc/protos.js";
import { controlText } from "../../testbed/control.js";
import { eventually, sleep } from "../../testbed/wait.js";
import { random } from "../demo/random.js";
import { drawFault, type Fault } from "./faults.js";
import type { Net } from "./net.js";
import { Operator } from "./operator.js";
import { Site } from "./site.js";
import { origin, Traffic } from "./traffic.js";

export interface ChaosOptions {
  seconds: number;
  seed: number;
  /** Only faults with this in their names. */
  only: string;
  /** Null: all on the loopback interface, and no packet is dropped. */
  net: Net | null;
  /** Aborted: the round under way is the last one. */
  interrupt: AbortSignal;
  say(line: string): void;
}

export interface ChaosReport {
  rounds: number;
  faults: Map<string, number>;
  orders: Map<string, number>;
  requests: number;
  /** Lost while a fault lasted that may cost them: connections of a data plane that was killed. */
  excused: number;
  /** Each a sentence. */
  ordersLost: string[];
  requestsLost: string[];
  drainsBroken: string[];
  /** Why it could not go on; null: it ended by itself, or was interrupted. */
  failed: string | null;
}

const SERVERS = 4;
const ORDER_MS = 250;
/** For everything to find together again after the last fault is mended. */
const SETTLE_MS = 45_000;
/** After which a fault's connections have failed or not. */
const AFTER_MS = 1000;

interface Window {
  vip: string;
  from: number;
  to: number;
}

/** Whatever happens, it resolves with what was seen so far. */
export async function chaos(o: ChaosOptions): Promise<ChaosReport> {
  const report: ChaosReport = {
    rounds: 0,
    faults: new Map(),
    orders: new Map(),
    requests: 0,
    excused: 0,
    ordersLost: [],
    requestsLost: [],
    drainsBroken: [],
    failed: null,
  };
  const origins: net.Server[] = [];
  try {
    const names = new Map<string, string>();
    for (let i = 0; i < SERVERS; i++) {
      const host = (await o.net?.address()) ?? "127.0.0.1";
      const s = await origin(`s${i}`, host);
      origins.push(s);
      names.set(`s${i}`, `${host}:${(s.address() as net.AddressInfo).port}`);
    }
    const site = await Site.start([...names.values()], 200, o.net);
    try {
      await rounds(o, site, names, report);
    } finally {
      await site.stop();
    }
  } catch (e) {
    report.failed = (e as Error).stack ?? String(e);
  }
  for (const s of origins) s.close();
  return report;
}

async function rounds(o: ChaosOptions, site: Site, names: Map<string, string>, report: ChaosReport): Promise<void> {
  const end = performance.now() + o.seconds * 1000;
  const draw = random(o.seed);
  const vips = site.of("dataplane").map((p) => p.address);
  const traffic = new Traffic(vips, 25, (vip) => void hung(site, vip, o.say));
  const operator = new Operator(site.of("failover"), [...names.values()], draw, report.orders);
  const windows: Window[] = [];
  try {
    await eventually("the replicas know the pool", async () => operator.agreed().catch(() => null));
    traffic.start();
    while (performance.now() < end && !o.interrupt.aborted) {
      const faults = drawRound(site, draw, o.only);
      o.say(`round ${++report.rounds}: ${faults.map((f) => `${f.at} ${f.name}`).join(", ")}`);
      for (const f of faults) {
        const name = `${f.name.replace(/^\d+ ms of /, "")}`;
        report.faults.set(name, (report.faults.get(name) ?? 0) + 1);
      }
      await round(faults, operator, windows, draw);
      await check(site, operator, traffic, names, report, o.say);
      count(traffic, windows, report, o.say);
    }
  } finally {
    await traffic.stop();
    count(traffic, windows, report, o.say);
    operator.close();
  }
}

/** Who lost a request while a fault lasted that may cost it is excused. */
function count(traffic: Traffic, windows: readonly Window[], report: ChaosReport, say: (line: string) => void): void {
  report.requests = traffic.requests;
  for (const l of traffic.lost.splice(0)) {
    if (windows.some((w) => w.vip === l.vip && l.ended >= w.from && l.asked <= w.to)) {
      report.excused++;
      continue;
    }
    const when = `asked ${Math.round(l.asked)} ms, ended ${Math.round(l.ended)} ms; this process was ${Math.round(traffic.late)} ms late`;
    report.requestsLost.push(`by the end of round ${report.rounds}: VIP ${l.vip}, ${when}: ${l.why}`);
    say(`  LOST: request ${report.requestsLost.at(-1)}`);
  }
  traffic.late = 0;
}

/** Where a VIP's flows hang; told before they are given up, or nobody knew it afterwards. */
async function hung(site: Site, vip: string, say: (line: string) => void): Promise<void> {
  const n = site.of("dataplane").findIndex((p) => p.address === vip) + 1;
  const all = await controlText(site.controlSocket(n), "show flows").catch((e: Error) => e.message);
  for (const line of all.split("\n").filter((l) => /age \d{4,}ms/.test(l) || !l.includes("age")))
    if (line) say(`  hangs at lb${n}: ${line}`);
}

/** One fault, or two at different places. */
function drawRound(site: Site, draw: () => number, only: string): Fault[] {
  const first = drawFault(site, draw, only);
  if (draw() < 0.5) return [first];
  for (;;) {
    const second = drawFault(site, draw, only);
    if (second.at !== first.at) return [first, second];
  }
}

async function round(faults: readonly Fault[], operator: Operator, windows: Window[], draw: () => number): Promise<void> {
  const work = operator.work(ORDER_MS);
  try {
    await sleep(500);
    const lasting: Window[] = [];
    for (const { costs, inject } of faults) {
      const open = costs && { vip: costs.vip, from: performance.now(), to: Number.POSITIVE_INFINITY };
      if (open) windows.push(open);
      await inject();
      if (open && costs.all) lasting.push(open);
      else if (open) open.to = performance.now();
    }
    await sleep(300 + draw() * 3500);
    for (const f of faults) await f.mend();
    for (const w of lasting) w.to = performance.now() + AFTER_MS;
    await sleep(500);
  } finally {
    await operator.pause();
    await work;
  }
}

/** Everything finds together again, on what was ordered; then no flow starts on a server that all agree is drained. */
async function check(
  site: Site,
  operator: Operator,
  traffic: Traffic,
  names: Map<string, string>,
  report: ChaosReport,
  say: (line: string) => void,
): Promise<void> {
  let last: { drained: Set<string>; override: string } | null = null;
  let served: string[] = [];
  const settled = async (): Promise<boolean> => {
    last = await operator.agreed().catch(() => null);
    if (last === null) return false;
    const from = performance.now();
    await sleep(1200);
    // On a machine with much to do an answer may take longer than that.
    for (let i = 0; i < 50 && traffic.since(from).size === 0; i++) await sleep(200);
    served = [...traffic.since(from)].map((s) => names.get(s) as string);
    return served.length > 0 && served.every((s) => !last?.drained.has(s));
  };
  try {
    await eventually("drains are in force", settled, SETTLE_MS);
  } catch {
    const seen = last as { drained: Set<string>; override: string } | null;
    const what = seen
      ? `drained: ${[...seen.drained].join(", ")}; served by ${served.join(", ") || "nobody"}; ${await agents(site)}`
      : "the failover replicas do not agree or do not answer";
    report.drainsBroken.push(
      `round ${report.rounds}: after ${SETTLE_MS / 1000} s flows still start on drained servers, or nothing is served (${what})`,
    );
    say(`  ${report.drainsBroken.at(-1)}`);
    for (const p of site.parts.values()) if (p.child?.ended) say(`  ${p.name} has ended: ${p.child.stderr}`);
  }
  const now = last as { drained: Set<string>; override: string } | null;
  if (now === null) return;
  for (const wrong of operator.judge(now)) {
    report.ordersLost.push(`round ${report.rounds}: ${wrong}`);
    say(`  LOST: ${wrong}`);
  }
}

/** What the agents say they do. */
async function agents(site: Site): Promise<string> {
  const all = site.of("shm-agent").map(async (p) => {
    const client = new v1.ShmAgent(p.address, grpc.credentials.createInsecure());
    try {
      const s = await ask(client, "GetStatus", {}, 3000);
      const vips = s.vips.map((v) => `term ${v.term}, ${v.ladder}, ${v.state}, ${v.source}, ${v.last_refusal}`);
      return `${p.name}: ${s.why_not}${vips.join("; ")}`;
    } catch (e) {
      return `${p.name}: ${(e as Error).message}`;
    } finally {
      client.close();
    }
  });
  return (await Promise.all(all)).join("; ");
}
