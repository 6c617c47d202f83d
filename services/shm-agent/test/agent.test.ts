// SPDX-License-Identifier: Apache-2.0
import test, { type ExecutionContext } from "ava";
import { context } from "../../../testbed/fuzz.js";
import { Agent } from "../agent.js";
import { NO_DIRECTIVE } from "../compose.js";
import type { Kept } from "../kept.js";
import type { RawFrame } from "../region.js";
import type { Vip } from "../vip.js";
import { ABSENT_LIMIT } from "../vips.js";
import { decodeFake, FakeRegion, rawFrame } from "./fake-region.js";

const servers = [1, 2].map((id) => ({ id, address: `127.0.0.1:${id}` }));

/** `kept`: what lies there for the next agent; shared by two of them, one was started after the other. */
function setup(t: ExecutionContext, region = new FakeRegion(), nowMs?: () => number, kept: { vips: Kept[] } = { vips: [] }) {
  const { config, log, clock } = context("/dev/shm/none");
  const gone: string[] = [];
  const others: [string, readonly string[] | null][] = [];
  let wake = (): void => {};
  const agent = new Agent({
    config,
    log,
    clock: nowMs ? { ...clock, now: nowMs } : clock,
    attach: (_, fn) => {
      wake = fn;
      return region;
    },
    decode: decodeFake,
    kept: { read: () => kept.vips, save: (vips) => void (kept.vips = [...vips]) },
    onFrame() {},
    onEffect() {},
    onGone: (vip: Vip) => gone.push(vip.name),
    counts: "10.0.0.1:7400",
    others: (vip, counts) => others.push([vip, counts]),
  });
  t.teardown(() => agent.stop());
  /** The data plane publishes a message. */
  const publish = (...frames: RawFrame[]): void => {
    region.messages.push(frames);
    wake();
  };
  return { agent, region, gone, others, publish };
}

test("a frame that wants weights while inference is away is an unanswered tick, not an error", (t) => {
  const { agent, region } = setup(t);
  region.messages.push([rawFrame(2, servers)]);
  agent.exchange.peers.steer = () => false;
  agent.start();
  t.is(agent.errors, 0);
  const vip = agent.vip(1);
  t.is(vip?.frame.seq, 2);
  t.deepEqual([vip?.counters.unanswered, vip?.counters.published, region.beats], [1, 1, 1]);
});

test("a data plane whose heartbeat stands still is no data plane, until it beats again", (t) => {
  let now = 0;
  const { agent, region, publish } = setup(t, new FakeRegion(), () => now);
  region.messages.push([rawFrame(1, servers)]);
  agent.start();
  t.is(agent.vips().length, 1);
  region.beating = false;
  for (now = 100; now < 1400; now += 100) agent.attachment.look();
  t.not(agent.attachment.region, null, "late is not dead");
  for (; now <= 2000; now += 100) agent.attachment.look();
  t.is(agent.attachment.region, null);
  t.regex(agent.attachment.reason, /heartbeat of fake 1 stands still/);
  t.deepEqual(agent.vips(), [], "what it last said is not shown as of now");
  const published = region.published.length;
  publish(rawFrame(2, servers));
  t.is(region.published.length, published);
  region.beating = true;
  agent.attachment.look();
  t.is(agent.attachment.region, region);
  t.is(agent.vip(1)?.name, "web");
});

test("the region that a dead data plane left behind is not attached to it", (t) => {
  const region = new FakeRegion();
  region.beating = false;
  region.messages.push([rawFrame(1, servers)]);
  const { agent } = setup(t, region);
  agent.start();
  t.is(agent.attachment.region, null);
  t.regex(agent.attachment.reason, /no.* heartbeat yet|not shown a heartbeat/);
  t.deepEqual(agent.vips(), []);
});

test("a VIP that is missing in three messages is gone, with its stream and its pool", (t) => {
  const { agent, region, gone, publish } = setup(t);
  const api = (seq: number) => rawFrame(seq, servers, { vipId: 2, birth: 2n }, { name: "api" });
  agent.start();
  publish(rawFrame(1, servers), api(1));
  agent.exchange.hearDirective(directive(1, "1", [{ address: "127.0.0.1:1", weight: 1 }]));
  t.is(region.pools.at(-1)?.length, 1);
  const forgotten: string[] = [];
  agent.exchange.peers.forget = (vip) => void forgotten.push(vip.name);
  for (let i = 1; i < ABSENT_LIMIT; i++) publish(api(1 + i));
  t.is(agent.vips().length, 2, "one message may be garbled");
  publish(api(9));
  t.deepEqual(
    agent.vips().map((v) => v.name),
    ["api"],
  );
  t.deepEqual([gone, forgotten, region.pools.at(-1)], [["web"], ["web"], []]);
});

test("a new VIP under the id of one that is gone is another one", (t) => {
  const { agent, gone, publish } = setup(t);
  agent.start();
  publish(rawFrame(1, servers));
  const web = agent.vip(1) as Vip;
  agent.exchange.hearDirective({
    ...directive(7, "1"),
    servers: [{ server_id: 1, factor: 0, reason: "", close: false, last_resort: false }],
  });
  t.is(web.directive.term, 7n);
  publish(rawFrame(1, servers, { birth: 2n }, { name: "api" }));
  t.deepEqual(gone, ["web"]);
  const api = agent.vip(1) as Vip;
  t.is(api.name, "api");
  t.is(api.directive.term, 0n);
  agent.exchange.hearDirective(directive(8, "1"));
  t.is(api.directive.term, 0n, "a directive for the old one");
  agent.exchange.hearDirective(directive(8, "2"));
  t.is(api.directive.term, 8n);
});

test("failover is told where this load balancer takes live counts, and tells where the others do", (t) => {
  const { agent, others, publish } = setup(t);
  agent.start();
  const rosters: (string | undefined)[] = [];
  agent.exchange.peers.roster = (roster) => void rosters.push(roster.counts);
  publish(rawFrame(1, servers));
  t.deepEqual(rosters, ["10.0.0.1:7400"]);
  const { key } = agent.vip(1) as Vip;
  agent.exchange.hearDirective({ ...directive(7, "1"), counts: ["10.0.0.2:7400"] });
  agent.exchange.hearDirective({ ...directive(6, "1"), counts: ["10.0.0.3:7400"] });
  t.deepEqual(others, [[key, ["10.0.0.2:7400"]]], "an older term is refused whole");
  for (let i = 0; i < ABSENT_LIMIT; i++) publish();
  t.deepEqual(others.at(-1), [key, null]);
});

test("a restarted data plane's VIPs are new ones that go on with what was in force", (t) => {
  const { agent, region, gone, publish } = setup(t);
  agent.start();
  publish(rawFrame(1, servers));
  agent.exchange.hearDirective({
    ...directive(7, "1"),
    servers: [{ server_id: 1, factor: 0, reason: "", close: false, last_resort: false }],
  });
  (region as { dpEpoch: bigint }).dpEpoch = 2n;
  publish(rawFrame(1, servers, { dpEpoch: 2n }));
  t.deepEqual(gone, ["web"]);
  const last = region.published.at(-1);
  t.deepEqual([last?.frame.dpEpoch, last?.term, [...(last?.factor ?? [])]], [2n, 7n, [0, 1]], "at once, not with the next tick");
});

function directive(term: number, birth: string, pool?: { address: string; weight: number }[]) {
  return {
    vip_id: 1,
    term: String(term),
    dp_epoch: "1",
    birth,
    servers: [] as { server_id: number; factor: number; reason: string; close: boolean; last_resort: boolean }[],
    state: "VIP_STATE_NORMAL" as const,
    load_balancers: 1,
    load_balancer: 1,
    override: null,
    fallback: false,
    policy: "",
    generation: 1,
    newcomers_wait: false,
    counts: [] as string[],
    pool: pool
      ? { vip_id: 1, name: "web", managed: true, revision: "1", servers: pool.map((s) => ({ id: 0, drain: false, ...s })) }
      : null,
  };
}

const order = (over: object) =>
  ({
    vip_id: 1,
    dp_epoch: "1",
    birth: "1",
    term: "5",
    servers: [{ server_id: 2, factor: 1 }],
    override: { server_ids: [1, 2], weights: [0, 3], mode: "MODE_UNSPECIFIED", reason: "canary" },
    load_balancers: 2,
    load_balancer: 1,
    fallback: false,
    pool: null,
    policy: "uniform",
    ...over,
  }) as never;

/** The weights of the newest vector, as the envelope gets them, and whether they are an order. */
const newest = (region: FakeRegion) => {
  const v = region.published.at(-1);
  return [[...(v?.raw ?? [])], v?.exact, v?.term, v?.loadBalancers];
};

test("an agent begins with the last order of the one before it: override and number of load balancers too", (t) => {
  const kept: { vips: Kept[] } = { vips: [] };
  const first = setup(t, new FakeRegion(), undefined, kept);
  first.agent.start();
  first.publish(rawFrame(1, servers));
  first.agent.exchange.hearDirective(order({}));
  first.agent.exchange.hearWeights(
    first.agent.vip(1) as Vip,
    {
      checkpoint: { vip_id: 1, policy: "uniform", schema: 1, state: Buffer.from("x") },
    } as never,
  );
  first.agent.stop();

  // The data plane still has the term in force; failover and inference are away.
  const { agent, region, publish } = setup(t, new FakeRegion(), undefined, kept);
  agent.start();
  publish(rawFrame(2, servers, {}, { term: 5n }));
  t.deepEqual(newest(region), [[0, 3], true, 5n, 2], "published with the first frame");
  t.is(agent.vip(1)?.source, "override");
  t.is(agent.vip(1)?.wantedPolicy, "uniform");
  t.is(agent.vip(1)?.directive.override?.reason, "canary");
});

test("both restarted: the order follows by addresses", (t) => {
  const kept: { vips: Kept[] } = { vips: [] };
  const first = setup(t, new FakeRegion(), undefined, kept);
  first.agent.start();
  first.publish(rawFrame(1, servers));
  first.agent.exchange.hearDirective(order({ servers: [{ server_id: 2, factor: 0.5 }] }));
  first.agent.stop();

  const { agent, region, publish } = setup(t, Object.assign(new FakeRegion(), { dpEpoch: 2n }), undefined, kept);
  agent.start();
  const turned = [
    { id: 7, address: "127.0.0.1:2" },
    { id: 9, address: "127.0.0.1:1" },
  ];
  publish(rawFrame(1, turned, { vipId: 3, dpEpoch: 2n, birth: 8n }, { term: 5n }));
  t.deepEqual(newest(region), [[3, 0], true, 5n, 2]);
  t.deepEqual([...(region.published.at(-1)?.factor ?? [])], [0.5, 1]);
});

test("a VIP that was removed meanwhile leaves nothing to a later one of its name, nor one that was made anew", (t) => {
  const kept: { vips: Kept[] } = { vips: [] };
  const first = setup(t, new FakeRegion(), undefined, kept);
  first.agent.start();
  first.publish(rawFrame(1, servers));
  first.agent.exchange.hearDirective(order({}));
  first.agent.stop();
  t.deepEqual(
    kept.vips.map((k) => k.name),
    ["web"],
  );

  // The same life of the data plane, and another birth: somebody removed it and made it again.
  const anew = setup(t, new FakeRegion(), undefined, { vips: kept.vips });
  anew.agent.start();
  anew.publish(rawFrame(2, servers, { birth: 2n }));
  t.is(anew.agent.vip(1)?.directive.override, null);
  anew.agent.stop();

  // Another life, in which it is missing at first.
  const { agent, publish } = setup(t, Object.assign(new FakeRegion(), { dpEpoch: 2n }), undefined, kept);
  agent.start();
  for (let i = 0; i < ABSENT_LIMIT; i++) publish(rawFrame(i, servers, { vipId: 2, dpEpoch: 2n, birth: 1n }, { name: "api" }));
  t.deepEqual(
    kept.vips.map((k) => k.name),
    ["api"],
    "forgotten in what the next agent reads, too",
  );
  publish(
    rawFrame(9, servers, { vipId: 2, dpEpoch: 2n, birth: 1n }, { name: "api" }),
    rawFrame(9, servers, { vipId: 1, dpEpoch: 2n, birth: 2n }),
  );
  t.is(agent.vip(1)?.name, "web");
  t.is(agent.vip(1)?.directive.override, null);
});

test("a data plane with a newer term than what was kept is believed", (t) => {
  const vips: Kept[] = [
    {
      name: "web",
      dpEpoch: 1n,
      birth: 1n,
      order: { ...NO_DIRECTIVE, term: 5n, factors: [{ address: "127.0.0.1:1", value: 0 }], override: null },
      pool: null,
    },
  ];
  const { agent, publish } = setup(t, new FakeRegion(), undefined, { vips });
  agent.start();
  publish(rawFrame(1, servers, {}, { term: 6n }));
  t.is(agent.vip(1)?.directive.term, 6n);
  t.is(agent.vip(1)?.directive.factors.size, 0);
});

test("a configuration that is read again takes effect at the next tick: trust, envelope, number of load balancers", (t) => {
  const { agent, region, publish } = setup(t);
  agent.exchange.peers.steer = () => false;
  agent.start();
  publish(rawFrame(2, servers));
  const vector = () => {
    const v = region.published.at(-1);
    return [v?.trust, v?.stepRatio, v?.loadBalancers];
  };
  const { config } = context("/dev/shm/none");
  const before = vector();
  const [web] = config.vips;
  const vips = [{ ...web, trust: 0.25, load_balancers: 7, policy: "uniform" }] as typeof config.vips;
  agent.reload({ ...config, vips, envelope: { ...config.envelope, step_ratio: 9 } });
  publish(rawFrame(4, servers));
  t.deepEqual(vector(), [0.25, 9, 7]);
  t.notDeepEqual(vector(), before);
  t.is(agent.vip(1)?.wantedPolicy, "uniform");
});
