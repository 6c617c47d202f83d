// SPDX-License-Identifier: Apache-2.0
// What goes along with a stream and must never hold it up: whose turn it is, the shadow, the decision log. All of it runs after the
// answer is on its way.
import type { Frame__Output } from "../../gen/marllb/v1/Frame.js";
import type { GuardrailMemory, GuardrailMemory__Output } from "../../gen/marllb/v1/GuardrailMemory.js";
import type { Weights } from "../../gen/marllb/v1/Weights.js";
import { decodeFrame, type FrameView } from "../common/native/frame.js";
import { strippedRecords } from "../common/native/observe.js";
import { plainName } from "../common/policies.js";
import type { GuardCounts } from "../common/trial/guardrail.js";
import type { Catalog } from "./catalog.js";
import { type DecisionLog, digestOf } from "./decision-log.js";
import type { Session } from "./session.js";
import { Shadow } from "./shadow.js";
import type { Trials, TurnOf } from "./trials.js";

export interface BesideOptions {
  trials: Trials;
  catalog: Catalog;
  tickMs: number;
  nowMs(): number;
  unixMs(): number;
  cpuMs(): number;
  /** null: decisions are not kept. */
  openLog(instance: string, vip: string): DecisionLog | null;
  cut(vip: string, policy: string, why: string): void;
}

const sum = (v: FrameView, field: string): number => {
  let n = 0;
  for (const x of v.column(field)) n += x;
  return n;
};

/** Cumulative counts of a VIP; those of servers that left are gone from them, which who compares two notices. */
export function countsOf(v: FrameView): GuardCounts {
  return {
    flowUs: sum(v, "flow_us"),
    newFlows: sum(v, "new_flows"),
    ended: sum(v, "completions") + sum(v, "resets") + sum(v, "aborts") + sum(v, "empty_ends") + sum(v, "timed_out"),
    ttfbUs: v.figures.ttfb_sum_us ?? 0,
    answers: v.figures.answers ?? 0,
  };
}

export class Beside {
  /** What is ordered, or configured. */
  wanted: string;
  /** Why the policy in force has its turn. */
  turnOf: TurnOf = "order";
  readonly #log: DecisionLog | null;
  /** Of a shadow that was cut off: it is not tried again in this stream. */
  readonly #cut = new Map<string, string>();

  constructor(
    private readonly o: BesideOptions,
    readonly instance: string,
    readonly vip: string,
    readonly session: Session,
    /** What the replica that steered before found. */
    before: GuardrailMemory__Output | null,
  ) {
    this.wanted = session.policyName;
    if (before) {
      const [downUntil, nextMs] = [Number(before.down_until_unix_ms), Number(before.next_ms)];
      o.trials.recall(vip, { downUntil, nextMs, evidence: before.evidence }, o.unixMs());
    }
    this.#log = o.openLog(instance, vip);
  }

  /** Before a frame is decided on. True: another policy than before decides. `policy`: what is wanted; empty = as before. */
  turn(policy: string): boolean {
    const { session } = this;
    if (policy !== "") this.wanted = policy;
    const { policy: now, of, shadow } = this.o.trials.turn(this.vip, this.instance, this.wanted, this.o.unixMs());
    this.turnOf = of;
    const before = session.policyName;
    const memory = session.memoryOfPolicy;
    // Whoever takes it away and asks for it again wants it tried again.
    if (shadow === "") this.#cut.clear();
    if (now !== before) session.setPolicy(now);
    if (plainName(shadow) !== (session.shadow?.name ?? "")) {
      session.shadow = this.#shadow(plainName(shadow));
      // Whose turn is over goes on beside, with what it remembers.
      if (session.shadow && plainName(before) === plainName(shadow)) session.shadow.state = memory;
    }
    return now !== before;
  }

  /** After a frame was answered. */
  after(frame: Frame__Output, weights: Weights): void {
    const { trials, unixMs } = this.o;
    const { session } = this;
    void session.shadowStep();
    trials.hear(this.vip, this.instance, this.wanted, unixMs(), () =>
      countsOf(decodeFrame({ hdr: frame.hdr as Buffer, records: frame.records as Buffer })),
    );
    this.#log?.tick(
      {
        atUnixMs: unixMs(),
        frame: { ...frame, records: strippedRecords(frame.records as Buffer) },
        policy: weights.policy ?? "",
        fellBack: weights.ladder === "LADDER_KALMAN",
        digest: digestOf(weights),
      },
      () => session.checkpoint(frame.vip_id, true),
    );
  }

  /** What whoever steers next is to know. */
  get memory(): GuardrailMemory | null {
    const m = this.o.trials.guardrailMemory(this.vip, this.o.unixMs());
    return m && { down_until_unix_ms: m.downUntil, next_ms: m.nextMs, evidence: m.evidence };
  }

  /** Why the shadow does not run; empty: it does, or none is wanted. */
  whyNoShadow(policy: string): string {
    return this.#cut.get(plainName(policy)) ?? "";
  }

  get log(): Pick<DecisionLog, "bytes" | "ticks" | "lost"> | null {
    return this.#log;
  }

  close(): void {
    void this.#log?.close();
  }

  #shadow(name: string): Shadow | null {
    const policy = name === "" ? undefined : this.o.catalog.get(name);
    if (!policy || this.#cut.has(name)) return null;
    const { tickMs, nowMs, cpuMs } = this.o;
    return new Shadow({
      policy,
      tickMs,
      nowMs,
      cpuMs,
      onCut: (why) => {
        this.#cut.set(name, why);
        this.o.cut(this.vip, name, why);
      },
    });
  }
}
