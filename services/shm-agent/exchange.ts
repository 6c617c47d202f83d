// SPDX-License-Identifier: Apache-2.0
// Frames out to the peers; answers and directives back, composed into the region.
import type { Directive__Output } from "../../gen/marllb/v1/Directive.js";
import type { Frame } from "../../gen/marllb/v1/Frame.js";
import type { Hello } from "../../gen/marllb/v1/Hello.js";
import type { Roster } from "../../gen/marllb/v1/Roster.js";
import type { SteerResponse__Output } from "../../gen/marllb/v1/SteerResponse.js";
import type { Clock } from "../common/clock.js";
import type { Config } from "../common/config/load.js";
import { birthOf, vipKey } from "../common/identity.js";
import type { Logger } from "../common/log.js";
import type { TraceMessage } from "../common/telemetry.js";
import { ladderWord, wireLadder } from "../common/vocabulary.js";
import { checksOf, decisionOf, directiveOf } from "./convert.js";
import type { Effects } from "./effects.js";
import { MISSED_LIMIT } from "./ladder.js";
import { Peers } from "./peers.js";
import type { RegionPort } from "./region.js";
import { DEADLINE_EXCEEDED, UNAVAILABLE } from "./ticks.js";
import type { Vip } from "./vip.js";
import type { Change, GoneVip, Vips } from "./vips.js";
import { WarmUp } from "./warm-up.js";

/** health and failover get a tick's frame this much later, at most a part of the tick: on few cores all four processes would wake at once, and the answer would wait. */
const SECONDARY_DELAY_MS = 6;
const SECONDARY_DELAY_SHARE = 0.25;

/** Whoever started this agent started others with it. */
const WARM_UP_AFTER_MS = 3000;

export interface ExchangeOptions {
  config: Config;
  log: Logger;
  clock: Clock;
  vips: Vips;
  effects: Effects;
  region(): RegionPort | null;
  /** Runs what a message from outside caused: an error in it is counted and logged. */
  guard(what: string, fn: () => void): void;
  /** What is in force has changed: the next agent is to begin with it. */
  keep(): void;
  /** The configuration as last read. */
  live(): Config;
  /** Where this load balancer takes live counts; empty = nowhere. */
  counts: string;
  /** failover named the other load balancers of a VIP; null: the VIP is gone. */
  others(vip: string, counts: readonly string[] | null): void;
}

export class Exchange {
  readonly peers: Peers<Vip>;
  readonly #o: ExchangeOptions;
  readonly #warmUp: WarmUp;
  /** Of one VIP, the last frame sent for weights: warm-up requests send it, and all VIPs take the same path. */
  #warmed: { vip: Vip; frame: Frame } | null = null;
  #stopped = false;

  constructor(o: ExchangeOptions) {
    this.#o = o;
    const { config, clock, guard } = o;
    const timers = {
      now: clock.now,
      setTimeout: (fn: () => void, ms: number) => setTimeout(fn, ms),
      clearTimeout: (t: unknown) => clearTimeout(t as NodeJS.Timeout),
    };
    this.peers = new Peers<Vip>(
      config,
      timers,
      {
        hello: (vip) => this.#hello(vip),
        roster: () => this.#roster(),
        checks: () => checksOf(o.live(), o.vips.all()),
        steered: (vip, r) => guard("answer", () => this.hearWeights(vip, r)),
        steerDown: (vip) => guard("stream", () => this.#steerDown(vip)),
        directive: (d) => guard("directive", () => this.hearDirective(d)),
        down: (peer, reason) => o.log.debug({ peer, reason }, "peer is away"),
        refused: (peer, address, reason) => {
          if (reason === "") o.log.info({ peer, address }, "peer takes this load balancer again");
          else o.log.error({ peer, address, reason }, "peer refuses this load balancer");
        },
      },
      MISSED_LIMIT * config.tick_ms,
    );
    this.#warmUp = new WarmUp({
      tickMs: config.tick_ms,
      timers,
      afterMs: WARM_UP_AFTER_MS,
      send: () => o.live().inference.warm_up && this.#warmed !== null && this.peers.warmUp(this.#warmed.vip, this.#warmed.frame),
    });
  }

  /** The configuration was read again: health is told how servers are to be checked. */
  reloaded(): void {
    const roster = this.#roster();
    if (roster) this.peers.roster(roster);
  }

  stop(): void {
    this.#stopped = true;
    this.#warmUp.stop();
    this.peers.close();
  }

  /** The newest frame of a VIP; `decide`: weights are wanted. */
  frame(region: RegionPort, vip: Vip, decide: boolean): void {
    const { config, guard } = this.#o;
    const raw = vip.frame;
    const message: Frame = {
      vip_id: raw.vipId,
      schema: raw.schema,
      record_size: raw.recordSize,
      hdr: raw.hdr,
      records: raw.records,
      trace: null,
      dp_epoch: raw.dpEpoch.toString(),
      birth: raw.birth.toString(),
      generation: raw.generation,
      seq: raw.seq,
      instance: config.instance,
      want_weights: decide,
    };
    if (!decide) {
      this.#share(vip, message, null);
      return;
    }
    const trace = this.#decide(region, vip, message);
    setTimeout(
      () => guard("frame", () => this.#share(vip, message, trace)),
      Math.min(SECONDARY_DELAY_MS, config.tick_ms * SECONDARY_DELAY_SHARE),
    );
  }

  /** VIPs came or went. */
  changed(region: RegionPort, { gone, heirs }: Change): void {
    for (const vip of gone) {
      this.peers.forget(vip);
      this.#o.others(vip.key, null);
    }
    if (this.#warmed && gone.includes(this.#warmed.vip)) this.#warmed = null;
    if (gone.some((vip) => vip.pool !== null)) this.#publishPools(region);
    // What was in force before the restart is in force again before the next tick.
    for (const vip of heirs) vip.compose(region, this.#o.clock.now());
    if (heirs.some((vip) => vip.pool !== null)) this.#publishPools(region);
    this.#o.keep();
    const roster = this.#roster();
    if (roster) this.peers.roster(roster);
  }

  /** What inference answered. Throws where it makes no sense. */
  hearWeights(vip: Vip, r: SteerResponse__Output): void {
    const { effects, clock } = this.#o;
    const region = this.#o.region();
    if (!region) return;
    if (r.warm_up) {
      if (r.weights) vip.warmUp(decisionOf(r.weights).decision, region, clock.now());
      this.#warmUp.done();
      return;
    }
    if (r.checkpoint) {
      const { policy, schema, state } = r.checkpoint;
      vip.keep({ policy, schema, state: Buffer.from(state as Buffer) }, r.guardrail);
    }
    const w = r.weights;
    if (!w) return;
    const now = clock.now();
    const why = vip.whyNot({ dpEpoch: BigInt(w.dp_epoch), generation: w.generation, frameSeq: Number(w.frame_seq) });
    if (why !== null) {
      vip.late(why);
      return;
    }
    const { decision, step } = decisionOf(w);
    const frameSeq = Number(w.frame_seq);
    effects.answered(vip, frameSeq, { policy: w.policy, inferenceUs: w.inference_us }, this.peers.steeredBy(vip));
    const good = vip.answered(decision, step, region, now);
    region.beat();
    if (vip === this.#warmed?.vip) this.#warmUp.answered();
    if (good) effects.published(vip, frameSeq, { seq: vip.seq, ladder: ladderWord(step), source: vip.source });
    else effects.fail(vip, `refused: ${vip.lastRefusal}`);
  }

  /** What failover orders. Throws where it makes no sense. */
  hearDirective(d: Directive__Output): void {
    const vip = this.#o.vips.find(d.vip_id);
    const region = this.#o.region();
    if (!vip || !region || vip.key !== vipKey(birthOf(d))) return;
    if (!vip.order(directiveOf(d))) return;
    this.#o.others(vip.key, d.counts);
    if (d.pool) {
      // failover always says a weight; one that is missing would be a wanted list's 1.
      const servers = d.pool.servers.map((s) => ({ address: s.address, weight: s.weight ?? 1, drain: s.drain }));
      const pool = { managed: d.pool.managed, revision: BigInt(d.pool.revision), servers };
      if (vip.wantPool(pool)) this.#publishPools(region);
    }
    this.#o.keep();
    // Masks do not wait for the next tick.
    vip.compose(region, this.#o.clock.now());
  }

  #publishPools(region: RegionPort): void {
    region.publishPools(this.#o.vips.all().flatMap((v) => v.pool ?? []));
  }

  /** Sends the frame to health and failover. */
  #share(vip: Vip, message: Frame, trace: TraceMessage | null): void {
    if (this.#stopped) return;
    const { instance } = this.#o.config;
    const frame: Frame = { ...message, trace, kept: this.#o.effects.kept(vip, "share") };
    this.peers.report({ frame });
    this.peers.failover.send({
      instance,
      frame,
      ladder: wireLadder.label(vip.view.ladder),
      applied_term: vip.directive.term.toString(),
    });
  }

  /** Asks for weights. What health and failover are told of the tick's trace. */
  #decide(region: RegionPort, vip: Vip, message: Frame): TraceMessage | null {
    const { effects, guard } = this.#o;
    if (vip.pending) {
      // The frame before had a whole tick for its answer.
      this.#unanswered(region, vip, "no answer within a tick", DEADLINE_EXCEEDED);
      if (vip.missedInARow % MISSED_LIMIT === 0) this.peers.reopenSteer(vip);
    }
    const { steer, share } = effects.begin(vip, this.peers.steeredBy(vip));
    const asked: Frame = { ...message, trace: steer, kept: effects.kept(vip, "steer") };
    vip.asked();
    if (!this.peers.steer(vip, asked, vip.wantedPolicy)) this.#unanswered(region, vip, "inference is away", UNAVAILABLE);
    else setImmediate(() => guard("frame", () => vip.prepare()));
    if (this.#warmed === null || this.#warmed.vip === vip) {
      this.#warmed = { vip, frame: message };
      this.#warmUp.frame();
    }
    return share;
  }

  #unanswered(region: RegionPort, vip: Vip, why: string, code: number): void {
    const now = this.#o.clock.now();
    vip.missed(now);
    if (vip.compose(region, now)) region.beat();
    this.#o.effects.fail(vip, why, code, this.peers.steeredBy(vip));
  }

  #steerDown(vip: Vip): void {
    const region = this.#o.region();
    if (vip === this.#warmed?.vip) this.#warmUp.restart();
    if (vip.pending && region) this.#unanswered(region, vip, "inference went away", UNAVAILABLE);
  }

  #hello(vip: Vip): Hello {
    return {
      instance: this.#o.config.instance,
      vip: identity(vip),
      policy: vip.wantedPolicy,
      checkpoint: vip.checkpoint ? { vip_id: vip.id, ...vip.checkpoint } : null,
      guardrail: vip.guardrail,
    };
  }

  #roster(): Roster | null {
    const { vips, config } = this.#o;
    const region = this.#o.region();
    if (region === null) return null;
    return {
      instance: config.instance,
      dp_epoch: region.dpEpoch.toString(),
      vips: vips.all().map(identity),
      gone: vips.gone().map(identity),
      counts: this.#o.counts,
    };
  }
}

const identity = (v: GoneVip) => ({ vip_id: v.id, name: v.name, dp_epoch: v.dpEpoch.toString(), birth: v.birth.toString() });
