// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import type { StreamStatsResponse__Output as Stats } from "../../../gen/marllb/v1/StreamStatsResponse.js";
import { jain } from "../../common/native/figures.js";
import type { Plan } from "../up/launch-plan.js";
import { cut } from "../up/screen.js";
import { type Extra, plainLine, table } from "../up/table.js";
import { View } from "../up/view.js";

const server = (address: string, share: number, flows: number, state = "up") => ({
  address,
  share,
  flows,
  state,
  new_flows: "120",
  completions: "118",
  ttfb_p50_ms: 12.34,
  ttfb_p95_ms: -1,
});
const stats = {
  vip: {
    vip_id: 1,
    name: "web",
    address: "127.0.0.1:8080",
    policy: "kalman",
    mode: "MODE_SED",
    ladder: "LADDER_LAST_GOOD",
    effect_ms: 1.26,
  },
  servers: [server("127.0.0.1:9001", 0.25, 3), server("127.0.0.1:9002", 0.75, 9, "draining")],
  jain: 0.8,
  new_flows_per_s: 159.6,
  ttfb_p50_ms: 100.4,
  ttfb_p95_ms: 412.9,
} as unknown as Stats;
const extra: Extra = { demo: new Map(), notes: [], colour: false };

test("the table shows each server, and what is unknown as a dash", (t) => {
  const lines = table(stats, extra);
  t.is(
    lines[0],
    "VIP web 127.0.0.1:8080   kalman+sed   ladder last-good   tick 1.3 ms   Jain 0.800   160 flows/s   p50/p95 100/413 ms",
  );
  t.regex(lines[2] ?? "", /^127\.0\.0\.1:9001 {2}up +25\.0% +3 +120 +118 +12 +-$/);
  t.regex(lines[3] ?? "", /draining/);
});

test("the wide table tells of failed connects and early ends", (t) => {
  const counts = { refusals: "1", unanswered: "2", unmade: "3", ejections: "4", resets: "5" };
  const early = { late_resets: "6", empty_ends: "7", quick_ends: "8", quick_answers: "9" };
  const one = { ...stats, servers: [{ ...stats.servers[0], ...counts, ...early }] } as unknown as Stats;
  const lines = table(one, { ...extra, wide: true });
  t.regex(lines[1] ?? "", /refused +silent +unmade +ejected +reset +late +empty +quick ends +quick answers$/);
  t.regex(lines[2] ?? "", / - +1 +2 +3 +4 +5 +6 +7 +8 +9$/);
});

test("the demo adds names, true cores, load per core and what clients saw", (t) => {
  const demo = new Map([["127.0.0.1:9001", { name: "demo-1", cores: 4 }]]);
  const load = { sent: 9, answered: 8, failed: 1, p50_ms: 5.55, p95_ms: null };
  const text = table(stats, { ...extra, demo, load, jainLoad: 0.9876, notes: ["health died once"] }).join("\n");
  t.regex(text, /Jain 0\.988\* /);
  t.regex(text, /demo-1 127\.0\.0\.1:9001 .* 4\n/);
  t.regex(text, /clients: 8 answered, 1 failed, p50\/p95 5\.[56]\/- ms/);
  t.regex(text, /health died once$/);
});

test("without a terminal one line says the same", (t) => {
  const line = plainLine(stats, extra, 6.2);
  t.regex(line, /^6s web policy=kalman mode=sed ladder=last-good tick=1\.3ms jain=0\.800 flows\/s=160 p50=100ms p95=413ms/);
  t.regex(line, /127\.0\.0\.1:9001 25\.0%\/3, 127\.0\.0\.1:9002\(draining\) 75\.0%\/9$/);
});

test("demo servers are known by the addresses that the data plane has for them", (t) => {
  const vips = [{ servers: [{ address: "127.0.0.1:9001" }, { address: "127.0.0.1:9002" }] }];
  const view = new View();
  view.plan({ config: { vips }, demo: { cores: [1, 3] } } as unknown as Plan);
  view.stats("marllb", stats);
  t.regex(view.line(stats, 1), /jain=1\.000 .*demo-1 25\.0%\/3, demo-2\(draining\) 75\.0%\/9$/);
});

test("Jain's index", (t) => {
  t.is(jain([2, 2, 2]), 1);
  t.is(jain([1, 0, 0, 0]), 0.25);
  t.is(jain([0, 0]), 1);
});

test("lines are cut by what is visible", (t) => {
  t.is(cut("abcdef", 3), "abc");
  t.is(cut("\u001b[31mabc\u001b[0mdef", 4), "\u001b[31mabc\u001b[0md");
});
