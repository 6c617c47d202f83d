// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { parseConfig } from "../../common/config/load.js";
import { Ladder } from "../../common/vocabulary.js";
import { settingsOf } from "../settings.js";
import { Vip } from "../vip.js";
import { decodeFake, FakeRegion, rawFrame } from "./fake-region.js";

const config = (trust: string) =>
  parseConfig(`
vips:
  - { name: web, address: "127.0.0.1:8080", policy: qmix, ${trust} servers: [{ address: "127.0.0.1:9001" }] }
`);

test("trust by word or number", (t) => {
  for (const [text, c] of [
    ["", 1.5],
    ["trust: exact,", 0.1],
    ["trust: hint,", 1.5],
    ["trust: none,", 3],
    ["trust: 0.25,", 0.25],
    ["trust: 0,", 0],
  ] as const) {
    t.is(settingsOf(config(text), "web").trust, c, text);
  }
});

test("a VIP that the configuration does not name", (t) => {
  t.like(settingsOf(config("trust: exact,"), "other"), { policy: "kalman", trust: 1.5, kappa: 0, loadBalancers: 1 });
});

test("trust goes with every vector that is composed", (t) => {
  const servers = [
    { id: 10, address: "10.0.0.1:80", weight: 1 },
    { id: 11, address: "10.0.0.2:80", weight: 1 },
  ];
  const vip = new Vip(rawFrame(2, servers), decodeFake, settingsOf(config("trust: exact,"), "web"), 2);
  const region = new FakeRegion();
  const answer = {
    ids: [10, 11],
    weights: Float32Array.of(5, 1),
    bias: new Float32Array(0),
    kappa: 0,
    mode: 0,
    policy: "marl",
    turnOf: "order",
  };
  vip.answered(answer, Ladder.MODEL, region, 0);
  vip.compose(region, 200);
  t.deepEqual(
    region.published.map((p) => p.trust),
    [0.1, 0.1],
  );
});
