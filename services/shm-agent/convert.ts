// SPDX-License-Identifier: Apache-2.0
// Messages to the agent's own types and back. Entries that make no sense are refused whole, with the field that is wrong.
import type { Directive__Output } from "../../gen/marllb/v1/Directive.js";
import type { VipChecks } from "../../gen/marllb/v1/VipChecks.js";
import type { Weights__Output } from "../../gen/marllb/v1/Weights.js";
import type { Config } from "../common/config/load.js";
import { Ladder, wireLadder, wireMode, wireVipState } from "../common/vocabulary.js";
import type { DirectiveState } from "./compose.js";
import type { Decision } from "./ladder.js";

/** Packed little-endian float32, copied: a message's bytes need not be aligned. */
export function floats(bytes: Buffer | Uint8Array | string, n: number, field: string): Float32Array {
  const b = typeof bytes === "string" ? Buffer.from(bytes, "base64") : bytes;
  if (b.length === 0 && n === 0) return new Float32Array(0);
  if (b.length !== 4 * n) throw new Error(`${field}: expected ${4 * n} bytes for ${n} servers, found ${b.length}`);
  return new Float32Array(Uint8Array.from(b).buffer);
}

export function decisionOf(w: Weights__Output): { decision: Decision; step: number } {
  const n = w.server_ids.length;
  return {
    decision: {
      ids: w.server_ids,
      weights: floats(w.weights, n, "weights"),
      bias: w.bias.length === 0 ? new Float32Array(0) : floats(w.bias, n, "bias"),
      kappa: w.kappa,
      mode: wireMode.value(w.mode) ?? 0,
      policy: w.policy,
      turnOf: w.turn_of,
    },
    step: wireLadder.value(w.ladder) === Ladder.KALMAN ? Ladder.KALMAN : Ladder.MODEL,
  };
}

export function directiveOf(d: Directive__Output): DirectiveState {
  const factors = new Map<number, number>();
  for (const s of d.servers) {
    if (!(s.factor >= 0 && s.factor <= 1)) throw new Error(`servers: factor ${s.factor} of server ${s.server_id} is not in 0..1`);
    factors.set(s.server_id, s.factor);
  }
  const o = d.override;
  if (o && o.server_ids.length !== o.weights.length) throw new Error("override: as many server_ids as weights are expected");
  return {
    term: BigInt(d.term),
    factors,
    state: wireVipState.value(d.state) ?? 0,
    loadBalancers: d.load_balancers,
    loadBalancer: d.load_balancer,
    override:
      o && o.server_ids.length > 0
        ? {
            weights: new Map(o.server_ids.map((id, i) => [id, o.weights[i] as number])),
            mode: wireMode.value(o.mode) ?? 0,
            reason: o.reason,
          }
        : null,
    fallback: d.fallback,
    policy: d.policy,
    closing: new Set(d.servers.filter((s) => s.close).map((s) => s.server_id)),
    lastResort: new Set(d.servers.filter((s) => s.last_resort).map((s) => s.server_id)),
    generation: d.generation,
    newcomersWait: d.newcomers_wait,
  };
}

/** What the configuration says of checks, for the VIPs that there are. */
export function checksOf(
  config: Pick<Config, "vips">,
  vips: readonly { name: string; dpEpoch: bigint; birth: bigint }[],
): VipChecks[] {
  return vips.flatMap((v) => {
    const said = config.vips.find((c) => c.name === v.name);
    if (!said) return [];
    const servers = said.servers.filter((s) => s.health !== undefined || s.send_proxy !== "vip");
    return [
      {
        dp_epoch: v.dpEpoch.toString(),
        birth: v.birth.toString(),
        health: said.health ? JSON.stringify(said.health) : "",
        send_proxy: said.send_proxy,
        servers: servers.map((s) => ({
          address: s.address,
          health: s.health ? JSON.stringify(s.health) : "",
          send_proxy: s.send_proxy === "vip" ? said.send_proxy : s.send_proxy,
        })),
      },
    ];
  });
}
