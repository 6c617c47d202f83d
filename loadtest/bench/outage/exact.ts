// SPDX-License-Identifier: Apache-2.0
// failover.override.exact_error: an operator's pinned weights are the shares of new flows, in every mode and at every trust.
import * as grpc from "@grpc/grpc-js";
import { v1 } from "../../../services/common/grpc/protos.js";
import { MODE_WORDS, TRUST_WORDS } from "../../../services/common/vocabulary.js";
import type { Child } from "../../../testbed/process.js";
import { Stack } from "../../../testbed/stack.js";
import { sleep } from "../../../testbed/wait.js";
import type { BenchOptions, Group } from "../harness.js";
import { load, startOrigin } from "../load.js";
import { exact, row } from "../row.js";
import { Bed } from "./bed.js";

/** What is pinned, by server; a server that is not named keeps its configured weight, 1. */
const PINS: readonly (readonly (number | null)[])[] = [
  [0, 1, 1, 1],
  [1e-6, 1, 1, 1],
  [1, 99, 99, 99],
  [3, null, null, null],
];

/**
 * Client addresses. Mode hash places an address and port always alike: of a few addresses the same clients would come again and again, which
 * are no independent draws (with 4 a case came to 3.7 sigma).
 */
const SOURCES = 200;

interface Case {
  mode: string;
  trust: string;
  pin: readonly (number | null)[];
}

interface Seen {
  /** Of the worst server: |flows - expected| in standard deviations of a binomial draw. */
  sigmas: number;
  /** Flows that a server of weight 0 got. */
  forbidden: number;
  flows: number;
}

async function order(stack: Stack, addresses: readonly string[], pin: Case["pin"]): Promise<void> {
  const client = new v1.Failover(stack.at("failover"), grpc.credentials.createInsecure());
  const weights = pin.flatMap((w, i) => (w === null ? [] : [{ address: addresses[i] as string, weight: w }]));
  try {
    await new Promise<void>((resolve, reject) => {
      const request = { name: "web", weights, reason: "bench" };
      client.SetOverride(request, { deadline: Date.now() + 10_000 }, (e) => (e ? reject(e) : resolve()));
    });
  } finally {
    client.close();
  }
}

async function one(stack: Stack, addresses: readonly string[], c: Case, flows: number): Promise<Seen> {
  await stack.control(`set-mode vip web ${c.mode}`);
  await order(stack, addresses, c.pin);
  await sleep(1500);
  const bed = Bed.over(stack);
  const before = await bed.all();
  const counts = async (): Promise<number[]> => {
    const now = await bed.all();
    return addresses.map((a) => (now.get(a)?.newFlows ?? 0) - (before.get(a)?.newFlows ?? 0));
  };
  let got = await counts();
  for (let seed = 1; got.reduce((a, b) => a + b, 0) < flows; seed++) {
    await load(stack.vip, { mode: "new", conns: 4, seconds: 2, warmup: 0, bytes: 16, sources: SOURCES, seed }, 1);
    got = await counts();
  }
  const weights = c.pin.map((w) => w ?? 1);
  const all = weights.reduce((a, b) => a + b, 0);
  const n = got.reduce((a, b) => a + b, 0);
  const sigmas = got.map((g, i) => {
    const p = (weights[i] as number) / all;
    // One flow at least: of 0.03 expected flows one may come.
    return Math.abs(g - n * p) / Math.max(1, Math.sqrt(n * p * (1 - p)));
  });
  const forbidden = got.reduce((a, g, i) => a + (weights[i] === 0 ? g : 0), 0);
  return { sigmas: Math.max(...sigmas), forbidden, flows: n };
}

async function run(o: BenchOptions): Promise<void> {
  const origins: { child: Child; port: number }[] = [];
  for (let i = 0; i < 4; i++) origins.push(await startOrigin(1));
  const addresses = origins.map((x) => `127.0.0.1:${x.port}`);
  const flows = o.quick ? 5000 : 100_000;
  let worst: { sigmas: number; what: string } = { sigmas: 0, what: "" };
  let forbidden = 0;
  let cases = 0;
  try {
    // The trust of a policy has no part in an order: each mode is tried at each trust with one pin, and with every pin at one.
    for (const trust of o.quick ? ["hint"] : TRUST_WORDS) {
      const stack = await Stack.whole({ servers: addresses.map((address) => ({ address })), policy: "marl", trust });
      try {
        await sleep(3000);
        for (const mode of MODE_WORDS) {
          for (const pin of trust === "hint" ? PINS : PINS.slice(0, 1)) {
            const seen = await one(stack, addresses, { mode, trust, pin }, flows);
            const what = `${mode}, ${trust}, ${pin.map((w) => w ?? "-").join(":")}`;
            o.progress(`${what}: ${seen.sigmas.toFixed(2)} sigma, ${seen.forbidden} at weight 0, ${seen.flows} flows`);
            if (seen.sigmas > worst.sigmas) worst = { sigmas: seen.sigmas, what };
            forbidden += seen.forbidden;
            cases++;
          }
        }
      } finally {
        await stack.stop();
      }
    }
  } finally {
    for (const x of origins) await x.child.stop();
  }
  const note = `worst of ${cases} cases of ${flows} flows (${worst.what}), in standard deviations of independent draws`;
  o.report(row("failover.override.exact_error", "sigma", "<= 3", exact(worst.sigmas, cases), note));
  o.report(row("failover.override.flows_at_zero", "flows", "<= 0", exact(forbidden, cases), "of servers that were pinned to 0"));
}

export const exactness: Group = { ids: ["failover.override"], run };
