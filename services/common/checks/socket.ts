// SPDX-License-Identifier: Apache-2.0
// TCP connections of checks.
import { lookup } from "node:dns/promises";
import { closeSync } from "node:fs";
import { isIP, Socket } from "node:net";
import type { HostPort } from "../config/address.js";
import { connect } from "../native/connector.js";
import { CheckFailed } from "./check.js";
import { proxyHeader, type SendProxy } from "./proxy.js";

/** The descriptor of a connection, which is the caller's. */
async function descriptor({ host, port }: HostPort, signal: AbortSignal): Promise<number> {
  const address = isIP(host) === 0 ? (await lookup(host)).address : host;
  if (signal.aborted) throw new CheckFailed("aborted");
  return new Promise((resolve, reject) => {
    const cancel = connect({ address, port, keep: true }, (error, fd) => (error ? reject(error) : resolve(fd)));
    const abort = (): void => {
      cancel();
      reject(new CheckFailed("aborted"));
    };
    signal.addEventListener("abort", abort, { once: true });
  });
}

/** A connection that is open and has a peer, which was sent a PROXY header where one is wanted. */
export async function opened(target: HostPort, signal: AbortSignal, proxy: SendProxy = "off"): Promise<Socket> {
  const fd = await descriptor(target, signal);
  if (signal.aborted) {
    closeSync(fd);
    throw new CheckFailed("aborted");
  }
  const socket = new Socket({ fd, readable: true, writable: true });
  return new Promise((resolve, reject) => {
    const fail = (e: Error): void => {
      socket.resetAndDestroy();
      reject(e);
    };
    socket.on("error", fail);
    // The signal comes after a good check too, which has closed its socket then.
    signal.addEventListener("abort", () => socket.destroyed || fail(new CheckFailed("aborted")), { once: true });
    const header = proxyHeader(proxy, socket);
    if (header === null) resolve(socket);
    else socket.write(header, (e) => (e ? fail(e) : resolve(socket)));
  });
}
