// SPDX-License-Identifier: Apache-2.0
// trust.guardrail.path_*: the guardrail on the whole running path, with a model that becomes harmful while it runs, and with servers that all
// become slow alike.
import type { BenchOptions } from "../harness.js";
import { exact, quantile, row } from "../row.js";
import { INVERTED, TrustPath } from "./path.js";

const seconds = (from: number, to: number): number => (to - from) / 1000;

/** Of one model that becomes harmful: until the reference rules, and until it is out for good. */
async function harmed(): Promise<{ withdrawnS: number; downS: number; failed: number }> {
  const it = await TrustPath.start();
  try {
    await it.learned();
    const since = await it.replace(INVERTED);
    const withdrawn = await it.step(["withdrawn"], since);
    const down = await it.step(["down"], since);
    const [withdrawnS, downS] = [withdrawn, down].map((s) => seconds(since, Number(s.at_unix_ms))) as [number, number];
    return { withdrawnS, downS, failed: it.traffic.failed };
  } finally {
    await it.stop();
  }
}

/** Whether servers that all became slow alike were blamed on the policy. */
async function blamed(): Promise<boolean> {
  const it = await TrustPath.start();
  try {
    await it.learned();
    await it.slowAll(0.4);
    return (await it.step(["cleared", "down"])).step === "down";
  } finally {
    await it.stop();
  }
}

export async function guardPath(o: BenchOptions): Promise<void> {
  const n = o.quick ? 1 : 5;
  if (o.wants("trust.guardrail.path_trip_s")) {
    const all: Awaited<ReturnType<typeof harmed>>[] = [];
    for (let i = 0; i < n; i++) {
      o.progress(`trust: a model that becomes harmful on the running path, ${i + 1} of ${n}`);
      all.push(await harmed());
    }
    const of = (f: (h: (typeof all)[number]) => number): string => all.map((h) => f(h).toFixed(1)).join(", ");
    const failed = all.reduce((a, h) => a + h.failed, 0);
    const note = `s until the reference rules; for good after ${of((h) => h.downS)}; ${failed} requests failed; 2 servers of 1 core and 2 of 8, the weights inverted`;
    o.report(
      row(
        "trust.guardrail.path_trip_s",
        "s",
        "<= 10",
        quantile(
          all.map((h) => h.withdrawnS),
          1,
        ),
        note,
      ),
    );
  }
  if (o.wants("trust.guardrail.path_alike_blamed")) {
    let bad = 0;
    for (let i = 0; i < n; i++) {
      o.progress(`trust: servers that are all slow alike on the running path, ${i + 1} of ${n}`);
      if (await blamed()) bad++;
    }
    o.report(
      row(
        "trust.guardrail.path_alike_blamed",
        "",
        "<= 0",
        exact(bad, n),
        `of ${n} times that all servers ran at 0.4 of their speed`,
      ),
    );
  }
}
