// SPDX-License-Identifier: Apache-2.0
// What operators ask for: operations on intents, and what there is to see of a pool.
import type { ApplyPoolRequest__Output } from "../../gen/marllb/v1/ApplyPoolRequest.js";
import type { ApplyPoolResponse } from "../../gen/marllb/v1/ApplyPoolResponse.js";
import type { DrainRequest__Output } from "../../gen/marllb/v1/DrainRequest.js";
import type { DrainResponse } from "../../gen/marllb/v1/DrainResponse.js";
import type { GetPoolRequest__Output } from "../../gen/marllb/v1/GetPoolRequest.js";
import type { GetPoolResponse } from "../../gen/marllb/v1/GetPoolResponse.js";
import type { HistoryRequest__Output } from "../../gen/marllb/v1/HistoryRequest.js";
import type { HistoryResponse } from "../../gen/marllb/v1/HistoryResponse.js";
import type { SetMaintenanceRequest__Output } from "../../gen/marllb/v1/SetMaintenanceRequest.js";
import type { SetOverrideRequest__Output } from "../../gen/marllb/v1/SetOverrideRequest.js";
import type { SetPolicyRequest__Output } from "../../gen/marllb/v1/SetPolicyRequest.js";
import type { SetPolicyResponse } from "../../gen/marllb/v1/SetPolicyResponse.js";
import type { UndrainRequest__Output } from "../../gen/marllb/v1/UndrainRequest.js";
import type { UndrainResponse } from "../../gen/marllb/v1/UndrainResponse.js";
import type { Clock } from "../common/clock.js";
import type { Config } from "../common/config/load.js";
import type { OwnVip } from "../common/config/own.js";
import { type Caller, callerName, invalid, ServiceError } from "../common/grpc/errors.js";
import type { FailoverCore, PoolView } from "./core.js";
import type { Discovery } from "./discovery/discovery.js";
import { countOf } from "./flows.js";
import { type Change, HISTORY_LIMIT, holdsOf, type Stamp, type Wanted } from "./intent.js";
import type { Done, Intents } from "./intents.js";
import {
  address,
  holdMessage,
  membersOf,
  overrideMessage,
  overrideOf,
  policyOf,
  poolMessage,
  reasonOf,
  refuseLoops,
} from "./messages.js";
import * as operations from "./operations.js";
import type { Policies } from "./policies.js";
import { shownShare } from "./seen.js";
import type { Supervision } from "./supervision.js";

/** A year: a deadline beyond is a slip. */
const MAX_DEADLINE_MS = 366 * 86_400_000;

/** A message is 1 MiB at most; JSON is no shorter than what is sent. */
const HISTORY_BYTES = 900_000;

/** What a data plane has masked stays masked until health speaks. */
const NOT_JUDGED = "so a load balancer had it; health has not judged it since";
const NOT_A_MEMBER = { factor: 0, reason: "held; no list has it now" };

const SOURCES = {
  operator: "POOL_SOURCE_OPERATOR",
  discovery: "POOL_SOURCE_DISCOVERY",
  "data plane": "POOL_SOURCE_DATA_PLANE",
} as const;

interface Named {
  vip_id: number;
  name: string;
}

export class Operator {
  constructor(
    private readonly o: {
      core: FailoverCore;
      intents: Intents;
      supervision: Supervision;
      discovery: Discovery;
      whyDown(pool: string, address: string): string;
      policies: Policies;
      config: Config;
      clock: Clock;
    },
  ) {}

  async drain(r: DrainRequest__Output, caller: Caller): Promise<DrainResponse> {
    const deadlineMs = Number(r.deadline_ms);
    if (!(deadlineMs <= MAX_DEADLINE_MS))
      throw invalid("deadline_ms", `expected at most ${MAX_DEADLINE_MS}, found ${r.deadline_ms}`);
    if (r.close && deadlineMs === 0) throw invalid("close", "expected with deadline_ms: what is left at the deadline is closed");
    const deadline = deadlineMs === 0 ? null : { at: this.o.clock.unixMs() + deadlineMs, close: r.close };
    if (r.close) this.needClose(r);
    const done = await this.hold(r, caller, (a, stamp) => operations.hold("drain", a, deadline, stamp));
    const { flows, unknown } = this.count(done.view, done.address);
    const drain = holdsOf(done.view.intent, done.address).find((h) => h.kind === "drain");
    return { flows, flows_unknown: unknown, term: done.view.term, hold: drain && holdMessage(drain) };
  }

  async undrain(r: UndrainRequest__Output, caller: Caller): Promise<UndrainResponse> {
    const done = await this.hold(r, caller, (a) => operations.release("drain", a));
    // A list that is ours is about to change, whatever a frame still says.
    if (done.view.source === "data plane" && this.o.supervision.seenOf(done.view.name).get(done.address)?.draining) {
      throw new ServiceError(
        "FAILED_PRECONDITION",
        `address: ${done.address} drains by a data plane's own list; end that there (configuration, or undrain on its command line)`,
      );
    }
    const holds = holdsOf(done.view.intent, done.address).map(holdMessage);
    return { term: done.view.term, holds, no_flows: this.whyNoFlows(done.view, done.address) };
  }

  async maintenance(r: SetMaintenanceRequest__Output, caller: Caller): Promise<{ term: number }> {
    const done = await this.hold(r, caller, (a, stamp) =>
      r.on ? operations.hold("maintenance", a, null, stamp) : operations.release("maintenance", a),
    );
    return { term: done.view.term };
  }

  async applyPool(r: ApplyPoolRequest__Output, caller: Caller): Promise<ApplyPoolResponse> {
    if (!r.pool) throw invalid("pool", "is missing");
    const members = membersOf(r.pool);
    const view = this.o.core.find(r.pool.vip_id, r.pool.name);
    refuseLoops(members, view.name, this.ownVips());
    const stamp = this.stamp(r.reason, caller);
    const apply = operations.apply(members, Number(r.pool.revision), view.order.members, stamp);
    if (r.dry_run) {
      const newest = await this.o.intents.refresh(view.name);
      return { pool: poolMessage(view), changes: apply(newest).what };
    }
    const { what } = await this.o.intents.operate(view.name, apply, stamp, () => caller.cancelled);
    return { pool: poolMessage(this.o.core.find(0, view.name)), changes: what };
  }

  async setOverride(r: SetOverrideRequest__Output, caller: Caller): Promise<{ term: number }> {
    const override = overrideOf(r);
    const named = override.entries.map((e, i) => ({ address: e.address, field: `weights[${i}].address` }));
    const view = await this.withMembers(r, named);
    const stamp = this.stamp(r.reason, caller);
    const members = view.order.members.map((m) => m.address);
    return this.operate(view, operations.setOverride(override, members, stamp), stamp, caller);
  }

  clearOverride(r: Named & { reason: string }, caller: Caller): Promise<{ term: number }> {
    return this.operate(this.o.core.find(r.vip_id, r.name), operations.clearOverride, this.stamp(r.reason, caller), caller);
  }

  async setPolicy(r: SetPolicyRequest__Output, caller: Caller): Promise<SetPolicyResponse> {
    const policy = policyOf(r.policy);
    const problem = policy === "" ? null : this.o.policies.refusal(policy);
    if (problem !== null) throw invalid("policy", problem);
    const view = this.o.core.find(r.vip_id, r.name);
    const stamp = this.stamp(r.reason, caller);
    let previous = "";
    const set = operations.setPolicy(policy, stamp);
    const { term } = await this.operate(
      view,
      (newest) => {
        previous = newest.policy?.name ?? "";
        return set(newest);
      },
      stamp,
      caller,
    );
    return { policy, previous, term };
  }

  async history(r: HistoryRequest__Output): Promise<HistoryResponse> {
    const view = this.o.core.find(r.vip_id, r.name);
    const changes = await this.o.intents.history(view.name, r.limit === 0 ? HISTORY_LIMIT : Math.min(r.limit, HISTORY_LIMIT));
    return { changes: fitting(changes).map(changeMessage) };
  }

  getPool(r: GetPoolRequest__Output): GetPoolResponse {
    const view = this.o.core.find(r.vip_id, r.name);
    const { intent, order } = view;
    const seen = this.o.supervision.seenOf(view.name);
    const flows = this.o.supervision.flowsOf(view.name);
    const members = listOf(view).map((m) => {
      const ours = order.shares.get(m.address) ?? (order.members.includes(m) ? undefined : NOT_A_MEMBER);
      const share = shownShare(ours, seen.get(m.address));
      const count = countOf(flows, m.address, view.loadBalancers);
      const holds = holdsOf(intent, m.address);
      return {
        server: { address: m.address, weight: m.weight, drain: holds.length > 0 },
        health: `HEALTH_FACT_${this.o.core.healthOf(view.name, m.address)}` as const,
        factor: share.factor,
        reason: share.reason,
        check: this.whyDown(view.name, m.address),
        flows: count.flows,
        flows_unknown: count.unknown,
        holds: holds.map(holdMessage),
      };
    });
    const { policy } = intent;
    const found = this.o.discovery.pools.get(view.name);
    const { state, reason } = this.o.intents;
    return {
      pool: poolMessage(view),
      members,
      state: `VIP_STATE_${order.status}`,
      term: view.term,
      override: intent.override && overrideMessage(intent.override),
      load_balancers: flows.map((l) => ({
        instance: l.instance,
        heard: l.heard,
        flows: members.map((m) => l.flows.get(m.server.address) ?? 0),
        unknown: [...new Set(members.flatMap((m) => l.unknown.get(m.server.address) ?? []))].join("; "),
      })),
      expected_load_balancers: view.loadBalancers,
      policy: policy && { name: policy.name, by: policy.by, reason: policy.reason, at_unix_ms: policy.at },
      stale: state === "current" ? "" : reason,
      source: SOURCES[view.source],
      discovery: found && {
        from: found.from,
        servers: found.servers,
        problem: found.problem,
        found_at_unix_ms: found.atUnixMs ?? 0,
      },
    };
  }

  /** Empty: it gets new flows. */
  private whyNoFlows({ name, intent, order }: PoolView, of: string): string {
    const share = order.shares.get(of);
    if (share?.factor === 0) {
      const check = this.whyDown(name, of);
      return check === "" ? share.reason : `${share.reason || "down"} (${check})`;
    }
    return intent.override?.entries.some((e) => e.address === of && e.weight === 0) ? "override weight 0" : "";
  }

  /** What the check said of a server that is down; empty: it is not. */
  private whyDown(pool: string, address: string): string {
    const why = this.o.whyDown(pool, address);
    return why === "" && this.o.core.healthOf(pool, address) === "DOWN" ? NOT_JUDGED : why;
  }

  private stamp(reason: string, caller: Caller): Stamp {
    return { by: callerName(caller), reason: reasonOf(reason), at: this.o.clock.unixMs() };
  }

  private count(view: PoolView, of: string): { flows: number; unknown: string } {
    return countOf(this.o.supervision.flowsOf(view.name), of, view.loadBalancers);
  }

  private async operate(
    view: PoolView,
    operation: operations.Operation,
    stamp: Stamp,
    caller: Caller,
  ): Promise<Done & { term: number }> {
    const done = await this.o.intents.operate(view.name, operation, stamp, () => caller.cancelled);
    return { ...done, term: this.o.core.find(0, view.name).term };
  }

  private async hold(
    r: Named & { address: string; reason: string },
    caller: Caller,
    operation: (address: string, stamp: Stamp) => operations.Operation,
  ): Promise<{ view: PoolView; address: string }> {
    const wanted = address(r.address, "address");
    const view = await this.withMembers(r, [{ address: wanted, field: "address" }]);
    const stamp = this.stamp(r.reason, caller);
    await this.o.intents.operate(view.name, operation(wanted, stamp), stamp, () => caller.cancelled);
    return { view: this.o.core.find(0, view.name), address: wanted };
  }

  /** The pool, which has these servers. One that is not known here may have been added through another replica just now. */
  private async withMembers(r: Named, wanted: readonly { address: string; field: string }[]): Promise<PoolView> {
    const { core, intents } = this.o;
    const known = (): PoolView => {
      const view = core.find(r.vip_id, r.name);
      for (const { address: a, field } of wanted) core.needMember(view, a, field);
      return view;
    };
    try {
      return known();
    } catch (e) {
      if (!(e instanceof ServiceError)) throw e;
      // Where the store does not answer, the operation would be refused for that; what is wrong with the request goes before.
      await intents.refresh(core.find(r.vip_id, r.name).name).catch(() => {});
      return known();
    }
  }

  private needClose(r: Named): void {
    const view = this.o.core.find(r.vip_id, r.name);
    const cannot = this.o.core.agentsOf(view.name).filter((a) => !a.canClose);
    if (cannot.length === 0) return;
    const who = cannot.map((a) => a.instance).join(", ");
    throw new ServiceError(
      "FAILED_PRECONDITION",
      `close: the data plane of ${who} closes no flows by order; they can be waited for`,
    );
  }

  /** The configuration knows the VIPs' addresses, the pools which servers they have now. */
  private ownVips(): OwnVip[] {
    const pools = new Map(this.o.core.views().map((v) => [v.name, v.order.members]));
    return this.o.config.vips.map((v) => {
      const members = pools.get(v.name) ?? [];
      return {
        name: v.name,
        address: v.address,
        protocol: v.protocol,
        servers: (members.length > 0 ? members : v.servers).map((s) => s.address),
      };
    });
  }
}

/** The members, and who is held though no list has it now. */
function listOf({ intent, order }: PoolView): readonly Wanted[] {
  const members = new Set(order.members.map((m) => m.address));
  const others = new Set(intent.holds.map((h) => h.address).filter((a) => !members.has(a)));
  return [...order.members, ...[...others].map((address) => ({ address, weight: 0 }))];
}

/** The newest, as many as one message takes. */
function fitting(changes: readonly Change[]): readonly Change[] {
  let bytes = 0;
  const end = changes.findIndex((c) => {
    bytes += Buffer.byteLength(JSON.stringify(c));
    return bytes > HISTORY_BYTES;
  });
  return end === -1 ? changes : changes.slice(0, end);
}

const changeMessage = (c: Change) => ({
  version: c.version,
  at_unix_ms: c.at,
  by: c.by,
  reason: c.reason,
  what: c.what,
  id: c.id,
});
