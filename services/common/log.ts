// SPDX-License-Identifier: Apache-2.0
import { destination, type Logger, pino } from "pino";

export type { Logger } from "pino";

/** JSON lines on stderr, written synchronously so that the last line before an end is there. */
export function createLogger(service: string, instance: string, level: string): Logger {
  return pino({ name: `marllb-${service}`, level, base: { service, instance } }, destination({ dest: 2, sync: true }));
}
