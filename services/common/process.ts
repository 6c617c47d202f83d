// SPDX-License-Identifier: Apache-2.0
// marllb.v1.Process: what an operator may change of any service while it runs.
import type { ProcessHandlers } from "../../gen/marllb/v1/Process.js";
import { LOG_LEVELS } from "./config/schema.js";
import { invalid, unary } from "./grpc/errors.js";
import type { Logger } from "./log.js";

export const processHandlers = (log: Logger): ProcessHandlers => ({
  SetLogLevel: unary(({ level }) => {
    const previous = log.level;
    if (level !== "" && !LOG_LEVELS.some((l) => l === level))
      throw invalid("level", `expected one of ${LOG_LEVELS.join(", ")}, found "${level}"`);
    if (level !== "" && level !== previous) {
      log.warn({ level, previous }, "log level set");
      log.level = level;
    }
    return { level: log.level, previous };
  }),
});
