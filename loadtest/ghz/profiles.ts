// SPDX-License-Identifier: Apache-2.0
// A load profile of every RPC, with what it must reach. Bars are for a machine that has other things to do.
import type { ServiceFolder } from "../../testbed/service.js";

/** What of a running marllb a request needs. */
export interface Subject {
  instance: string;
  vip: { vip_id: number; name: string };
  /** A server of the VIP. */
  server: string;
  /** A frame as JSON, of a data plane of the profile's own. */
  frame: Record<string, unknown>;
}

export interface Profile {
  service: ServiceFolder;
  /** "ShmAgent.GetStatus"; with a package of its own where it is not marllb.v1. */
  call: string;
  /** One request, or the requests of a stream. */
  data(s: Subject): object;
  /** Calls a second; of a stream: so many calls at once, each `seconds` long. */
  rate: number;
  /** One call only: a second one would be refused. */
  once?: true;
  /** A call that lasts until the client ends it. */
  stream?: { seconds: number; atOnce: number };
  /** It changes something that operators see, and the one after it takes that back. */
  orders?: true;
  /** Milliseconds of unary calls; messages from the server in each stream. */
  bar: { p99Ms?: number; messages?: number };
}

const QUICK = { p99Ms: 100 };
/** One that waits for the store. */
const STORED = { p99Ms: 500 };

const unary = (service: ServiceFolder, call: string, data: Profile["data"], more: Partial<Profile> = {}): Profile => ({
  ...{ service, call, data, rate: 50, bar: QUICK },
  ...more,
});
const order = (call: string, data: Profile["data"]): Profile =>
  unary("failover", call, data, { rate: 20, bar: STORED, orders: true });
const stream = (service: ServiceFolder, call: string, data: Profile["data"], messages: number): Profile => ({
  ...{ service, call, data, rate: 0, stream: { seconds: 1, atOnce: 10 }, bar: { messages } },
});

/** Several of them at once may not have one name. */
const OWN = "ghz-{{.WorkerID}}";
const roster = (): object => ({ instance: OWN, dp_epoch: "1", vips: [], gone: [] });
const pool = ({ vip: { vip_id, name } }: Subject) => ({ vip_id, name });

/** One that is stopped before it begins. */
function experiment(vip: string): object {
  const started_at_unix_ms = Date.now() + 300_000;
  return {
    ...{ id: "ghz", vip, candidate: "kalman", baseline: "uniform", share: 0.5, seed: 1 },
    ...{ started_at_unix_ms, block_ms: 10_000, deadline_unix_ms: started_at_unix_ms + 60_000 },
  };
}

export const PROFILES: readonly Profile[] = [
  unary("shm-agent", "ShmAgent.GetStatus", () => ({}), { rate: 200 }),
  unary("shm-agent", "ShmAgent.GetWeights", ({ vip }) => ({ vip_id: vip.vip_id })),
  unary(
    "shm-agent",
    "ShmAgent.PushWeights",
    ({ vip, server }) => ({
      vip_id: vip.vip_id,
      weights: [{ address: server, weight: 1 }],
      hold_ms: 1,
    }),
    { orders: true },
  ),
  stream("shm-agent", "ShmAgent.StreamStats", () => ({ every_ms: 100 }), 3),
  unary("inference", "Inference.ListModels", () => ({})),
  unary("inference", "Inference.GetPolicy", ({ instance, vip }) => ({ instance, vip_id: vip.vip_id })),
  unary("inference", "Inference.Explain", ({ instance, vip }) => ({ instance, vip_id: vip.vip_id })),
  unary("inference", "Inference.GetTrust", ({ vip }) => ({ vip: vip.name })),
  unary("inference", "Inference.ShareExperiment", ({ vip }) => ({ vip: vip.name })),
  unary("inference", "Inference.SetShadow", ({ vip }) => ({ vip: vip.name, policy: "" }), { orders: true }),
  unary("inference", "Inference.StartExperiment", ({ vip }) => experiment(vip.name), { rate: 1, once: true, orders: true }),
  unary("inference", "Inference.StopExperiment", ({ vip }) => ({ vip: vip.name, reason: "ghz" }), {
    rate: 1,
    once: true,
    orders: true,
  }),
  unary("inference", "Inference.ResumePolicy", ({ vip }) => ({ vip: vip.name, reason: "ghz" }), { orders: true }),
  unary("inference", "Inference.Decide", ({ frame }) => ({ frame, policy: "kalman" })),
  stream(
    "inference",
    "Inference.Steer",
    ({ frame: f }) => [
      {
        hello: { instance: OWN, vip: { vip_id: f.vip_id, name: "ghz", dp_epoch: f.dp_epoch, birth: f.birth }, policy: "kalman" },
      },
      { frame: f },
    ],
    1,
  ),
  // It answers ten a second.
  unary("health", "Health.Check", ({ server }) => ({ address: server, kind: "tcp" }), { rate: 8 }),
  stream("health", "Health.Watch", () => ({}), 1),
  stream("health", "Health.Report", () => [{ roster: roster() }], 0),
  unary("failover", "Failover.GetPool", pool),
  unary("failover", "Failover.History", (s) => ({ ...pool(s), limit: 5 })),
  unary("failover", "Failover.ApplyPool", (s) => ({
    pool: { ...pool(s), managed: true, servers: [{ address: s.server, weight: 1 }] },
    dry_run: true,
  })),
  stream("failover", "Failover.WatchPool", () => ({}), 1),
  stream("failover", "Failover.Supervise", () => [{ instance: OWN, roster: roster() }], 0),
  order("Failover.Drain", (s) => ({ ...pool(s), address: s.server, reason: "ghz" })),
  order("Failover.Undrain", (s) => ({ ...pool(s), address: s.server, reason: "ghz" })),
  order("Failover.SetMaintenance", (s) => ({ ...pool(s), address: s.server, reason: "ghz", on: false })),
  order("Failover.SetOverride", (s) => ({ ...pool(s), weights: [{ address: s.server, weight: 1 }], reason: "ghz" })),
  order("Failover.ClearOverride", (s) => ({ ...pool(s), reason: "ghz" })),
  order("Failover.SetPolicy", (s) => ({ ...pool(s), policy: "", reason: "ghz" })),
  ...(["shm-agent", "inference", "health", "failover"] as const).flatMap((s) => [
    unary(s, "Process.SetLogLevel", () => ({ level: "" })),
    unary(s, "grpc.health.v1.Health.Check", () => ({ service: "" })),
    stream(s, "grpc.health.v1.Health.Watch", () => ({ service: "" }), 1),
  ]),
];
