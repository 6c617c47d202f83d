// SPDX-License-Identifier: Apache-2.0
import { isIP } from "node:net";
import { connect } from "../native/connector.js";
import { begun, defineCheck, type RunCheck } from "./check.js";
import { proxyKeys, type SendProxy } from "./proxy.js";
import { opened } from "./socket.js";

/** Where more than a connect is needed: a name to look up, a header to send. */
const withSocket: RunCheck<{ send_proxy: SendProxy }> = async (target, { send_proxy }, signal) => {
  const socket = await opened(target, signal, send_proxy);
  // A reset instead of a close leaves no socket in TIME_WAIT on either side.
  socket.resetAndDestroy();
  return "connected";
};

export const check = defineCheck({
  kind: "tcp",
  help: "a connection opens",
  schema: proxyKeys,
  start(target, options, end) {
    const { host, port } = target;
    const plain = options.send_proxy === "off" || options.send_proxy === "auto";
    if (!plain || isIP(host) === 0) return begun(withSocket, target, options, end);
    return connect({ address: host, port, keep: false }, (error, _fd, ms) => end(error, "connected", ms));
  },
});
