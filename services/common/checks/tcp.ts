// SPDX-License-Identifier: Apache-2.0
import { defineCheck } from "./check.js";
import { proxyKeys } from "./proxy.js";
import { opened } from "./socket.js";

export const check = defineCheck({
  kind: "tcp",
  help: "a connection opens",
  schema: proxyKeys,
  async run(target, options, signal) {
    const socket = await opened(target, signal, options.send_proxy);
    // A reset instead of a close leaves no socket in TIME_WAIT on either side.
    socket.resetAndDestroy();
    return "connected";
  },
});
