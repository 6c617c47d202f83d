// SPDX-License-Identifier: Apache-2.0
// The log: JSON lines on stderr.
import { type Logger, pino } from "pino";
import { LogWriter } from "./log-writer.js";

export type { Logger } from "pino";

export interface Log {
  log: Logger;
  writer: LogWriter;
}

/** A log on descriptor `fd` that never makes its writer wait. */
export function createLog(service: string, instance: string, level: string, fd = 2): Log {
  const writer = new LogWriter(fd, (lost) => log.warn({ lost }, "log lines were lost: nobody read them"));
  const log = pino({ name: `marllb-${service}`, level, base: { service, instance } }, writer);
  process.on("exit", () => writer.last());
  return { log, writer };
}
