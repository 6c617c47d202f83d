// SPDX-License-Identifier: Apache-2.0
// How one server is checked: the levels of the configuration made one.
import { canonicalAddress, formatHostPort, type HostPort, parseHostPort } from "../config/address.js";
import type { HealthConfig, HealthLevel } from "../config/health-schema.js";
import { findCheck } from "./index.js";
import type { ProxyVersion } from "./proxy.js";

export interface PlannedCheck {
  kind: string;
  /** Where it goes, "10.0.0.1:80". */
  address: string;
  intervalMs: number;
  timeoutMs: number;
  jitter: number;
  rise: number;
  fall: number;
  damping: boolean;
  /** The keys that its kind reads. */
  options: Readonly<Record<string, unknown>>;
  /** Equal texts for equal checks of one place. */
  key: string;
}

export interface PassiveRules {
  /** Failed connects in a row that count as down; 0 = flows are not judged. */
  failures: number;
  holdMs: number;
  /** Of a VIP's servers, this share at most is put out by flows alone. */
  maxShare: number;
}

export interface Plan {
  /** One good check is enough. */
  any: boolean;
  /** No flows before the first good check. */
  waits: boolean;
  passive: PassiveRules;
  checks: readonly PlannedCheck[];
  /** Equal texts for equal plans. */
  key: string;
}

type Level = HealthLevel | undefined;
type Settings = Omit<HealthConfig, "udp_kind" | "checks" | "allow_exec">;

/** `sends`: the PROXY header that the data plane sends this server, where the check's own is `auto`. */
export function planOf(
  top: HealthConfig,
  protocol: "tcp" | "udp",
  levels: readonly Level[],
  server: HostPort,
  sends: ProxyVersion,
): Plan {
  const { udp_kind, checks: topChecks, allow_exec: _, ...rest } = top;
  let merged: Settings = protocol === "udp" ? { ...rest, kind: udp_kind } : rest;
  let list: readonly Partial<Settings>[] = protocol === "udp" ? [] : topChecks;
  for (const level of levels) {
    if (!level) continue;
    const { checks, ...own } = level;
    merged = { ...merged, ...defined(own) };
    // A level that names a kind means that check instead of the list above it.
    if (checks) list = checks.map(defined);
    else if (own.kind !== undefined) list = [];
  }
  const all = list.length === 0 ? [merged] : list.map((c) => ({ ...merged, ...c }));
  const checks = all.filter((c) => findCheck(c.kind).start !== null).map((c) => planned(c, server, sends));
  const plan = {
    any: merged.combine === "any",
    waits: merged.initial === "down",
    passive: { failures: merged.passive_failures, holdMs: merged.passive_hold_ms, maxShare: merged.passive_max_share },
    checks,
  };
  return { ...plan, key: JSON.stringify([plan.any, plan.waits, plan.passive, checks.map((c) => c.key)]) };
}

function defined<T extends object>(o: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
}

function planned(c: Settings, server: HostPort, sends: ProxyVersion): PlannedCheck {
  const keys = Object.keys(findCheck(c.kind).schema);
  const options = Object.fromEntries(keys.map((k) => [k, (c as unknown as Record<string, unknown>)[k]]));
  if (options.send_proxy === "auto") options.send_proxy = sends;
  const check = {
    kind: c.kind,
    address: canonicalAddress(formatHostPort(server.host, c.port || server.port)),
    intervalMs: c.interval_ms,
    timeoutMs: c.timeout_ms,
    jitter: c.jitter,
    rise: c.rise,
    fall: c.fall,
    damping: c.damping,
    options,
  };
  return { ...check, key: JSON.stringify(check) };
}

/** What is wrong with a plan that no key shows by itself, and at which key; null: nothing. */
export function planProblem(plan: Plan, allowExec: boolean): { key: string; message: string } | null {
  for (const c of plan.checks) {
    if (c.timeoutMs > c.intervalMs)
      return { key: "timeout_ms", message: `expected at most interval_ms (${c.intervalMs}), found ${c.timeoutMs}` };
    if (c.kind !== "exec") continue;
    if (!allowExec) return { key: "kind", message: "exec runs programs: expected with allow_exec: true in health" };
    if ((c.options.exec as unknown[]).length === 0)
      return { key: "exec", message: 'expected a program and its arguments, such as ["/usr/local/bin/check", "-q"]' };
  }
  return null;
}

/** The host and port that a server is checked at; "" is none. */
export const placeOf = (address: string): HostPort => parseHostPort(address) ?? { host: "", port: 0 };
