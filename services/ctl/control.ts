// SPDX-License-Identifier: Apache-2.0
// The control socket of marllb-dp, on its own host.
import { connect } from "node:net";
import { LaunchError } from "./up/error.js";

/** One line to marllb-dp's control socket; its answer ends with `ok` or `error: ...`. */
export function control(socket: string, line: string, timeoutMs = 5000): Promise<void> {
  return new Promise((resolve, reject) => {
    const peer = connect(socket);
    let answer = "";
    const end = (problem?: string): void => {
      peer.destroy();
      if (problem === undefined) resolve();
      else reject(new LaunchError(problem));
    };
    peer.setTimeout(timeoutMs, () => end(`${socket}: no answer within ${timeoutMs / 1000} s`));
    peer.on("error", (e) => end(`${socket}: ${e.message}`));
    peer.on("connect", () => peer.write(`${line}\n`));
    peer.setEncoding("utf8").on("data", (text: string) => {
      answer += text;
      const error = /^error: (.*)$/m.exec(answer);
      if (error) end(error[1]);
      else if (/^ok$/m.test(answer)) end();
    });
    peer.on("close", () => end(`${socket}: closed without an answer`));
  });
}
