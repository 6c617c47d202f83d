// SPDX-License-Identifier: Apache-2.0
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import dgram from "node:dgram";
import { isIP, isIPv6 } from "node:net";
import type { HostPort } from "../config/address.js";
import { pingSocket } from "../native/ping.js";
import { CheckFailed, defineCheck } from "./check.js";

const ECHO = { v4: { request: 8, reply: 0 }, v6: { request: 128, reply: 129 } };
const HEADER = 8;
/** A datagram socket wants a port; ICMP has none, and the kernel looks at none. */
const NO_PORT = 1;

/** By a ping socket: the kernel sets identifier and checksum, and hands over the answers to this socket's requests only. */
function echo(fd: number, host: string, signal: AbortSignal): Promise<string> {
  const { request, reply } = isIPv6(host) ? ECHO.v6 : ECHO.v4;
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket(isIPv6(host) ? "udp6" : "udp4");
    let open = true;
    const end = (): void => {
      if (open) socket.close();
      open = false;
    };
    const fail = (e: Error): void => {
      end();
      reject(e);
    };
    const nonce = randomBytes(16);
    signal.addEventListener("abort", () => fail(new CheckFailed("aborted")), { once: true });
    socket.on("error", fail);
    socket.on("message", (m) => {
      if (m[0] !== reply || !m.subarray(HEADER).equals(nonce)) return;
      end();
      resolve("answered");
    });
    socket.bind({ fd, exclusive: true }, () => {
      const head = Buffer.alloc(HEADER);
      head[0] = request;
      if (open) socket.send(Buffer.concat([head, nonce]), NO_PORT, host, (e) => e && fail(e));
    });
  });
}

/** By the system's ping, which may open the raw sockets that a service may not. */
function byProgram({ host }: HostPort, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    // The time-out is the caller's signal; -W only has to be longer.
    execFile("ping", ["-n", "-q", "-c", "1", "-W", "60", "--", host], { signal }, (e) => {
      const { code } = (e ?? {}) as NodeJS.ErrnoException;
      if (e === null) resolve("answered");
      // ping's own verdict is a number; a word says why it could not be started.
      else if (typeof code !== "string") reject(new CheckFailed("no answer"));
      else reject(new CheckFailed(code === "ENOENT" ? "the program ping is not installed" : e.message, true));
    });
  });
}

export const check = defineCheck({
  kind: "ping",
  help: "the address answers an ICMP echo",
  schema: {},
  run(target, _options, signal) {
    const fd = isIP(target.host) === 0 ? null : pingSocket(isIPv6(target.host));
    return fd === null ? byProgram(target, signal) : echo(fd, target.host, signal);
  },
});
