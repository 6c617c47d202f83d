// SPDX-License-Identifier: Apache-2.0
// node dist/loadtest/demo/load.js --target 127.0.0.1:8080 --rate 160: open-loop load; a JSON line a second, a last one for the whole run.
import { parseArgs } from "node:util";
import { OpenLoop } from "./open-loop.js";
import { ready, untilStopped } from "./ready.js";

const { values } = parseArgs({
  options: {
    target: { type: "string", default: "127.0.0.1:8080" },
    rate: { type: "string", default: "160" },
    "mean-ms": { type: "string", default: "150" },
    duration: { type: "string", default: "0" }, // seconds; 0 = until stopped
    seed: { type: "string", default: "1" },
    "stop-with-stdin": { type: "boolean", default: false },
  },
});
const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(values.target) ?? [];
const number = (flag: "rate" | "mean-ms" | "duration" | "seed", least: number): number => {
  const n = Number(values[flag]);
  if (Number.isFinite(n) && n >= least) return n;
  process.stderr.write(`load: --${flag} ${values[flag]}: expected a number of at least ${least}\n`);
  process.exit(2);
};
if (!host || !port) {
  process.stderr.write(`load: --target ${values.target}: expected HOST:PORT\n`);
  process.exit(2);
}
const load = new OpenLoop({
  host,
  port: Number(port),
  ratePerS: number("rate", 0.001),
  meanMs: number("mean-ms", 0),
  seed: number("seed", 0),
});
const duration = number("duration", 0);
const stopped = untilStopped(values["stop-with-stdin"]);
ready({ service: "demo-load", target: values.target });
load.start();
const every = setInterval(() => process.stdout.write(`${JSON.stringify(load.takeRecent())}\n`), 1000);
await (duration > 0 ? Promise.race([stopped, new Promise((r) => setTimeout(r, duration * 1000))]) : stopped);
clearInterval(every);
await load.stop();
process.stdout.write(`${JSON.stringify({ whole: true, ...load.report() })}\n`, () => process.exit(0));
