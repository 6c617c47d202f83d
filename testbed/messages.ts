// SPDX-License-Identifier: Apache-2.0
// Good messages of every method, for tests that damage them.
import type { Frame } from "../gen/marllb/v1/Frame.js";
import type { RawFrame } from "../services/common/native/frame.js";

export function frameMessage(f: RawFrame): Frame {
  return {
    vip_id: f.vipId,
    schema: f.schema,
    record_size: f.recordSize,
    hdr: f.hdr,
    records: f.records,
    trace: { traceparent: "00-0102030405060708090a0b0c0d0e0f10-a1a2a3a4a5a6a7a8-01", tracestate: "" },
    dp_epoch: f.dpEpoch.toString(),
    birth: f.birth.toString(),
    generation: f.generation,
    seq: f.seq,
    instance: "fuzz",
    want_weights: true,
  };
}

/** By service folder and method; of a stream of requests the first message first. */
export function samples(folder: string, frame: Frame): Record<string, object[]> {
  const vip_id = frame.vip_id ?? 1;
  const address = "127.0.0.1:9";
  const instance = "fuzz";
  const vip = { vip_id, name: "web", dp_epoch: frame.dp_epoch ?? "1", birth: frame.birth ?? "1" };
  const roster = {
    instance,
    dp_epoch: vip.dp_epoch,
    vips: [vip],
    gone: [{ ...vip, name: "api", birth: "99" }],
    counts: "10.0.0.1:7400",
  };
  const checkpoint = { vip_id, policy: "kalman", schema: 1, state: Buffer.from("4d434b31000000000000000000000000", "hex") };
  const all: Record<string, Record<string, object[]>> = {
    inference: {
      Steer: [{ hello: { instance, vip, policy: "kalman", checkpoint } }, { frame, policy: "uniform" }, { warm_up: frame }],
      Decide: [{ frame, policy: "kalman", checkpoint }],
      ListModels: [{}],
      GetPolicy: [{ instance, vip_id }],
      Explain: [{ instance, vip_id }],
      SetShadow: [{ vip: "web", policy: "uniform" }],
      StartExperiment: [
        {
          id: "e1",
          vip: "web",
          candidate: "uniform",
          baseline: "kalman",
          share: 0.5,
          started_at_unix_ms: 1,
          block_ms: 10_000,
          seed: 1,
          deadline_unix_ms: 4_000_000_000_000,
        },
      ],
      StopExperiment: [{ vip: "web", reason: "why" }],
      GetTrust: [{ vip: "web" }],
      ResumePolicy: [{ vip: "web", reason: "x" }],
      ShareExperiment: [{ vip: "web", pairs_from: 0 }],
    },
    health: {
      // Without an address: a damaged one would be dialled.
      Check: [{ kind: "tcp", timeout_ms: 20, path: "/p" }],
      Watch: [{ instance }],
      Report: [{ frame }, { roster }],
    },
    failover: {
      Supervise: [{ instance, frame, ladder: "LADDER_MODEL", applied_term: 1 }, { roster }],
      GetPool: [{ vip_id, name: "web" }],
      ApplyPool: [{ pool: { vip_id, name: "web", managed: true, servers: [{ id: 1, address, weight: 1 }] }, dry_run: true }],
      WatchPool: [{ vip_id }],
      Drain: [{ vip_id, address, reason: "why", deadline_ms: 1000 }],
      Undrain: [{ vip_id, address }],
      SetMaintenance: [{ vip_id, address, reason: "why", on: true }],
      SetPolicy: [{ vip_id, policy: "uniform", reason: "why" }],
      History: [{ vip_id, limit: 3 }],
      SetOverride: [{ vip_id, weights: [{ address, weight: 2 }], mode: "MODE_SED", reason: "why" }],
      ClearOverride: [{ vip_id }],
    },
    "shm-agent": {
      GetStatus: [{}],
      StreamStats: [{ vip_id, every_ms: 100 }],
      PushWeights: [
        {
          vip_id,
          weights: [
            { server_id: 1, weight: 2, bias: 0.5 },
            { server_id: 2, weight: 1 },
          ],
          hold_ms: 10,
          generation: 0,
        },
      ],
      GetWeights: [{ vip_id }],
    },
  };
  return all[folder] ?? {};
}
