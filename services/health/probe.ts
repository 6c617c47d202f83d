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
const LOCAL = new Set(["EADDRNOTAVAIL", "EAGAIN", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);

const REASONS: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
  ETIMEDOUT: "timed out",
  EADDRNOTAVAIL: "no local address or port left",
  EMFILE: "no file descriptors left",
};

/** Why a check's signal aborts. One object: an error of its own for each check costs as much as the check. */
const OVER = new CheckFailed("the check is over");

/** Time as checks see it. */
export interface ProbeClock {
  now(): number;
  /** For how long this process stood still so far, ms (pace.ts). */
  still(): number;
}

export async function probe({ check, address, timeoutMs, options }: Probe, clock: ProbeClock): Promise<CheckResult> {
  const bad = (reason: string): CheckResult => ({ ok: false, reason: `${check.kind}: ${reason}`, rttMs: 0 });
  const target = parseHostPort(address);
  if (target === null) return bad(`${address} is no address`);
  if (check.run === null) return { ...bad("checks nothing"), local: true };
  const deadline = new AbortController();
  const start = clock.now();
  const still = clock.still();
  const stood = (): number => clock.still() - still;
  const late = overdue(timeoutMs, stood);
  const answer = check.run(target, options, deadline.signal).then(
    (answer): CheckResult => {
      const { saw, ms } = typeof answer === "string" ? { saw: answer, ms: clock.now() - start } : answer;
      return { ok: true, reason: `${check.kind}: ${saw}`, rttMs: ms };
    },
    (e: NodeJS.ErrnoException): CheckResult => {
      const result = bad(REASONS[e.code ?? ""] ?? e.message);
      const local = e instanceof CheckFailed ? e.local : LOCAL.has(e.code ?? "");
      // A refusal is the kernel's word at any time; anything else may be a server's that gave up on us.
      return local || (e.code !== "ECONNREFUSED" && stood() > timeoutMs) ? { ...result, local: true } : result;
    },
  );
  try {
    return await Promise.race([
      answer,
      late.then((paused) =>
        paused > timeoutMs
          ? { ...bad(`this checker stood still for ${Math.round(paused)} ms`), local: true as const }
          : bad(`no answer in ${timeoutMs} ms`),
      ),
    ]);
  } finally {
    late.stop();
    deadline.abort(OVER);
  }
}

/**
 * Resolves once the check had its time, with the time for which this process stood still meanwhile. That time is given once more, up to
 * `timeoutMs`; a check that was interrupted for longer is worth nothing.
 */
function overdue(timeoutMs: number, stood: () => number): Promise<number> & { stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  const done = new Promise<number>((resolve) => {
    let given = 0;
    const due = (): void => {
      const paused = stood();
      const more = Math.min(paused, timeoutMs) - given;
      if (more <= 0) {
        // What came in while the process stood still is read before the deadline counts: timers run before sockets.
        setImmediate(() => resolve(paused));
        return;
      }
      given += more;
      timer = setTimeout(due, more);
    };
    timer = setTimeout(due, timeoutMs);
  });
  return Object.assign(done, { stop: () => clearTimeout(timer) });
}
