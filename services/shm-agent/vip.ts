// SPDX-License-Identifier: Apache-2.0
// One VIP's side of the loop: what was asked, what was answered, and what is composed from it. No I/O but the region it is handed.
import type { GuardrailMemory__Output as GuardrailMemory } from "../../gen/marllb/v1/GuardrailMemory.js";
import { vipKey } from "../common/identity.js";
import type { FrameView } from "../common/native/frame.js";
import { Ladder, Load, ServerFlag } from "../common/vocabulary.js";
import {
  acceptsTerm,
  type DirectiveState,
  directiveInForce,
  factorsInOrder,
  flagsInOrder,
  type Push,
  pickSource,
  previousInOrder,
  rawInOrder,
  type Source,
} from "./compose.js";
import { GoneServers } from "./gone-servers.js";
import { type Kept, orderByAddress, orderById } from "./kept.js";
import { type Decision, type LadderState, ladderAnswered, ladderDecision, ladderMissed, ladderStart } from "./ladder.js";
import { LatencyCounts } from "./latency.js";
import type { Effect, PoolVip, RawFrame, RegionPort, Vector } from "./region.js";

export interface VipSettings {
  policy: string;
  trust: number;
  kappa: number;
  stepRatio: number;
  ejectedCap: number;
  loadBalancers: number;
}

export interface Checkpoint {
  policy: string;
  schema: number;
  state: Buffer;
}

export interface Counters {
  /** Ticks whose answer was published. */
  answered: number;
  /** Ticks without an answer. One that the envelope refused is not among them. */
  unanswered: number;
  late: number;
  published: number;
  /** Vectors that the envelope refused, by reason. */
  refused: Map<string, number>;
  termsRefused: number;
}

const DROP_AFTER_TICKS = 3;
/** Frames: a minute or so. */
const LATENCY_FRAMES = 600;

/** Times to the first byte, and of flows from begin to end. */
type Latencies = Readonly<Record<"ttfb" | "duration", LatencyCounts>>;
/** A server that joined waits for a directive that knows it for so long: failover may be away. */
export const NEWCOMER_NS = 3_000_000_000n;
/** Seconds; for the rate limit where nothing was composed before. */
const LONG_AGO_S = 10;

export class Vip {
  readonly id: number;
  readonly name: string;
  readonly dpEpoch: bigint;
  readonly birth: bigint;
  /** Names it among all VIPs that this agent ever sees. */
  readonly key: string;
  /** Replaced when the configuration was read again. */
  settings: VipSettings;
  readonly #decode: (frame: RawFrame) => FrameView;
  readonly #framesPerTick: number;
  readonly #counters: Counters = { answered: 0, unanswered: 0, late: 0, published: 0, refused: new Map(), termsRefused: 0 };
  readonly #gone = new GoneServers();
  readonly #latencies: Latencies = { ttfb: new LatencyCounts("ttfb_hist"), duration: new LatencyCounts("duration_hist") };
  /** Servers that joined since this agent sees the VIP: with which generation, and when by the data plane's clock. */
  #joined = new Map<number, { generation: number; atNs: bigint }>();
  #frame: RawFrame;
  #decoded: FrameView | null = null;
  #ladder: LadderState = ladderStart();
  #directive: DirectiveState;
  #pool: PoolVip | null = null;
  #push: Push | null = null;
  /** A frame was sent with a wish for weights, and neither answered nor given up. */
  #pending = false;
  #checkpoint: Checkpoint | null = null;
  #guardrail: GuardrailMemory | null = null;
  #policy: string;
  #turnOf = "";
  #source: Source = "static";
  #seq = 0;
  #shares = new Map<number, number>();
  #biases = new Map<number, number>();
  #bare = new Map<number, number>();
  #composedAt: number | null = null;
  #effect: Effect | null = null;
  #effectMs = 0;
  #lastRefusal = "";

  constructor(frame: RawFrame, decode: (frame: RawFrame) => FrameView, settings: VipSettings, framesPerTick: number) {
    this.#frame = frame;
    this.#decode = decode;
    this.#framesPerTick = framesPerTick;
    this.settings = settings;
    this.id = frame.vipId;
    this.dpEpoch = frame.dpEpoch;
    this.birth = frame.birth;
    this.key = vipKey(frame);
    this.name = this.view.name;
    this.#policy = settings.policy;
    // What the last agent composed holds until failover speaks.
    this.#directive = directiveInForce(this.view);
  }

  /** Newest frame. */
  get frame(): RawFrame {
    return this.#frame;
  }
  /** The newest frame, decoded when somebody asks: most frames pass through as bytes. */
  get view(): FrameView {
    this.#decoded ??= this.#decode(this.#frame);
    return this.#decoded;
  }
  get counters(): Readonly<Counters> {
    return this.#counters;
  }
  /** What servers had counted before they left and came back. */
  get gone(): GoneServers {
    return this.#gone;
  }
  /** What was counted of latencies up to the newest frame. */
  get latencies(): Latencies {
    this.#addLatencies(this.view);
    return this.#latencies;
  }
  get directive(): Readonly<DirectiveState> {
    return this.#directive;
  }
  get pool(): PoolVip | null {
    return this.#pool;
  }
  get pending(): boolean {
    return this.#pending;
  }
  /** Ticks in a row that brought nothing to publish. */
  get missedInARow(): number {
    return this.#ladder.missed;
  }
  get checkpoint(): Checkpoint | null {
    return this.#checkpoint;
  }
  /** What the guardrail found, for whoever steers next. */
  get guardrail(): GuardrailMemory | null {
    return this.#guardrail;
  }
  /** In force. */
  get policy(): string {
    return this.#policy;
  }

  /** Why it has its turn. */
  get turnOf(): string {
    return this.#turnOf;
  }
  /** What is to set the weights: an operator's choice, else the configured one. */
  get wantedPolicy(): string {
    return this.#directive.policy || this.settings.policy;
  }
  /** Of the last vector published, as are the next three. */
  get source(): Source {
    return this.#source;
  }
  get seq(): number {
    return this.#seq;
  }
  get shares(): ReadonlyMap<number, number> {
    return this.#shares;
  }
  get biases(): ReadonlyMap<number, number> {
    return this.#biases;
  }
  get effect(): Effect | null {
    return this.#effect;
  }
  /** Frame published to weights in effect, last tick. */
  get effectMs(): number {
    return this.#effectMs;
  }
  get lastRefusal(): string {
    return this.#lastRefusal;
  }

  /** A newer frame of the same VIP. */
  see(frame: RawFrame): void {
    // The servers' last counts are in the frame before the one that no longer has them.
    if (frame.generation !== this.#frame.generation || frame.records.length !== this.#frame.records.length) {
      const before = this.view;
      this.#addLatencies(before);
      this.#frame = frame;
      this.#decoded = null;
      this.#gone.left(before, this.view);
      this.#join(before, this.view);
      return;
    }
    this.#frame = frame;
    this.#decoded = null;
    // Its buckets count modulo 2^32: without a scraper they are looked at every now and then all the same.
    if (frame.seq % LATENCY_FRAMES === 0) this.#addLatencies(this.view);
  }

  #addLatencies(view: FrameView): void {
    this.#latencies.ttfb.add(view);
    this.#latencies.duration.add(view);
  }

  #join(before: FrameView, after: FrameView): void {
    const known = new Set(before.ids);
    const joined = new Map<number, { generation: number; atNs: bigint }>();
    for (const id of after.ids) {
      const was = this.#joined.get(id);
      if (was) joined.set(id, was);
      else if (!known.has(id)) joined.set(id, { generation: after.generation, atNs: after.monoNs });
    }
    this.#joined = joined;
  }

  /** It joined after the directive in force was made, which says that it may have to be checked first. */
  #waits(id: number): boolean {
    const { newcomersWait, generation } = this.#directive;
    const j = newcomersWait ? this.#joined.get(id) : undefined;
    return j !== undefined && j.generation > generation && this.#frame.monoNs - j.atNs < NEWCOMER_NS;
  }

  /** What of it survives restarts. */
  kept(): Kept {
    const { name, dpEpoch, birth } = this;
    return {
      name,
      dpEpoch,
      birth,
      order: orderByAddress(this.#directive, this.view),
      pool: this.#pool && { managed: this.#pool.managed, revision: this.#pool.revision, servers: this.#pool.servers },
    };
  }

  /**
   * Takes over from the VIP of this name before a restart of the data plane (its servers had other ids), of the agent, or of both. A
   * data plane that was told a newer term is believed. `counters`: the same agent counts on.
   */
  inherit(former: Kept, counters: Readonly<Counters> | null): void {
    const order = orderById(former.order, this.view);
    if (order.term >= this.#directive.term) this.#directive = order;
    if (former.pool) this.#pool = { ...former.pool, vipId: this.id, birth: this.birth };
    if (counters) Object.assign(this.#counters, counters);
  }

  asked(): void {
    this.#pending = true;
  }

  /** The last wish for weights stayed without an answer. */
  missed(nowMs: number): void {
    this.#counters.unanswered++;
    this.#nothing(nowMs);
  }

  /** Why an answer cannot be used; null = it can. */
  whyNot(a: { dpEpoch: bigint; generation: number; frameSeq: number }): string | null {
    if (a.dpEpoch !== this.dpEpoch) return "epoch";
    if (a.generation !== this.#frame.generation) return "generation";
    if (this.#frame.seq - a.frameSeq > DROP_AFTER_TICKS * this.#framesPerTick || a.frameSeq > this.#frame.seq) return "stale";
    return null;
  }

  /** An answer that cannot be used. */
  late(why: string): void {
    this.#counters.late++;
    this.#lastRefusal = `agent: ${why}`;
  }

  /** Accepts an answer and publishes. False: the envelope refused it, the last good one stays. */
  answered(decision: Decision, step: number, region: RegionPort, nowMs: number): boolean {
    const before = this.#ladder;
    this.#ladder = ladderAnswered(decision, step);
    if (!this.compose(region, nowMs)) {
      this.#ladder = before;
      this.#nothing(nowMs);
      this.compose(region, nowMs);
      return false;
    }
    this.#counters.answered++;
    this.#pending = false;
    this.#policy = decision.policy;
    this.#turnOf = decision.turnOf;
    return true;
  }

  /** `guardrail`: null while the policy has not stepped down. */
  keep(checkpoint: Checkpoint, guardrail: GuardrailMemory | null = null): void {
    this.#checkpoint = checkpoint;
    this.#guardrail = guardrail;
  }

  /** Takes a directive. False: its term is older than the one in force. */
  order(d: DirectiveState): boolean {
    if (!acceptsTerm(this.#directive, d.term)) {
      this.#counters.termsRefused++;
      return false;
    }
    this.#directive = d;
    return true;
  }

  /** Who owns the server list, and the wanted one. False: that is what it is already. */
  wantPool(pool: Pick<PoolVip, "managed" | "revision" | "servers">): boolean {
    if (this.#pool?.revision === pool.revision) return false;
    this.#pool = { vipId: this.id, birth: this.birth, ...pool };
    return true;
  }

  /** Makes a pushed vector the source, and publishes it. False: refused, what ruled before rules on. */
  push(push: Push, region: RegionPort, nowMs: number): boolean {
    const before = this.#push;
    this.#push = push;
    if (this.compose(region, nowMs)) return true;
    this.#push = before;
    return false;
  }

  /** Decodes what compose will need of the newest frame: while the answer is on its way. */
  prepare(): void {
    const v = this.view;
    void [v.ids, v.weightStatic, v.flags, this.#load(v)];
  }

  /** All of an answer's way but its publication; nothing is kept. */
  warmUp(decision: Decision, region: RegionPort, nowMs: number): void {
    if (this.view.count > 0) region.compose(this.#vector("inference", decision, nowMs));
  }

  /** Composes what rules now and publishes it, as an answer to the newest frame. False: refused. */
  compose(region: RegionPort, nowMs: number): boolean {
    const { source, decision } = pickSource(this.#directive, this.#push, ladderDecision(this.#ladder), nowMs);
    const v = this.view;
    if (v.count === 0) return true;
    const vector = this.#vector(source, decision, nowMs);
    const result = region.publish(vector);
    if (result.refused !== null) {
      this.#lastRefusal = result.refused;
      this.#counters.refused.set(result.refused, (this.#counters.refused.get(result.refused) ?? 0) + 1);
      return false;
    }
    this.#source = source;
    this.#seq = result.seq;
    this.#counters.published++;
    this.#composedAt = nowMs;
    this.#bare = new Map();
    this.#shares = new Map();
    this.#biases = new Map();
    for (let i = 0; i < v.count; i++) {
      const id = v.ids[i] as number;
      this.#bare.set(id, result.bare[i] as number);
      this.#shares.set(id, result.share[i] as number);
      this.#biases.set(id, vector.bias?.[i] ?? 0);
    }
    return true;
  }

  /** What the data plane says of the last vector. */
  took(e: Effect): void {
    if (e.refused > (this.#effect?.refused ?? 0)) this.#lastRefusal = `data plane: ${e.lastRefusal}`;
    this.#effect = e;
  }

  inEffect(ms: number): void {
    this.#effectMs = ms;
  }

  #nothing(nowMs: number): void {
    this.#pending = false;
    this.#ladder = ladderMissed(this.#ladder, nowMs);
  }

  #load(v: FrameView): ArrayLike<number> {
    return v.column(v.load === Load.WAITING ? "waiting" : "flows");
  }

  #vector(source: Source, decision: Decision | null, nowMs: number): Vector {
    const v = this.view;
    const exact = source === "override";
    const { raw, bias } = rawInOrder(v.ids, v.weightStatic, decision, exact);
    const loadBalancers = this.#directive.loadBalancers || this.settings.loadBalancers;
    const ejected = new Uint8Array(v.count);
    for (let i = 0; i < v.count; i++) ejected[i] = ((v.flags[i] as number) & ServerFlag.EJECTED) !== 0 ? 1 : 0;
    return {
      frame: this.#frame,
      ids: v.ids,
      raw,
      bias,
      load: Float32Array.from(this.#load(v)),
      stat: v.weightStatic,
      factor: factorsInOrder(v.ids, this.#directive, (id) => this.#waits(id)),
      prev: previousInOrder(v.ids, this.#bare),
      ejected,
      trust: this.settings.trust,
      stepRatio: this.settings.stepRatio,
      dt: this.#composedAt === null ? LONG_AGO_S : (nowMs - this.#composedAt) / 1000,
      ejectedCap: this.settings.ejectedCap,
      exact,
      kappa: decision !== null && decision.kappa > 0 ? decision.kappa : this.settings.kappa,
      loadBalancers,
      loadBalancer: this.#directive.loadBalancer,
      mode: decision?.mode ?? 0,
      ladder: this.#stepOf(source),
      state: this.#directive.state,
      term: this.#directive.term,
      newcomersWait: this.#directive.newcomersWait,
      flags: flagsInOrder(v.ids, this.#directive, raw),
    };
  }

  /** The step that a vector of this source is published under. */
  #stepOf(source: Source): number {
    if (source === "fallback" || source === "static") return Ladder.STATIC;
    return source === "inference" ? this.#ladder.step : Ladder.MODEL;
  }
}
