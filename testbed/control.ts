// SPDX-License-Identifier: Apache-2.0
// marllb-dp's control socket, as a test sees it: the answer whole, or what it says without its last line.
import { connect } from "node:net";

/** One line to the control socket; the whole answer. */
export function controlText(path: string, line: string): Promise<string> {
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

/** The answer without its last line; rejects with what the data plane said when that is an error. */
export async function control(path: string, line: string): Promise<string> {
  const lines = (await controlText(path, line)).trimEnd().split("\n");
  const last = lines.pop() ?? "";
  if (last !== "ok") throw new Error(last || "no answer");
  return lines.join("\n");
}
