// SPDX-License-Identifier: Apache-2.0
// One VIP's side of the loop: what was asked, what was answered, and what is composed from it. No I/O but the region it is handed.
import type { FrameView } from "../common/native/frame.js";
import type { TickSpan, TraceIds } from "../common/telemetry.js";
import { Ladder, Load, ServerFlag } from "../common/vocabulary.js";
import {
  acceptsTerm,
  type DirectiveState,
  factorsInOrder,
  NO_DIRECTIVE,
  type Push,
  pickSource,
  previousInOrder,
  rawInOrder,
  type Source,
} from "./compose.js";
import { type Decision, type LadderState, ladderAnswered, ladderDecision, ladderStart, ladderUnanswered } from "./ladder.js";
import type { Effect, RawFrame, RegionPort, Vector } from "./region.js";

export interface VipSettings {
  policy: string;
  trust: number;
  kappa: number;
  stepRatio: number;
  ejectedCap: number;
  loadBalancers: number;
}

/** A frame that was sent with a wish for weights. */
export interface Pending {
  seq: number;
  sentMs: number;
}

/** A tick from frame to effect, for the trace and the metrics. */
export interface Tick {
  ids: TraceIds | null;
  sampled: boolean;
  frame: RawFrame;
  /** Unix milliseconds. */
  startMs: number;
  spans: TickSpan[];
  publishedSeq: number | null;
  failure: string | null;
}

export interface Counters {
  answered: number;
  unanswered: number;
  late: number;
  published: number;
  refused: Map<string, number>;
  termsRefused: number;
}

const DROP_AFTER_TICKS = 3;

export class Vip {
  ladder: LadderState = ladderStart();
  directive: DirectiveState = NO_DIRECTIVE;
  push: Push | null = null;
  pending: Pending | null = null;
  tick: Tick | null = null;
  /** Newest frame. */
  frame: RawFrame;
  readonly name: string;
  checkpoint: { policy: string; schema: number; state: Buffer } | null = null;
  policy: string;
  source: Source = "static";
  seq = 0;
  shares = new Map<number, number>();
  biases = new Map<number, number>();
  effect: Effect | null = null;
  effectMs = 0;
  lastRefusal = "";
  readonly counters: Counters = { answered: 0, unanswered: 0, late: 0, published: 0, refused: new Map(), termsRefused: 0 };
  private decoded: FrameView | null = null;
  private bare = new Map<number, number>();
  private composedAt: number | null = null;

  constructor(
    readonly id: number,
    frame: RawFrame,
    private readonly decode: (frame: RawFrame) => FrameView,
    readonly settings: VipSettings,
    private readonly framesPerTick: number,
  ) {
    this.frame = frame;
    this.name = this.view.name;
    this.policy = settings.policy;
  }

  /** The newest frame, decoded when somebody asks: most frames pass through as bytes. */
  get view(): FrameView {
    this.decoded ??= this.decode(this.frame);
    return this.decoded;
  }

  /** A newer frame. */
  see(frame: RawFrame): void {
    const same = frame.dpEpoch === this.frame.dpEpoch;
    this.frame = frame;
    this.decoded = null;
    if (same) return;
    // Another life of the data plane: its server ids mean other servers.
    this.ladder = ladderStart();
    this.directive = NO_DIRECTIVE;
    this.push = null;
    this.pending = null;
    this.checkpoint = this.checkpoint && { ...this.checkpoint, state: Buffer.alloc(0) };
    this.shares.clear();
    this.biases.clear();
    this.bare.clear();
    this.composedAt = null;
  }

  asked(nowMs: number): void {
    this.pending = { seq: this.frame.seq, sentMs: nowMs };
  }

  /** The last wish for weights stayed without an answer. */
  missed(nowMs: number): void {
    this.pending = null;
    this.counters.unanswered++;
    this.ladder = ladderUnanswered(this.ladder, nowMs);
  }

  /** Why an answer cannot be used; null = it can. */
  whyNot(a: { dpEpoch: bigint; generation: number; frameSeq: number }): string | null {
    if (a.dpEpoch !== this.frame.dpEpoch) return "epoch";
    if (a.generation !== this.frame.generation) return "generation";
    if (this.frame.seq - a.frameSeq > DROP_AFTER_TICKS * this.framesPerTick || a.frameSeq > this.frame.seq) return "stale";
    return null;
  }

  /** Accepts an answer and publishes. False: the envelope refused it, the last good one stays. */
  answered(decision: Decision, step: number, region: RegionPort, nowMs: number): boolean {
    const before = this.ladder;
    this.ladder = ladderAnswered(decision, step);
    if (!this.compose(region, nowMs)) {
      this.ladder = before;
      this.missed(nowMs);
      this.compose(region, nowMs);
      return false;
    }
    this.counters.answered++;
    this.pending = null;
    this.policy = decision.policy;
    return true;
  }

  /** Takes a directive. False: its term is older than the one in force. */
  order(d: DirectiveState): boolean {
    if (!acceptsTerm(this.directive, d.term)) {
      this.counters.termsRefused++;
      return false;
    }
    this.directive = d;
    return true;
  }

  /** Decodes what compose will need of the newest frame: while the answer is on its way. */
  prepare(): void {
    const v = this.view;
    void [v.ids, v.weightStatic, v.flags, this.load(v)];
  }

  /** All of an answer's way but its publication; nothing is kept. */
  rehearse(decision: Decision, region: RegionPort, nowMs: number): void {
    if (this.view.count > 0) region.compose(this.vector("inference", decision, nowMs));
  }

  /** Composes what rules now and publishes it, as an answer to the newest frame. False: refused. */
  compose(region: RegionPort, nowMs: number): boolean {
    const { source, decision } = pickSource(this.directive, this.push, ladderDecision(this.ladder), nowMs);
    const v = this.view;
    if (v.count === 0) return true;
    const vector = this.vector(source, decision, nowMs);
    const result = region.publish(vector);
    if (result.refused !== null) {
      this.lastRefusal = result.refused;
      this.counters.refused.set(result.refused, (this.counters.refused.get(result.refused) ?? 0) + 1);
      return false;
    }
    this.source = source;
    this.seq = result.seq;
    this.counters.published++;
    this.composedAt = nowMs;
    this.bare = new Map();
    this.shares = new Map();
    this.biases = new Map();
    for (let i = 0; i < v.count; i++) {
      const id = v.ids[i] as number;
      this.bare.set(id, result.bare[i] as number);
      this.shares.set(id, result.share[i] as number);
      this.biases.set(id, vector.bias?.[i] ?? 0);
    }
    return true;
  }

  private load(v: FrameView): ArrayLike<number> {
    return v.column(v.load === Load.WAITING ? "waiting" : "flows");
  }

  private vector(source: Source, decision: Decision | null, nowMs: number): Vector {
    const v = this.view;
    const { raw, bias } = rawInOrder(v.ids, v.weightStatic, decision);
    const loadBalancers = this.directive.loadBalancers || this.settings.loadBalancers;
    const ejected = new Uint8Array(v.count);
    for (let i = 0; i < v.count; i++) ejected[i] = ((v.flags[i] as number) & ServerFlag.EJECTED) !== 0 ? 1 : 0;
    return {
      frame: this.frame,
      ids: v.ids,
      raw,
      bias,
      load: Float32Array.from(this.load(v)),
      stat: v.weightStatic,
      factor: factorsInOrder(v.ids, this.directive),
      prev: previousInOrder(v.ids, this.bare),
      ejected,
      trust: this.settings.trust,
      stepRatio: this.settings.stepRatio,
      dt: this.composedAt === null ? 10 : (nowMs - this.composedAt) / 1000,
      ejectedCap: this.settings.ejectedCap,
      kappa: decision !== null && decision.kappa > 0 ? decision.kappa : this.settings.kappa,
      loadBalancers,
      loadBalancer: this.directive.loadBalancer,
      mode: decision?.mode ?? 0,
      ladder: this.ladderOf(source),
      state: this.directive.state,
      term: this.directive.term,
    };
  }

  /** The step that a vector of this source is published under. */
  private ladderOf(source: Source): number {
    if (source === "fallback" || source === "static") return Ladder.STATIC;
    return source === "inference" ? this.ladder.step : Ladder.MODEL;
  }

  get step(): number {
    return this.ladderOf(this.source);
  }
}
