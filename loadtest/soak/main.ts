// SPDX-License-Identifier: Apache-2.0
// npm run soak [-- --minutes N] [--seed S] [--tick MS]: a whole load balancer under steady traffic while VIPs, servers, weights, modes
// and policies change many times a second. For the first third services are killed and the data plane is taken over as well; after
// that the same processes live on, and memory, descriptors and threads must stay flat. No request may be lost.
import os from "node:os";
import { parseArgs } from "node:util";
import { controlText } from "../../testbed/control.js";
import { Stack, services } from "../../testbed/stack.js";
import { sleep } from "../../testbed/wait.js";
import { startOrigin } from "../bench/load.js";
import { random } from "../demo/random.js";
import { Churn } from "./churn.js";
import { flat } from "./flat.js";
import { keepLedger, type Ledger, newLedger } from "./ledger.js";
import { Samples } from "./samples.js";

const usage = "usage: npm run soak [-- --minutes N] [--seed S] [--tick MS]\n";
const CHANGE_MS = 150;
const TROUBLE_MS = 12_000;
/** Processes warm up before they are looked at: caches fill, V8's heap takes its size. */
const WARM_S = 60;

interface Flags {
  minutes: number;
  seed: number;
  tick: number;
}

function flags(): Flags {
  try {
    const { values } = parseArgs({
      options: { minutes: { type: "string" }, seed: { type: "string" }, tick: { type: "string" } },
    });
    const f = { minutes: Number(values.minutes ?? 60), seed: Number(values.seed ?? 1), tick: Number(values.tick ?? 10) };
    if (!(f.minutes > 0 && f.minutes <= 10_080)) throw new Error("--minutes: expected a number above 0, at most 10080 (a week)");
    if (!Number.isInteger(f.seed)) throw new Error("--seed: expected a whole number");
    if (!(f.tick >= 10 && f.tick <= 10_000)) throw new Error("--tick: expected 10 to 10000 milliseconds");
    return f;
  } catch (e) {
    process.stderr.write(`${(e as Error).message}\n${usage}`);
    process.exit(2);
  }
}

async function recount(stack: Stack): Promise<number> {
  const stats = JSON.parse((await controlText(stack.controlSocket, "show stats json")).split("\n")[0] as string) as {
    vips: { recountDiff: number }[];
  };
  return stats.vips.reduce((a, v) => a + v.recountDiff, 0);
}

async function soak(f: Flags): Promise<boolean> {
  const cores = os.availableParallelism();
  const origins = await Promise.all(Array.from({ length: 8 }, () => startOrigin(cores)));
  const addresses = origins.map((o) => `127.0.0.1:${o.port}`);
  const stack = await Stack.whole({
    servers: addresses.slice(0, 2).map((address) => ({ address })),
    policy: "marl",
    tickMs: f.tick,
    threads: cores,
  });
  const churn = new Churn(stack, { web: addresses.slice(2, 5), others: addresses.slice(5) }, random(f.seed));
  const samples = new Samples();
  const ledger = newLedger();
  const start = performance.now();
  const seconds = (): number => (performance.now() - start) / 1000;
  const end = f.minutes * 60;
  const calm = end / 3;
  const over = (): boolean => seconds() >= end;

  const changes = async (): Promise<void> => {
    while (!over()) {
      await churn.change();
      await sleep(CHANGE_MS);
    }
  };
  const trouble = async (): Promise<void> => {
    for (let n = 0; seconds() < calm; n++) {
      await sleep(TROUBLE_MS);
      await (n % 3 === 2 ? churn.takeOver() : churn.killService());
    }
  };
  const watch = async (): Promise<void> => {
    const every = Math.max(1, Math.min(10, end / 120)) * 1000;
    for (let next = 60; !over(); await sleep(every)) {
      const t = seconds();
      if (t > calm + Math.min(WARM_S, end / 6)) {
        for (const part of [...services, "dataplane"] as const)
          samples.add(t, part, stack.parts.get(part)?.pid ?? -1, part !== "dataplane");
        samples.value(t, "recount_diff", await recount(stack));
      }
      if (t > next) {
        next += 60;
        process.stderr.write(
          `# ${Math.round(t / 60)} of ${f.minutes} minutes; ${ledger.requests} requests, ${ledger.lost} lost; ${[...churn.counts].map(([k, n]) => `${n} ${k}`).join(", ")}\n`,
        );
      }
    }
  };
  try {
    await Promise.all([keepLedger(ledger, stack.vip, cores, over), changes(), trouble(), watch()]);
    return report(churn, samples, ledger);
  } finally {
    await stack.stop();
    for (const o of origins) await o.child.stop();
  }
}

function report(churn: Churn, samples: Samples, ledger: Ledger): boolean {
  let good = ledger.lost === 0;
  const line = (name: string, value: string, verdict: string): void =>
    void process.stdout.write(`${name.padEnd(28)} ${value.padEnd(48)} ${verdict}\n`);
  for (const s of samples.series.values()) {
    const v = flat(s.points, s.share, s.least);
    const text = `${v.median.toFixed(1)} ${s.unit} grew by ${v.growth.toFixed(2)}, allowed ${v.allowed.toFixed(2)}`;
    line(`soak.${s.name}`, text, v.flat ? "flat" : "GROWS");
    good &&= v.flat;
  }
  line("soak.changes", [...churn.counts].map(([k, n]) => `${n} ${k}`).join(", "), "");
  for (const [what, why] of churn.refused) line("soak.refused", `${what}: ${why}`, "");
  for (const failure of ledger.failures) line("soak.failure", failure, "");
  line("soak.requests", String(ledger.requests), "");
  line("soak.lost", String(ledger.lost), ledger.lost === 0 ? "met" : "MISSED");
  return good && ledger.requests > 0;
}

process.exit((await soak(flags())) ? 0 : 1);
