// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import type { HealthFact } from "../orders.js";
import { Votes } from "../votes.js";

const A = "10.0.0.1:80";
const B = "10.0.0.2:80";

/** `later`: when a tie is looked at again; at once where it does not matter. */
function setup(later: (look: () => void) => void = (look) => look()) {
  const said: string[] = [];
  const votes = new Votes((pool, address, fact) => said.push(`${pool} ${address} ${fact}`), later);
  /** `words`: "A up", "B down@5" (since), of pool web and load balancer lb. */
  const hear = (replica: string, words: readonly string[], whole = false, instance = "lb", pool = "web"): void =>
    votes.hear(
      replica,
      words.map((w) => {
        const [, server, state, since] = /^(.) (\w+)(?:@(\d+))?$/.exec(w) as RegExpExecArray;
        const fact = (state as string).toUpperCase() as HealthFact;
        return {
          pool,
          instance,
          address: server === "A" ? A : B,
          state: fact,
          reason: `${replica} says ${state}`,
          sinceUnixMs: Number(since ?? 0),
        };
      }),
      whole,
    );
  return { votes, said, hear, fact: (address: string) => votes.fact("web", address) };
}

test("one replica's word is the word", (t) => {
  const { hear, said } = setup();
  hear("1", ["A up", "B up"], true);
  hear("1", ["A down"]);
  hear("1", ["A down"]);
  hear("1", ["A up"]);
  t.deepEqual(said, [`web ${A} UP`, `web ${B} UP`, `web ${A} DOWN`, `web ${A} UP`]);
});

test("a server is down when most of those that know it say so", (t) => {
  const { hear, fact } = setup();
  for (const r of ["1", "2", "3"]) hear(r, ["A up", "B up"], true);
  hear("1", ["A down@9"]);
  t.is(fact(A), "UP");
  hear("2", ["A unknown"]);
  t.is(fact(A), "UP", "unknown takes nothing back");
  hear("3", ["A down@10"]);
  t.is(fact(A), "DOWN");
});

test("of two, the one that is being cut off masks nobody on its way: a tie is looked at again when that has shown", (t) => {
  const looks: (() => void)[] = [];
  const { hear, fact, said } = setup((look) => looks.push(look));
  for (const r of ["1", "2"]) hear(r, ["A up", "B up"], true);
  said.length = 0;
  hear("1", ["A down@20"]);
  hear("1", ["A down@21"]);
  t.is(fact(A), "UP");
  t.is(looks.length, 1);
  hear("1", ["B down@22"]); // now it reaches nobody, and the other one does
  for (const look of looks.splice(0)) look();
  t.deepEqual(said, []);

  // One that reaches another server is believed after the while, and at once where the second one says so, too.
  hear("1", ["B up@30"]);
  t.is(fact(A), "UP");
  for (const look of looks.splice(0)) look();
  t.is(fact(A), "DOWN");
  hear("1", ["A up@40"]);
  t.is(fact(A), "UP", "up is said at once");
  hear("1", ["A down@50"]);
  t.is(fact(A), "UP");
  hear("2", ["A down@51"]);
  t.is(fact(A), "DOWN");
  // It has gone meanwhile.
  hear("1", ["B down@60"]);
  hear("1", ["A up@60"]);
  for (const r of ["1", "1", "2"]) hear(r, ["A up@70"], true);
  for (const look of looks.splice(0)) look();
  t.is(fact(B), "UNKNOWN");
});

test("two that disagree: the newer word counts, whoever is heard first", (t) => {
  for (const order of [["1", "2"] as const, ["2", "1"] as const]) {
    const { hear, fact } = setup();
    for (const r of order) hear(r, [r === "1" ? "A down@20" : "A up@10", "B up@0"], true);
    t.is(fact(A), "DOWN");
    hear("1", ["A up@30"]);
    t.is(fact(A), "UP");
    hear("2", ["A down@40"]);
    t.is(fact(A), "DOWN");
  }
});

test("a replica that does not answer has no vote; where none answers the last votes stand", (t) => {
  const { votes, hear, fact } = setup();
  hear("1", ["A up@50", "B up"], true);
  hear("2", ["A down@10", "B up"], true);
  t.is(fact(A), "UP");
  votes.away("1");
  t.is(fact(A), "DOWN");
  votes.away("2");
  t.is(fact(A), "UP", "as when both answered");
  hear("2", ["A up@60", "B up"], true);
  t.is(fact(A), "UP");
});

test("a replica that reaches nobody while another reaches somebody is cut off: it takes nobody out", (t) => {
  const { votes, hear, fact } = setup();
  hear("1", ["A up", "B up"], true);
  hear("2", ["A up", "B up"], true);
  hear("2", ["A down@90"]);
  t.is(fact(A), "DOWN", "it still reaches another");
  hear("2", ["B down@91"]);
  t.deepEqual([fact(A), fact(B)], ["UP", "UP"]);
  t.is(votes.replicas().get("2"), "cut_off");
  // Who is the only one that answers is believed all the same: there is nobody to compare with.
  votes.away("1");
  t.deepEqual([fact(A), fact(B)], ["DOWN", "DOWN"]);
  hear("1", ["A down@92", "B up@92"], true);
  t.deepEqual([fact(A), fact(B)], ["DOWN", "UP"]);
  hear("2", ["B up@95"]);
  t.is(votes.replicas().get("2"), "heard");
});

test("two of three that are cut off do not outvote the third", (t) => {
  const { hear, fact } = setup();
  for (const r of ["1", "2", "3"]) hear(r, ["A up", "B up"], true);
  hear("1", ["A down@1", "B down@1"]);
  hear("2", ["A down@2", "B down@2"]);
  t.deepEqual([fact(A), fact(B)], ["UP", "UP"]);
});

test("all servers dead: every replica says so, and none is cut off", (t) => {
  const { votes, hear, fact } = setup();
  for (const r of ["1", "2"]) hear(r, ["A up", "B up"], true);
  for (const r of ["1", "2"]) hear(r, ["A down@5", "B down@5"]);
  t.deepEqual([fact(A), fact(B)], ["DOWN", "DOWN"]);
  t.deepEqual([...votes.replicas().values()], ["heard", "heard"]);
});

test("what a replica no longer says is forgotten with its next whole list; a restarted one has no vote until it knows", (t) => {
  const { votes, hear, fact } = setup();
  hear("1", ["A up@1", "B up@1"], true);
  hear("2", ["A down@2", "B up@2"], true);
  t.is(fact(A), "DOWN");
  votes.away("2");
  t.is(fact(A), "UP");
  hear("2", ["A unknown", "B unknown"], true);
  t.is(fact(A), "UP", "what it said before its restart is gone");
  hear("1", ["B up@1"], true);
  t.is(fact(A), "UNKNOWN");
});

test("a server that no replica has checked waits; the first word of one counts, and no replica waits again for it", (t) => {
  const { votes, hear, said, fact } = setup();
  hear("1", ["A waiting", "B up"], true);
  hear("2", ["A waiting", "B down"], true);
  t.is(fact(A), "WAITING");
  t.is(votes.replicas().get("2"), "cut_off", "those that it has not checked are none that it reaches");
  hear("1", ["A down"]);
  t.is(fact(A), "DOWN");
  hear("1", ["A up"]);
  hear("2", ["A waiting"]);
  t.is(fact(A), "UP");
  t.deepEqual(said, [`web ${A} WAITING`, `web ${B} UP`, `web ${A} DOWN`, `web ${A} UP`]);
});

test("a server whose checks cannot be made is not waited for", (t) => {
  const { hear, said, fact } = setup();
  hear("1", ["A waiting"], true);
  hear("1", ["A unknown"]);
  t.is(fact(A), "UNKNOWN");
  t.deepEqual(said, [`web ${A} WAITING`, `web ${A} UNKNOWN`]);
});

test("parts of a list are one list: only with its end is something forgotten", (t) => {
  const { hear, fact } = setup();
  hear("1", ["A up", "B up"], true);
  hear("1", ["A up"]);
  t.is(fact(B), "UP");
  hear("1", ["B up"], true);
  t.deepEqual([fact(A), fact(B)], ["UP", "UP"]);
});

test("one address in two pools is two servers; two load balancers of a pool whose checks differ: the worse counts", (t) => {
  const { votes, hear, fact } = setup();
  hear("1", ["A up"], false, "lb1");
  hear("1", ["A down@3"], true, "lb1", "dns");
  t.deepEqual([fact(A), votes.fact("dns", A)], ["UP", "DOWN"]);
  hear("1", ["A down@4"], false, "lb2");
  hear("1", ["A up@1"], false, "lb1");
  t.is(fact(A), "DOWN");
  hear("1", ["A up@5"], false, "lb2");
  t.is(fact(A), "UP");
});

test("a replica that is no more is forgotten", (t) => {
  const { votes, hear, fact } = setup();
  hear("1", ["A up@1", "B up"], true);
  hear("2", ["A down@2", "B up"], true);
  votes.gone("2");
  t.is(fact(A), "UP");
  votes.gone("1");
  t.is(fact(A), "UNKNOWN");
  t.is(votes.replicas().size, 0);
});

test("why a server is down is told by whose vote changed last, and nothing is told of one that is up", (t) => {
  const { votes, hear } = setup();
  const why = () => votes.whyDown("web", A);
  t.is(why(), "");
  for (const r of ["1", "2", "3"]) hear(r, ["A up", "B up"], true);
  hear("1", ["A down@9"]);
  t.is(why(), "", "one of three");
  hear("2", ["A down@10"]);
  t.is(why(), "2 says down");
  hear("1", ["A up@11"]);
  hear("2", ["A up@12"]);
  t.is(why(), "");
});
