// SPDX-License-Identifier: Apache-2.0
// node dist/loadtest/demo/load.js --targets 127.0.0.1:8080 --rate 160: open-loop load; a JSON line a second, a last one for the whole run.
import { parseArgs } from "node:util";
import { OpenLoop } from "./open-loop.js";
import { ready, untilStopped } from "./ready.js";

const { values } = parseArgs({
  options: {
    targets: { type: "string", default: "127.0.0.1:8080" }, // of one host: HOST:PORT,HOST:PORT
    rate: { type: "string", default: "160" },
    "mean-ms": { type: "string", default: "150" },
    duration: { type: "string", default: "0" }, // seconds; 0 = until stopped
    seed: { type: "string", default: "1" },
    "stop-with-stdin": { type: "boolean", default: false },
  },
});
const targets = values.targets.split(",").map((t) => /^\[?(.+?)\]?:(\d+)$/.exec(t));
const host = targets[0]?.[1];
const ports = targets.map((t) => Number(t?.[2]));
const number = (flag: "rate" | "mean-ms" | "duration" | "seed", least: number): number => {
  const n = Number(values[flag]);
  if (Number.isFinite(n) && n >= least) return n;
  process.stderr.write(`load: --${flag} ${values[flag]}: expected a number of at least ${least}\n`);
  process.exit(2);
};
if (host === undefined || targets.some((t) => t?.[1] !== host)) {
  process.stderr.write(`load: --targets ${values.targets}: expected HOST:PORT, or several of one host with commas between\n`);
  process.exit(2);
}
const load = new OpenLoop({
  host,
  port: ports[0] as number,
  ports,
  ratePerS: number("rate", 0.001),
  meanMs: number("mean-ms", 0),
  seed: number("seed", 0),
});
const duration = number("duration", 0);
const stopped = untilStopped(values["stop-with-stdin"]);
ready({ service: "demo-load", targets: values.targets });
load.start();
const every = setInterval(() => process.stdout.write(`${JSON.stringify(load.takeRecent())}\n`), 1000);
const over = duration > 0 ? Promise.race([stopped, new Promise((r) => setTimeout(r, duration * 1000))]) : stopped;
void over.then(async () => {
  clearInterval(every);
  await load.stop();
  process.stdout.write(`${JSON.stringify({ whole: true, ...load.report() })}\n`, () => process.exit(0));
});
