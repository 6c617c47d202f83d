// SPDX-License-Identifier: Apache-2.0
// marllb-dp's control socket.
import { connect } from "node:net";

/** One line to the control socket; the whole answer. */
export function controlLine(path: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const s = connect(path, () => s.end(`${line}\n`));
    s.setEncoding("utf8");
    s.on("data", (d) => {
      answer += d;
    });
    s.on("error", reject);
    s.on("close", () => resolve(answer));
  });
}
