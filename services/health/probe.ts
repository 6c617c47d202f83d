// SPDX-License-Identifier: Apache-2.0
// One check of one address: its deadline, its duration, and what an error means. It never fails: what goes wrong is the result.
import { type Check, CheckFailed } from "../common/checks/check.js";
import { parseHostPort } from "../common/config/address.js";
import type { CheckResult } from "./verdict.js";
import { Timed, type Wheel } from "./wheel.js";

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

/** Time as checks see it. */
export interface ProbeClock {
  now(): number;
  /** For how long this process stood still so far, ms (pace.ts). */
  still(): number;
  wheel: Wheel;
}

const nothing = (): void => {};

/** `end` is called once with the result. Returns what ends the check without one. */
export function probe(p: Probe, clock: ProbeClock, end: (r: CheckResult) => void): () => void {
  const target = parseHostPort(p.address);
  if (target === null || p.check.start === null) {
    const why = target === null ? `${p.address} is no address` : "checks nothing";
    const result = bad(p.check.kind, why);
    end(target === null ? result : { ...result, local: true });
    return nothing;
  }
  const attempt = new Attempt(p, clock, end);
  attempt.begin(p.check.start(target, p.options, attempt.answer));
  return attempt.stop;
}

const bad = (kind: string, reason: string): CheckResult => ({ ok: false, reason: `${kind}: ${reason}`, rttMs: 0 });

/** A check under way: it waits for its answer, and at the wheel for its deadline. */
class Attempt extends Timed {
  readonly #start: number;
  readonly #still: number;
  /** Of the time for which this process stood still, what the check was given once more. */
  #given = 0;
  #over = false;
  #close: (() => void) | null = null;

  constructor(
    private readonly p: Probe,
    private readonly clock: ProbeClock,
    private readonly end: (r: CheckResult) => void,
  ) {
    super();
    this.#start = clock.now();
    this.#still = clock.still();
    clock.wheel.set(this, this.#start + p.timeoutMs);
  }

  /** `close` closes what the check opened; the answer may have come already. */
  begin(close: () => void): void {
    if (this.#over) close();
    else this.#close = close;
  }

  readonly answer = (error: Error | null, saw: string, ms: number | null): void => {
    const { kind } = this.p.check;
    if (error !== null) this.#finish(this.#failure(error));
    else this.#finish({ ok: true, reason: `${kind}: ${saw}`, rttMs: ms ?? this.clock.now() - this.#start });
  };

  readonly stop = (): void => {
    if (this.#over) return;
    this.#over = true;
    this.clock.wheel.cancel(this);
    this.#close?.();
  };

  /**
   * The check had its time. That for which this process stood still meanwhile is given once more, up to the time-out; a check that was
   * interrupted for longer is worth nothing.
   */
  due(): void {
    const { timeoutMs } = this.p;
    const paused = this.#stood();
    const more = Math.min(paused, timeoutMs) - this.#given;
    if (more > 0) {
      this.#given += more;
      this.clock.wheel.set(this, this.clock.now() + more);
      return;
    }
    // What came in while the process stood still is read before the deadline counts: timers run before sockets.
    setImmediate(() => {
      const { kind } = this.p.check;
      if (paused > timeoutMs)
        this.#finish({ ...bad(kind, `this checker stood still for ${Math.round(paused)} ms`), local: true });
      else this.#finish(bad(kind, `no answer in ${timeoutMs} ms`));
    });
  }

  #stood(): number {
    return this.clock.still() - this.#still;
  }

  #failure(e: NodeJS.ErrnoException): CheckResult {
    const result = bad(this.p.check.kind, REASONS[e.code ?? ""] ?? e.message);
    const local = e instanceof CheckFailed ? e.local : LOCAL.has(e.code ?? "");
    if (local) return { ...result, local: true };
    // A refusal is the kernel's word at any time; anything else may be a server's that gave up on us.
    const paused = this.#stood();
    if (e.code === "ECONNREFUSED" || paused <= this.p.timeoutMs) return result;
    return { ...result, reason: `${result.reason}, while this checker stood still for ${Math.round(paused)} ms`, local: true };
  }

  #finish(result: CheckResult): void {
    if (this.#over) return;
    this.stop();
    this.end(result);
  }
}
