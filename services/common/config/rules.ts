// SPDX-License-Identifier: Apache-2.0
// Rules that span several keys. Each problem names the path of the value that is wrong.
import { placeOf, planOf, planProblem } from "../checks/plan.js";
import { canonicalAddress, isWildcard } from "./address.js";
import { loopOf, overlaps } from "./own.js";
import { type Config, SERVICES } from "./schema.js";

export interface Problem {
  path: (string | number)[];
  message: string;
}

export function crossChecks(c: Config): Problem[] {
  const problems: Problem[] = [];
  const names = new Map<string, string>();
  const listeners: { address: string; protocol: string; where: string }[] = [];

  const listen = (address: string, path: (string | number)[], protocol = "tcp"): void => {
    const first = listeners.find((l) => l.protocol === protocol && overlaps(l.address, address));
    if (!first) {
      listeners.push({ address, protocol, where: path.join(".") });
    } else if (canonicalAddress(first.address) === canonicalAddress(address)) {
      problems.push({ path, message: `duplicate address ${address}: ${first.where} listens there already` });
    } else {
      problems.push({ path, message: `address ${address} overlaps ${first.address}, where ${first.where} listens` });
    }
  };
  const own = c.vips.map((v) => ({
    name: v.name,
    address: v.address,
    protocol: v.protocol,
    servers: v.servers.map((s) => s.address),
  }));

  for (const s of SERVICES) {
    listen(c.services[s].listen, ["services", s, "listen"]);
    listen(c.services[s].metrics, ["services", s, "metrics"]);
  }
  c.vips.forEach((vip, i) => {
    const first = names.get(vip.name);
    if (first !== undefined) problems.push({ path: ["vips", i, "name"], message: `duplicate name ${vip.name}: also ${first}` });
    else names.set(vip.name, `vips.${i}`);
    listen(vip.address, ["vips", i, "address"], vip.protocol);
    if (vip.responses > 0 && vip.protocol !== "udp") {
      problems.push({ path: ["vips", i, "responses"], message: "expected with protocol udp only" });
    }
    if (vip.discover && vip.pool === "managed") {
      problems.push({
        path: ["vips", i, "discover"],
        message: "expected with pool local only: a managed list wins over what is found",
      });
    }
    const seen = new Set<string>();
    vip.servers.forEach((server, j) => {
      const key = canonicalAddress(server.address);
      if (seen.has(key)) {
        problems.push({
          path: ["vips", i, "servers", j, "address"],
          message: `duplicate address ${server.address} in VIP ${vip.name}`,
        });
      }
      seen.add(key);
      const loop = loopOf(own, own[i] as (typeof own)[number], server.address);
      if (loop !== null) problems.push({ path: ["vips", i, "servers", j, "address"], message: loop });
    });
  });
  if (c.counts.listen !== "") listen(c.counts.listen, ["counts", "listen"], "udp");
  problems.push(...countsProblems(c));
  problems.push(...roomProblems(c));
  problems.push(...healthProblems(c));
  if (c.dataplane.lease_ms < 2 * c.tick_ms) {
    problems.push({
      path: ["dataplane", "lease_ms"],
      message: `expected at least two ticks (${2 * c.tick_ms}), found ${c.dataplane.lease_ms}`,
    });
  }
  return problems;
}

/** The region is made for so many. */
function roomProblems(c: Config): Problem[] {
  const { max_vips, max_servers } = c.dataplane;
  const total = c.vips.reduce((n, v) => n + v.servers.length, 0);
  const problems: Problem[] = [];
  if (c.vips.length > max_vips)
    problems.push({ path: ["vips"], message: `expected at most dataplane.max_vips, ${max_vips}, found ${c.vips.length}` });
  if (total > max_servers)
    problems.push({
      path: ["vips"],
      message: `expected at most dataplane.max_servers, ${max_servers}, in all, found ${total} servers`,
    });
  return problems;
}

function countsProblems({ counts }: Config): Problem[] {
  const on = counts.listen !== "";
  const problems: Problem[] = [];
  if (on && counts.key_file === "")
    problems.push({
      path: ["counts", "key_file"],
      message: "expected with counts.listen: a file with the secret of all load balancers",
    });
  if (on && counts.address === undefined && isWildcard(counts.listen))
    problems.push({ path: ["counts", "address"], message: `expected with ${counts.listen}: what the others are to send to` });
  if (!on && counts.members.length > 0)
    problems.push({ path: ["counts", "members"], message: "expected with counts.listen only" });
  return problems;
}

/** Each level's keys are good by themselves; these are those of the plans that come of them. */
function healthProblems(c: Config): Problem[] {
  const problems: Problem[] = [];
  // On one level they contradict each other: one check, or several.
  const alone = (path: (string | number)[], level: NonNullable<Config["vips"][number]["health"]>): void => {
    if (level.kind === undefined || level.checks === undefined) return;
    problems.push({
      path: [...path, "kind"],
      message: "expected either kind or checks; of several checks each names its own kind",
    });
  };
  const at = (path: (string | number)[], protocol: "tcp" | "udp", levels: Config["vips"][number]["health"][]): void => {
    const problem = planProblem(planOf(c.health, protocol, levels, placeOf(""), "off"), c.health.allow_exec);
    if (problem === null || problems.some((p) => p.message === problem.message)) return;
    problems.push({ path: [...path, problem.key], message: problem.message });
  };
  at(["health"], "tcp", []);
  at(["health"], "udp", []);
  c.vips.forEach((vip, i) => {
    if (vip.health) alone(["vips", i, "health"], vip.health);
    if (vip.health) at(["vips", i, "health"], vip.protocol, [vip.health]);
    vip.servers.forEach((server, j) => {
      if (server.health) alone(["vips", i, "servers", j, "health"], server.health);
      if (server.health) at(["vips", i, "servers", j, "health"], vip.protocol, [vip.health, server.health]);
    });
  });
  return problems;
}
