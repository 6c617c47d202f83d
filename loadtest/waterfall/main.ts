// SPDX-License-Identifier: Apache-2.0
// npm run waterfall: a whole marllb whose every tick is traced, and one of its ticks as a picture of letters: a usual one, or with
// --failed one that inference did not answer.
import { parseArgs } from "node:util";
import { type OtlpSpan, receiver } from "../../testbed/otlp.js";
import type { Child } from "../../testbed/process.js";
import { Stack } from "../../testbed/stack.js";
import { eventually, sleep } from "../../testbed/wait.js";
import { OpenLoop } from "../demo/open-loop.js";
import { startServers, stopServers } from "../demo/pool.js";
import { waterfall } from "./waterfall.js";

const { failed } = parseArgs({ options: { failed: { type: "boolean", default: false } } }).values;
/** Compiled, connected, warm. */
const SETTLE_MS = 5000;
/** Of a tick that was told to everybody: its own, inference's, health's, failover's. */
const SPANS = failed ? 4 : 8;

const servers = await startServers([1, 2, 4], 20);
const sink = await receiver();
const stack = await Stack.whole({
  servers: servers.map((s) => ({ address: s.address })),
  policy: "marl",
  config: { tracing: { endpoint: sink.endpoint, sample_ms: 0 } },
});
const [host, port] = stack.vip.split(":") as [string, string];
const load = new OpenLoop({ host, port: Number(port), ratePerS: 50, meanMs: 20, seed: 1 });
try {
  load.start();
  await sleep(SETTLE_MS);
  sink.clear();
  const inference = (stack.parts.get("inference") as Child).process;
  if (failed) {
    inference.kill("SIGSTOP");
    await sleep(1000);
    inference.kill("SIGCONT");
  }
  const wanted = await eventually("a whole trace comes", async () => {
    const byTrace = new Map<string, OtlpSpan[]>();
    for (const s of sink.spans()) byTrace.set(s.traceId, [...(byTrace.get(s.traceId) ?? []), s]);
    const whole = [...byTrace.values()].filter(
      (t) => t.length >= SPANS && t.some((s) => s.name === "tick" && (s.error !== "") === failed),
    );
    // One of the usual length, of several.
    const sorted = whole.sort((a, b) => length(a) - length(b));
    return whole.length >= (failed ? 1 : 10) ? sorted[Math.floor(sorted.length / 2)] : null;
  });
  process.stdout.write(`${waterfall(wanted)}\n`);
} finally {
  await load.stop();
  await stack.stop();
  sink.stop();
  await stopServers(servers);
}

function length(trace: readonly OtlpSpan[]): number {
  const tick = trace.find((s) => s.name === "tick");
  return tick ? tick.endUs - tick.startUs : 0;
}
