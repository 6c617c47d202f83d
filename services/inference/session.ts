// SPDX-License-Identifier: Apache-2.0
// One VIP of one load balancer: its observation and policy state for the life of a stream, and the last answer.
import type { Checkpoint__Output } from "../../gen/marllb/v1/Checkpoint.js";
import type { Frame__Output } from "../../gen/marllb/v1/Frame.js";
import type { Weights } from "../../gen/marllb/v1/Weights.js";
import type { Observed as NativeObserved } from "../common/native/observe.js";
import { plainName } from "../common/policies.js";
import type { Batcher } from "./batcher.js";
import type { Catalog } from "./catalog.js";
import { decodeState, EMPTY, encodeState, type PolicyState, rowsFor } from "./checkpoint.js";
import { kalman, type Observation, type Output, type Policy } from "./policy.js";
import type { Seen, Shadow } from "./shadow.js";

/** The core's observation of a frame; without a native step, `server` and `pool` say nothing and `kalman` stands. */
export type Observed = Omit<NativeObserved, "present">;

/** Of the 1 MiB of a gRPC message; what stands around it is far less than the rest. */
const MAX_CHECKPOINT = 1_000_000;

export interface SessionOptions {
  observe(frame: Frame__Output, before: Buffer | null): Observed;
  catalog: Catalog;
  batcher: Batcher;
  observationSchema: number;
  /** Microseconds, for the time an answer took. */
  nowUs(): number;
  onFailure(policy: string, error: unknown): void;
}

export interface LastStep {
  frame: Frame__Output;
  /** Servers in the order of the output. */
  ids: Uint32Array;
  /** Who was asked; another may have been set since. */
  asked: string;
  /** Name of the deciding policy; empty when Kalman was the fallback. */
  policy: string;
  /** One line about it. */
  note: string;
  /** What a model's offset was added to; null: no model decided. */
  base: Policy["base"];
  observation: Observation;
  output: Output;
  outOfRange: number;
  fellBack: string;
}

interface Memory {
  observation: Buffer | null;
  state: PolicyState;
  last: LastStep | null;
}

export class Session {
  policyName: string;
  last: LastStep | null = null;
  private observation: Buffer | null = null;
  private state: PolicyState = EMPTY;
  /** What was remembered before the last step. */
  private before: Memory = { observation: null, state: EMPTY, last: null };
  /** A policy that goes along unseen. */
  shadow: Shadow | null = null;
  /** What the last step saw and decided, for what is tried on it. */
  seen: Seen | null = null;

  constructor(
    policyName: string,
    private readonly o: SessionOptions,
  ) {
    this.policyName = policyName;
  }

  /** A shadow that takes its turn goes on with what it remembers. */
  setPolicy(name: string): void {
    if (name === this.policyName) return;
    this.policyName = name;
    this.state = this.shadow?.name === plainName(name) ? this.shadow.state : EMPTY;
  }

  /** What the policy in force remembers, for the shadow that it becomes. */
  get memoryOfPolicy(): PolicyState {
    return this.state;
  }

  /** The step of the shadow, after the answer. */
  async shadowStep(): Promise<void> {
    if (this.seen) await this.shadow?.step(this.seen);
  }

  /** Takes over from another replica, or from this agent's last stream. False: the bytes are of no use, it starts anew. */
  restore(c: Checkpoint__Output): boolean {
    if (c.policy !== "") this.policyName = c.policy;
    const saved = c.schema === this.o.observationSchema ? decodeState(c.state as Buffer) : null;
    if (saved === null) return c.state.length === 0;
    this.observation = saved.observation.length > 0 ? saved.observation : null;
    this.state = saved.policy;
    return true;
  }

  /** `before`: as it was before the last step. */
  checkpoint(vipId: number, before = false): { vip_id: number; policy: string; schema: number; state: Buffer } {
    const memory = before ? this.before : this.memory();
    const observation = memory.observation ?? Buffer.alloc(0);
    let state = encodeState({ observation, policy: memory.state });
    // Longer than a message may be, it would end the stream once a second: the policy's own memory then starts anew instead.
    if (state.length > MAX_CHECKPOINT) state = encodeState({ observation, policy: EMPTY });
    return { vip_id: vipId, policy: this.policyName, schema: this.o.observationSchema, state };
  }

  /** The last step once more, with the same answer; nothing is kept of it. The caller has it run by itself, as any step. */
  async warmUp(frame: Frame__Output): Promise<Weights> {
    const before = this.before;
    const policyName = this.policyName;
    const now = this.memory();
    this.remember(before);
    try {
      return await this.step(frame);
    } finally {
      // The policy may have been changed meanwhile; its state starts empty.
      this.remember(this.policyName === policyName ? now : { ...now, state: EMPTY });
      this.before = before;
    }
  }

  private memory(): Memory {
    return { observation: this.observation, state: this.state, last: this.last };
  }

  private remember(m: Memory): void {
    this.observation = m.observation;
    this.state = m.state;
    this.last = m.last;
  }

  async step(frame: Frame__Output): Promise<Weights> {
    this.before = this.memory();
    const start = this.o.nowUs();
    const observed = this.observe(frame);
    this.observation = observed.state;
    const observation = observationOf(observed);
    const asked = this.policyName; // a decision may wait for others, and another policy may be wanted meanwhile
    const policy = this.o.catalog.get(asked);
    // Between two native steps such a policy has nothing new to see: its last answer stands, by server id.
    const stands =
      policy?.stepped && !observed.stepped && this.last?.policy === policy.name && this.last.frame.dp_epoch === frame.dp_epoch;
    if (!stands) await this.decide(frame, observed, observation, asked, policy);
    const { output, fellBack, ids } = this.last as LastStep;
    this.seen = { observation, ids: observed.ids, stepped: observed.stepped, weights: output.weights };
    return {
      vip_id: frame.vip_id,
      dp_epoch: frame.dp_epoch,
      generation: frame.generation,
      frame_seq: frame.seq,
      policy: asked,
      ladder: fellBack === "" ? "LADDER_MODEL" : "LADDER_KALMAN",
      server_ids: Array.from(ids),
      weights: bytesOf(output.weights),
      bias: output.bias === null ? Buffer.alloc(0) : bytesOf(output.bias),
      kappa: output.kappa,
      mode: "MODE_UNSPECIFIED",
      inference_us: Math.max(0, Math.round(this.o.nowUs() - start)),
    };
  }

  /** The state may come from a checkpoint that is whole and yet not the observation's: then it is forgotten, not the stream. */
  private observe(frame: Frame__Output): Observed {
    if (this.observation === null) return this.o.observe(frame, null);
    try {
      return this.o.observe(frame, this.observation);
    } catch (e) {
      const observed = this.o.observe(frame, null);
      this.o.onFailure("observation", e);
      return observed;
    }
  }

  private async decide(
    frame: Frame__Output,
    observed: Observed,
    observation: Observation,
    asked: string,
    policy: Policy | undefined,
  ): Promise<void> {
    const { ids } = observed;
    let output: Output | null = null;
    let fellBack = "";
    if (policy === undefined) fellBack = this.o.catalog.whyNot(asked);
    else if (policy.stepped && !observed.stepped) fellBack = "no native step yet";
    else {
      try {
        output = await this.run(policy, asked, ids, observation);
      } catch (e) {
        fellBack = (e as Error).message;
        this.o.onFailure(policy.name, e);
      }
    }
    output ??= await this.o.batcher.decide(kalman, observation, new Float32Array(0));
    const by = fellBack === "" ? policy : undefined;
    const { outOfRange } = observed;
    this.last = {
      frame,
      ids,
      asked,
      policy: by?.name ?? "",
      note: by?.note ?? "",
      base: by?.base ?? null,
      observation,
      output,
      outOfRange,
      fellBack,
    };
  }

  private async run(policy: Policy, asked: string, ids: Uint32Array, observation: Observation): Promise<Output> {
    const output = await this.o.batcher.decide(policy, observation, rowsFor(this.state, ids, policy.stateSize));
    const finite = output.weights.every((w) => Number.isFinite(w) && w >= 0) && (output.bias?.every(Number.isFinite) ?? true);
    if (!finite || !output.state.every(Number.isFinite)) {
      this.state = EMPTY;
      throw new Error("its output is not finite");
    }
    // Another policy set meanwhile starts empty, not with what this one remembers.
    if (this.policyName === asked) this.state = { size: policy.stateSize, ids, values: output.state };
    return output;
  }
}

function bytesOf(f: Float32Array): Buffer {
  return Buffer.from(f.buffer, f.byteOffset, f.byteLength);
}

const observationOf = (observed: Observed): Observation => ({
  n: observed.ids.length,
  server: observed.server,
  pool: observed.pool,
  kalman: observed.kalman,
  weightStatic: observed.weightStatic,
  stratum: observed.stratum,
  shared: observed.shared,
  latency: observed.latency,
  dt: observed.dt,
});
