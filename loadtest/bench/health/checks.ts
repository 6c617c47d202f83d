// SPDX-License-Identifier: Apache-2.0
// Checks of many servers by one process, as the health service makes them: its checker, its probes, its registry. The servers are addresses
// of the loopback network, behind one listener.
import { findCheck } from "../../../services/common/checks/index.js";
import { placeOf, planOf } from "../../../services/common/checks/plan.js";
import { health } from "../../../services/common/config/health-schema.js";
import { Checker } from "../../../services/health/checker.js";
import { PACE_MS, Pace } from "../../../services/health/pace.js";
import { probe } from "../../../services/health/probe.js";
import { HealthRegistry } from "../../../services/health/registry.js";
import { Wheel } from "../../../services/health/wheel.js";
import { fakeFrame } from "../../../testbed/fake-frame.js";
import { sleep } from "../../../testbed/wait.js";

export interface ChecksResult {
  /** Checks that began while it was measured. */
  checks: number;
  failed: number;
  /** How late each began, ms. */
  late: number[];
  /** Share of one core. */
  cpu: number;
}

const now = (): number => performance.now();
const PER_VIP = 1024;

export const addressOf = (i: number, port: number): string => `127.${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}:${port}`;

/** `targets` servers, each checked once a second. Measures for `ms` once every one was checked once, and spread over its period. */
export async function checks(targets: number, port: number, ms: number): Promise<ChecksResult> {
  const settings = health.parse({ jitter: 0.1 });
  const pace = new Pace(now);
  const wheel = new Wheel(now);
  const clock = { now, still: () => pace.still(), wheel };
  const beat = setInterval(() => pace.beat(), PACE_MS);
  const result: ChecksResult = { checks: 0, failed: 0, late: [], cpu: 0 };
  let measuring = false;
  const checker = new Checker({
    wheel,
    check: ({ kind, address, timeoutMs, options }, end) =>
      probe({ check: findCheck(kind), address, timeoutMs, options }, clock, end),
    onResult(c, r) {
      if (measuring && !r.ok) result.failed++;
      registry.checked(c.key, r, now());
    },
    onStart(late) {
      if (!measuring) return;
      result.checks++;
      result.late.push(Math.max(0, late));
    },
    now,
    random: Math.random,
  });
  const registry = new HealthRegistry((vip, server) => planOf(settings, vip.protocol, [], placeOf(server), "off"), {
    changed() {},
    check: (c, needed) => (needed ? checker.add(c) : checker.remove(c.key)),
  });
  const frames = Array.from({ length: Math.ceil(targets / PER_VIP) }, (_, v) => {
    const servers = Array.from({ length: Math.min(PER_VIP, targets - v * PER_VIP) }, (_, i) => ({
      id: i + 1,
      address: addressOf(v * PER_VIP + i, port),
    }));
    return fakeFrame(servers, { vipId: v + 1, birth: BigInt(v + 1), name: `vip${v}` });
  });
  const feed = (): void => {
    for (const f of frames) registry.frame("bench", f, now());
  };
  feed();
  const feeding = setInterval(feed, 1000);
  await sleep(3000);
  const before = process.cpuUsage();
  const start = now();
  measuring = true;
  await sleep(ms);
  measuring = false;
  const used = process.cpuUsage(before);
  result.cpu = (used.user + used.system) / 1000 / (now() - start);
  checker.stop();
  clearInterval(beat);
  clearInterval(feeding);
  return result;
}
