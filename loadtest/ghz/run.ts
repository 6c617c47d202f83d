// SPDX-License-Identifier: Apache-2.0
// Runs one profile with ghz, which learns the messages by reflection, and holds it against its bar. Streams are counted in messages: the
// service itself says on /metrics how many it sent.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import type { Config } from "../../services/common/config/load.js";
import { which } from "../../testbed/process.js";
import type { Profile, Subject } from "./profiles.js";

export const installHint = "go install github.com/bojand/ghz/cmd/ghz@latest";

/** ghz on PATH or where `go install` puts it; null where it is absent. */
export function findGhz(): string | null {
  return which("ghz") ?? which(path.join(process.env.GOPATH ?? path.join(process.env.HOME ?? "/", "go"), "bin", "ghz"));
}

export interface Place {
  grpc: string;
  metrics: string;
  tls: Config["tls"];
}

export interface Result {
  call: string;
  calls: number;
  perS: number;
  /** Milliseconds; NaN for streams. */
  p50: number;
  p99: number;
  /** From the server, of all calls; null: it does not say (grpc.health.v1 is not counted). */
  messages: number | null;
  /** Calls by status. */
  statuses: Record<string, number>;
  /** What the bar wanted and did not get. */
  missed: string[];
}

const SECONDS = 1;
const LATER_S = 0.5;
/** What a machine that is busy reaches of the rate that was asked for. */
const LEAST_RATE = 0.5;

export const fullName = (call: string): string => (call.split(".").length > 2 ? call : `marllb.v1.${call}`);

/** Messages that the service sent for a method; null: it counts none of it. */
async function sent(metrics: string, call: string): Promise<number | null> {
  const method = call.slice(call.lastIndexOf(".") + 1);
  const service = fullName(call).slice(0, -method.length - 1);
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  const line = text
    .split("\n")
    .find((l) => l.startsWith("grpc_server_msg_sent_total{") && l.includes(`"${service}"`) && l.includes(`"${method}"`));
  return line === undefined ? null : Number(line.slice(line.lastIndexOf(" ")));
}

function flags(p: Profile, s: Subject, { tls }: Place): string[] {
  const out = ["--call", fullName(p.call), "--data", JSON.stringify(p.data(s)), "--format", "json"];
  out.push("--connections", p.once ? "1" : "2");
  if (p.stream) {
    const { atOnce, seconds } = p.stream;
    // A stream is looked at when a message comes: where none does, the time-out ends it. Not in the same moment: ghz dies of that.
    const ends = ["--stream-call-duration", `${seconds}s`, "--timeout", `${seconds + LATER_S}s`];
    out.push("--concurrency", String(atOnce), "--total", String(atOnce), ...ends);
  } else if (p.once) out.push("--concurrency", "1", "--total", "1");
  else out.push("--concurrency", "10", "--rps", String(p.rate), "--duration", `${SECONDS}s`, "--duration-stop", "wait");
  if (!tls) return [...out, "--insecure"];
  return [...out, ...(tls.ca ? ["--cacert", tls.ca] : []), "--cert", tls.cert, "--key", tls.key];
}

interface Report {
  count: number;
  rps: number;
  latencyDistribution: { percentage: number; latency: number }[] | null;
  statusCodeDistribution: Record<string, number>;
  errorDistribution?: Record<string, number>;
}

export async function runProfile(ghz: string, p: Profile, subject: Subject, place: Place): Promise<Result> {
  const before = await sent(place.metrics, p.call);
  const { stdout } = await promisify(execFile)(ghz, [...flags(p, subject, place), place.grpc], { maxBuffer: 64 << 20 });
  const r = JSON.parse(stdout) as Report;
  const after = await sent(place.metrics, p.call);
  const at = (percentage: number): number =>
    (r.latencyDistribution?.find((l) => l.percentage === percentage)?.latency ?? Number.NaN) / 1e6;
  const result: Result = {
    call: p.call,
    calls: r.count,
    perS: r.rps,
    p50: p.stream ? Number.NaN : at(50),
    p99: p.stream ? Number.NaN : at(99),
    messages: before === null || after === null ? null : after - before,
    statuses: r.statusCodeDistribution,
    missed: [],
  };
  result.missed.push(...missedOf(p, result, Object.keys(r.errorDistribution ?? {})));
  return result;
}

/** What of the bar was missed, one reason each. */
export function missedOf(p: Profile, r: Omit<Result, "missed">, errors: readonly string[] = []): string[] {
  const out: string[] = [];
  // So ghz names the end of a stream that lasts.
  const good = p.stream ? ["OK", "Canceled", "CANCELED", "DeadlineExceeded"] : ["OK"];
  const bad = Object.entries(r.statuses).filter(([status]) => !good.includes(status));
  for (const [status, n] of bad) out.push(`${n} x ${status}${errors[0] === undefined ? "" : ` (${errors[0]})`}`);
  const { p99Ms, messages } = p.bar;
  if (p99Ms !== undefined && !(r.p99 <= p99Ms)) out.push(`p99 ${r.p99.toFixed(1)} ms, expected <= ${p99Ms}`);
  if (!p.stream && r.perS < p.rate * LEAST_RATE) out.push(`${r.perS.toFixed(0)} calls/s, expected >= ${p.rate * LEAST_RATE}`);
  if (messages !== undefined && r.messages !== null && r.messages < messages * r.calls)
    out.push(`${r.messages} messages in ${r.calls} streams, expected >= ${messages} each`);
  return out;
}

export function resultLine(r: Result): string {
  const ms = (v: number): string => (Number.isFinite(v) ? `${v.toFixed(1)} ms` : "-");
  const verdict = r.missed.length === 0 ? "pass" : "FAIL";
  const messages = r.messages === null ? "-" : String(r.messages);
  return [
    verdict,
    r.call.padEnd(28),
    `${r.calls} calls`.padStart(10),
    `${r.perS.toFixed(0)}/s`.padStart(7),
    `p50 ${ms(r.p50)}`.padStart(12),
    `p99 ${ms(r.p99)}`.padStart(13),
    `${messages} messages`.padStart(14),
    r.missed.join("; "),
  ]
    .join("  ")
    .trimEnd();
}
