// SPDX-License-Identifier: Apache-2.0
// PushWeights: what an outside controller sends, checked against the newest frame.
import type { PushWeightsRequest__Output } from "../../gen/marllb/v1/PushWeightsRequest.js";
import { canonicalAddress } from "../common/config/address.js";
import { invalid, ServiceError } from "../common/grpc/errors.js";
import { memberIds } from "../common/native/frame.js";
import type { Push } from "./compose.js";
import type { Vip } from "./vip.js";

const DEFAULT_HOLD_MS = 10_000;
const MAX_HOLD_MS = 3_600_000;
const MAX_BIAS = 1e6;

export function pushOf(r: PushWeightsRequest__Output, vip: Vip, nowMs: number): Push {
  if (r.generation !== 0 && r.generation !== vip.frame.generation) {
    throw new ServiceError(
      "FAILED_PRECONDITION",
      `generation: expected the newest, ${vip.frame.generation}, found ${r.generation}: the server list has changed`,
    );
  }
  if (r.hold_ms > MAX_HOLD_MS) throw invalid("hold_ms", `expected at most ${MAX_HOLD_MS}, found ${r.hold_ms}`);
  if (r.weights.length === 0) throw invalid("weights", "expected at least one entry");
  const byAddress = new Map([...memberIds(vip.view)].map(([a, id]) => [canonicalAddress(a), id]));
  const known = new Set(vip.view.ids);
  const seen = new Set<number>();
  let sum = 0;
  r.weights.forEach((w, i) => {
    const field = `weights[${i}]`;
    let id = w.server_id;
    if (w.address !== "") {
      const named = byAddress.get(canonicalAddress(w.address));
      if (named === undefined) throw invalid(`${field}.address`, `${w.address} is not a server of VIP ${vip.view.name}`);
      if (id !== 0 && id !== named) throw invalid(field, `server_id ${id} and address ${w.address} name two servers`);
      id = named;
    }
    if (id === 0) throw invalid(field, "expected server_id or address");
    if (!known.has(id)) throw invalid(`${field}.server_id`, `${id} is not a server of VIP ${vip.view.name}`);
    if (seen.has(id)) throw invalid(field, `server ${id} is named twice`);
    seen.add(id);
    if (!Number.isFinite(w.weight) || w.weight < 0)
      throw invalid(`${field}.weight`, `expected a finite number from 0, found ${w.weight}`);
    if (!Number.isFinite(w.bias) || Math.abs(w.bias) > MAX_BIAS) {
      throw invalid(`${field}.bias`, `expected a finite number of flows up to ${MAX_BIAS}, found ${w.bias}`);
    }
    sum += w.weight;
  });
  if (!(sum > 0 && Number.isFinite(Math.fround(sum))))
    throw invalid("weights", `expected a sum above 0 that fits a float, found ${sum}`);
  return {
    untilMs: nowMs + (r.hold_ms || DEFAULT_HOLD_MS),
    decision: {
      ids: [...seen],
      weights: Float32Array.from(r.weights, (w) => w.weight),
      bias: Float32Array.from(r.weights, (w) => w.bias),
      kappa: 0,
      mode: 0,
      policy: "push",
      turnOf: "",
    },
  };
}
