// SPDX-License-Identifier: Apache-2.0
import { execFile } from "node:child_process";
import { CheckFailed, defineCheck } from "./check.js";

/** By the system's ping, which may open the raw sockets that a service may not. */
export const check = defineCheck({
  kind: "ping",
  help: "the address answers an ICMP echo",
  schema: {},
  run: ({ host }, _options, signal) =>
    new Promise((resolve, reject) => {
      // The time-out is the caller's signal; -W only has to be longer.
      execFile("ping", ["-n", "-q", "-c", "1", "-W", "60", host], { signal }, (e) => {
        const { code } = (e ?? {}) as NodeJS.ErrnoException;
        if (e === null) resolve("answered");
        // ping's own verdict is a number; a word says why it could not be started.
        else if (typeof code !== "string") reject(new CheckFailed("no answer"));
        else reject(new CheckFailed(code === "ENOENT" ? "the program ping is not installed" : e.message, true));
      });
    }),
});
