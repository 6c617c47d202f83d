// SPDX-License-Identifier: Apache-2.0
// One check of one address: its deadline, its duration, and what an error means. Never rejects: what goes wrong is the result.
import { type Check, CheckFailed } from "../common/checks/check.js";
import { parseHostPort } from "../common/config/address.js";
import type { CheckResult } from "./verdict.js";

export interface Probe {
  check: Check;
  address: string;
  timeoutMs: number;
  /** The check's keys, as its schema reads them. */
  options: unknown;
}

/** Errors of this machine, not of the server. */
const LOCAL = new Set(["EADDRNOTAVAIL", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);

const REASONS: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
  ETIMEDOUT: "timed out",
  EADDRNOTAVAIL: "no local address or port left",
  EMFILE: "no file descriptors left",
};

export async function probe({ check, address, timeoutMs, options }: Probe, now: () => number): Promise<CheckResult> {
  const bad = (reason: string): CheckResult => ({ ok: false, reason: `${check.kind}: ${reason}`, rttMs: 0 });
  const target = parseHostPort(address);
  if (target === null) return bad(`${address} is no address`);
  if (check.run === null) return { ...bad("checks nothing"), local: true };
  const deadline = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<CheckResult>((resolve) => {
    timer = setTimeout(() => resolve(bad(`no answer in ${timeoutMs} ms`)), timeoutMs);
  });
  const start = now();
  const answer = check.run(target, options, deadline.signal).then(
    (saw): CheckResult => ({ ok: true, reason: `${check.kind}: ${saw}`, rttMs: now() - start }),
    (e: NodeJS.ErrnoException): CheckResult => {
      const result = bad(REASONS[e.code ?? ""] ?? e.message);
      const local = e instanceof CheckFailed ? e.local : LOCAL.has(e.code ?? "");
      return local ? { ...result, local: true } : result;
    },
  );
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
    deadline.abort();
  }
}
