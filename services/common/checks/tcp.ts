// SPDX-License-Identifier: Apache-2.0
import { defineCheck } from "./check.js";
import { proxyKeys } from "./proxy.js";
import { connected, opened } from "./socket.js";

export const check = defineCheck({
  kind: "tcp",
  help: "a connection opens",
  schema: proxyKeys,
  async run(target, options, signal) {
    if (options.send_proxy === "off" || options.send_proxy === "auto") {
      const { ms } = await connected(target, signal, false);
      return { saw: "connected", ms };
    }
    const socket = await opened(target, signal, options.send_proxy);
    // A reset instead of a close leaves no socket in TIME_WAIT on either side.
    socket.resetAndDestroy();
    return "connected";
  },
});
