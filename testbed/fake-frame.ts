// SPDX-License-Identifier: Apache-2.0
// A frame made up for tests of parts that take a decoded one.
import { BUCKETS } from "../services/common/histogram.js";
import type { FrameView } from "../services/common/native/frame.js";

export interface FakeServer {
  id: number;
  address: string;
  weight?: number;
  flows?: number;
  flags?: number;
  [column: string]: number | string | undefined;
}

export function fakeFrame(servers: FakeServer[], over: Partial<FrameView> = {}): FrameView {
  return {
    vipId: 1,
    name: "web",
    address: "127.0.0.1:8080",
    protocol: "tcp",
    dpEpoch: 1n,
    birth: 1n,
    generation: 1,
    seq: 1n,
    monoNs: 0n,
    realNs: 0n,
    term: 0n,
    mode: 3,
    managed: false,
    ladder: 0,
    figures: {},
    refused: {},
    count: servers.length,
    load: 0,
    ids: Uint32Array.from(servers, (s) => s.id),
    flags: Uint16Array.from(servers, (s) => s.flags ?? 1),
    flows: Uint32Array.from(servers, (s) => s.flows ?? 0),
    weightStatic: Float32Array.from(servers, (s) => s.weight ?? 1),
    addresses: () => servers.map((s) => s.address),
    column: (field) => Float64Array.from(servers, (s) => (s[field] as number | undefined) ?? (field === "factor" ? 1 : 0)),
    histogram: () => new Uint32Array(BUCKETS * servers.length),
    ...over,
  };
}
