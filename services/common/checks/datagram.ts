// SPDX-License-Identifier: Apache-2.0
// One question by UDP. The socket is connected, so that a refusal (ICMP) comes back as ECONNREFUSED and no stranger can answer.
import dgram from "node:dgram";
import { isIPv6 } from "node:net";
import type { HostPort } from "../config/address.js";
import { CheckFailed } from "./check.js";

/** Resolves with what `read` makes of the first answer. `read` throws for a bad one, and returns null for one that is none of ours. */
export function ask(
  target: HostPort,
  question: Buffer,
  signal: AbortSignal,
  read: (answer: Buffer) => string | null,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket(isIPv6(target.host) ? "udp6" : "udp4");
    let open = true;
    const end = (): void => {
      if (open) socket.close();
      open = false;
    };
    const fail = (e: Error): void => {
      end();
      reject(e);
    };
    signal.addEventListener("abort", () => fail(new CheckFailed("aborted")), { once: true });
    socket.on("error", fail);
    socket.on("message", (answer) => {
      try {
        const saw = read(answer);
        if (saw === null) return;
        end();
        resolve(saw);
      } catch (e) {
        fail(e as Error);
      }
    });
    socket.connect(target.port, target.host, (e?: Error) => {
      if (e) fail(e);
      else if (open) socket.send(question, (failed) => failed && fail(failed));
    });
  });
}
