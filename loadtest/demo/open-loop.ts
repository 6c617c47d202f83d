// SPDX-License-Identifier: Apache-2.0
// Open-loop HTTP load: Poisson arrivals that do not wait for answers, each on a connection of its own. Latency counts from the moment
// when a request was due, so a late timer or a slow accept is part of it, as it is for a client.
import { connect } from "node:net";
import { Histogram } from "./histogram.js";
import { exponential, random } from "./random.js";

export interface LoadOptions {
  host: string;
  port: number;
  /** Each request goes to one of these at random instead. */
  ports?: readonly number[];
  ratePerS: number;
  /** Mean size of a job, ms on one core; exponential. */
  meanMs: number;
  seed: number;
  timeoutMs?: number;
  /** Requests in progress at most; arrivals above it are counted as `skipped`. */
  maxInProgress?: number;
}

export interface LoadReport {
  sent: number;
  answered: number;
  failed: number;
  skipped: number;
  /** Failures by reason: "ECONNREFUSED", "ECONNRESET", "timeout", "status 503", "cut". */
  failures: Record<string, number>;
  mean_ms: number;
  p50_ms: number;
  p95_ms: number;
  p99_ms: number;
}

export class OpenLoop {
  readonly all = new Histogram();
  /** Since the last `takeRecent`. */
  #recent = new Histogram();
  #reported: LoadReport | undefined;
  #failures = new Map<string, number>();
  #sent = 0;
  #skipped = 0;
  #inProgress = 0;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #idle: (() => void) | undefined;

  constructor(readonly options: LoadOptions) {}

  start(): void {
    const uniform = random(this.options.seed);
    const gapMs = 1000 / this.options.ratePerS;
    this.#running = true;
    let due = performance.now() + exponential(uniform, gapMs);
    const step = (): void => {
      if (!this.#running) return;
      for (const now = performance.now(); due <= now; due += exponential(uniform, gapMs)) {
        const { ports, port, meanMs } = this.options;
        this.#request(due, exponential(uniform, meanMs), ports?.[Math.floor(uniform() * ports.length)] ?? port);
      }
      this.#timer = setTimeout(step, Math.max(0, due - performance.now()));
    };
    step();
  }

  /** No more arrivals; resolves once what is in progress has ended, at the latest after its time-out. */
  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#timer);
    if (this.#inProgress > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  report(histogram = this.all): LoadReport {
    const failures = Object.fromEntries([...this.#failures].sort());
    const failed = [...this.#failures.values()].reduce((a, b) => a + b, 0);
    const [p50_ms, p95_ms, p99_ms] = [0.5, 0.95, 0.99].map((p) => histogram.percentile(p)) as [number, number, number];
    const counts = { sent: this.#sent, answered: this.all.count, failed, skipped: this.#skipped, failures };
    return { ...counts, mean_ms: histogram.mean, p50_ms, p95_ms, p99_ms };
  }

  /** The same of what happened since the last call. */
  takeRecent(): LoadReport {
    const now = this.report(this.#recent);
    const last = this.#reported;
    this.#reported = now;
    this.#recent = new Histogram();
    if (!last) return now;
    const failures = Object.fromEntries(Object.entries(now.failures).map(([k, n]) => [k, n - (last.failures[k] ?? 0)]));
    const counts = { sent: now.sent - last.sent, answered: now.answered - last.answered, failed: now.failed - last.failed };
    return { ...now, ...counts, skipped: now.skipped - last.skipped, failures };
  }

  #request(due: number, sizeMs: number, port: number): void {
    const { host, timeoutMs = 30_000, maxInProgress = 4000 } = this.options;
    if (this.#inProgress >= maxInProgress) {
      this.#skipped++;
      return;
    }
    this.#sent++;
    this.#inProgress++;
    let head = "";
    let failure: string | undefined;
    const socket = connect({ host, port, noDelay: true });
    socket.setTimeout(timeoutMs, () => {
      failure = "timeout";
      socket.destroy();
    });
    socket.on("connect", () => {
      socket.write(`GET /?ms=${sizeMs.toFixed(3)} HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n\r\n`);
    });
    socket.on("data", (data) => {
      if (head.length < 4096) head += data.toString("latin1");
    });
    socket.on("error", (e: NodeJS.ErrnoException) => (failure = e.code ?? e.message));
    socket.on("close", () => this.#ended(due, failure ?? judge(head)));
  }

  #ended(due: number, failure: string | undefined): void {
    if (failure) this.#failures.set(failure, (this.#failures.get(failure) ?? 0) + 1);
    else {
      const ms = performance.now() - due;
      this.all.add(ms);
      this.#recent.add(ms);
    }
    if (--this.#inProgress === 0) this.#idle?.();
  }
}

/** undefined for a whole answer with status 200, else what is wrong with it. */
export function judge(answer: string): string | undefined {
  const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1];
  if (!status) return "cut";
  if (status !== "200") return `status ${status}`;
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(answer)?.[1] ?? 0);
  const start = answer.indexOf("\r\n\r\n");
  return start >= 0 && answer.length - start - 4 >= length ? undefined : "cut";
}
