// SPDX-License-Identifier: Apache-2.0
// TCP connections of checks.
import { connect, type Socket, type TcpNetConnectOpts } from "node:net";
import { CheckFailed } from "./check.js";
import { proxyHeader, type SendProxy } from "./proxy.js";

/**
 * Rejects where local and remote end are one socket. A connect to a port of this host without a listener meets itself when the
 * kernel happens to choose that very port as the local one (RFC 9293, simultaneous open).
 */
export function refuseSelf(socket: Socket): void {
  if (socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress)
    throw new CheckFailed("connected to itself: no listener");
}

/** A connection that is open and has a peer, which was sent a PROXY header where one is wanted. */
export function opened(target: TcpNetConnectOpts, signal: AbortSignal, proxy: SendProxy = "off"): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(target);
    const fail = (e: Error): void => {
      // resetAndDestroy() would keep the descriptor of a connect under way until that ends, two minutes for a silent peer.
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
      reject(e);
    };
    // The signal comes after a good check too, which has closed its socket then.
    signal.addEventListener("abort", () => socket.destroyed || fail(new CheckFailed("aborted")), { once: true });
    socket.on("error", fail);
    socket.on("connect", () => {
      try {
        refuseSelf(socket);
        const header = proxyHeader(proxy, socket);
        if (header === null) resolve(socket);
        else socket.write(header, (e) => (e ? fail(e) : resolve(socket)));
      } catch (e) {
        fail(e as Error);
      }
    });
  });
}
