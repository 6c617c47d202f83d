// SPDX-License-Identifier: Apache-2.0
// The log: JSON lines on stderr, all of one schema: level, time, service, instance, what the line is about, trace_id and span_id where
// it belongs to a trace, msg. No line has a key twice. A message that comes too often is left out and counted.
import { type Logger, type LoggerOptions, pino } from "pino";
import { LogWriter } from "./log-writer.js";
import { activeIds } from "./telemetry.js";

export type { Logger } from "pino";

export interface Log {
  log: Logger;
  writer: LogWriter;
  /** Lines that nobody read in time, and that were left out because too many of the same came. */
  lines: { readonly lost: number; readonly suppressed: number };
}

export interface LogSettings {
  level: string;
  /** unix: milliseconds since 1970; iso: as people write it, UTC. */
  time: "unix" | "iso";
}

/** Keys that every line has; a field of the same name gets a "_" behind its own. */
const RESERVED = ["level", "time", "service", "instance", "msg", "trace_id", "span_id"] as const;

function withoutReserved(fields: Record<string, unknown>): Record<string, unknown> {
  if (!RESERVED.some((key) => key in fields)) return fields;
  const taken: readonly string[] = RESERVED.filter((key) => key !== "trace_id" && key !== "span_id");
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [taken.includes(key) ? `${key}_` : key, value]));
}

/** So many lines of one message in one window; what is asked for by level (debug, trace) is not limited. */
const MOST = 20;
const WINDOW_MS = 10_000;
/** Messages are few: each stands in the source. */
const MESSAGES = 500;
const INFO = 30;

class Limit {
  suppressed = 0;
  readonly #seen = new Map<string, { since: number; lines: number; left: number }>();

  constructor(private readonly now: () => number) {}

  /** Whether a line goes out, and how many before it did not. */
  pass(message: string): { left: number } | null {
    const now = this.now();
    let s = this.#seen.get(message);
    if (s === undefined || now - s.since >= WINDOW_MS) {
      const left = s?.left ?? 0;
      if (this.#seen.size >= MESSAGES) this.#seen.clear();
      s = { since: now, lines: 1, left: 0 };
      this.#seen.set(message, s);
      return { left };
    }
    if (s.lines++ < MOST) return { left: 0 };
    s.left++;
    this.suppressed++;
    return null;
  }
}

type Args = Parameters<NonNullable<NonNullable<LoggerOptions["hooks"]>["logMethod"]>>[0];

/** The message of a call of the logger: (fields, message) or (message). */
const messageOf = (args: Args): string => args.find((a): a is string => typeof a === "string") ?? "";

function limited(args: Args, left: number): Args {
  if (left === 0) return args;
  const [first, ...rest] = args as unknown[];
  const fields = typeof first === "object" ? { ...first, suppressed: left } : { suppressed: left };
  return (typeof first === "object" ? [fields, ...rest] : [fields, first, ...rest]) as unknown as Args;
}

/** A log on descriptor `fd` that never makes its writer wait. */
export function createLog(
  service: string,
  instance: string,
  { level, time }: LogSettings,
  fd = 2,
  now = (): number => performance.now(),
): Log {
  const writer = new LogWriter(fd, (lost) => log.warn({ lost }, "log lines were lost: nobody read them"));
  const limit = new Limit(now);
  const log = pino(
    {
      level,
      base: { service, instance },
      timestamp: time === "iso" ? pino.stdTimeFunctions.isoTime : pino.stdTimeFunctions.epochTime,
      formatters: { level: (label) => ({ level: label }), log: withoutReserved },
      mixin(fields) {
        const ids = activeIds();
        if (ids === null || "trace_id" in fields) return {};
        return { trace_id: ids.traceId, span_id: ids.spanId };
      },
      hooks: {
        logMethod(args, method, lineLevel) {
          if (lineLevel < INFO) return method.apply(this, args);
          const passed = limit.pass(messageOf(args));
          if (passed) method.apply(this, limited(args, passed.left));
        },
      },
    },
    writer,
  );
  process.on("exit", () => writer.last());
  const lines = {
    get lost() {
      return writer.lost;
    },
    get suppressed() {
      return limit.suppressed;
    },
  };
  return { log, writer, lines };
}
