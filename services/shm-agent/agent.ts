// SPDX-License-Identifier: Apache-2.0
// The loop: frames out of the region, to the peers; decisions and directives back, composed into the region. An error in one tick
// is counted and logged, and the next tick comes.
import { randomBytes } from "node:crypto";
import type { Directive__Output } from "../../gen/marllb/v1/Directive.js";
import type { Frame } from "../../gen/marllb/v1/Frame.js";
import type { Hello } from "../../gen/marllb/v1/Hello.js";
import type { SteerResponse__Output } from "../../gen/marllb/v1/SteerResponse.js";
import type { Clock } from "../common/clock.js";
import type { Config } from "../common/config/load.js";
import type { Logger } from "../common/log.js";
import type { FrameView } from "../common/native/frame.js";
import { formatTraceparent, tracingOn } from "../common/telemetry.js";
import { ladderWord, wireLadder } from "../common/vocabulary.js";
import { decisionOf, directiveOf } from "./convert.js";
import { UNANSWERED_LIMIT } from "./ladder.js";
import { Peers } from "./peers.js";
import type { AttachRegion, Effect, PoolVip, RawFrame, RegionPort } from "./region.js";
import { Rehearsal } from "./rehearsal.js";
import { settingsOf } from "./settings.js";
import { TickLog } from "./ticks.js";
import { type Tick, Vip } from "./vip.js";

export interface PeerStatus {
  name: string;
  address: string;
  state: string;
  answered: number;
  unanswered: number;
  reconnects: number;
}

const ATTACH_RETRY_MS = 100;
/** health and failover get a tick's frame this much later, at most a part of the tick: on few cores all four processes would wake at once, and the answer would wait. */
const OTHERS_WAIT_MS = 6;
const OTHERS_WAIT_SHARE = 0.25;

export interface AgentOptions {
  config: Config;
  log: Logger;
  clock: Clock;
  attach: AttachRegion;
  decode(frame: RawFrame): FrameView;
  /** A frame of a VIP came in and was dealt with. */
  onFrame(vip: Vip): void;
  onEffect(vip: Vip, ms: number): void;
}

export class Agent {
  readonly vips = new Map<number, Vip>();
  readonly peers: Peers;
  readonly ticks: TickLog;
  region: RegionPort | null = null;
  attachError = "not tried yet";
  attaches = 0;
  errors = 0;
  private watchTimer: NodeJS.Timeout | null = null;
  private stopped = false;
  private framesPerTick = 1;
  private readonly pools = new Map<number, PoolVip>();
  private readonly rehearsal: Rehearsal;
  /** The last frame sent for weights of the VIP that rehearses: the first, for all take the same path. */
  private rehearsed: Frame | null = null;

  constructor(private readonly o: AgentOptions) {
    this.ticks = new TickLog(o.config.tracing.sample_ms, o.config.tick_ms, o.clock);
    const timers = {
      now: o.clock.now,
      setTimeout: (fn: () => void, ms: number) => setTimeout(fn, ms),
      clearTimeout: (t: unknown) => clearTimeout(t as NodeJS.Timeout),
    };
    this.peers = new Peers(
      o.config,
      timers,
      {
        hello: (id) => this.hello(id),
        steered: (id, r) => this.guard("answer", () => this.hearWeights(id, r)),
        steerDown: (id) => this.guard("stream", () => this.steerDown(id)),
        directive: (d) => this.guard("directive", () => this.hearDirective(d)),
        down: (peer, reason) => o.log.debug({ peer, reason }, "peer is away"),
      },
      UNANSWERED_LIMIT * o.config.tick_ms,
    );
    this.rehearsal = new Rehearsal({
      tickMs: o.config.tick_ms,
      timers,
      send: () =>
        o.config.inference.rehearse && this.rehearsed !== null && this.peers.rehearse(this.rehearsed.vip_id ?? 0, this.rehearsed),
    });
  }

  start(): void {
    this.watch();
    this.watchTimer = setInterval(() => this.guard("attach", () => this.watch()), ATTACH_RETRY_MS);
  }

  stop(): void {
    this.stopped = true;
    if (this.watchTimer) clearInterval(this.watchTimer);
    this.rehearsal.stop();
    this.peers.close();
    this.region?.close();
    this.region = null;
  }

  vip(id: number): Vip | undefined {
    return this.vips.get(id);
  }

  peerStates(): PeerStatus[] {
    const { inference, health, failover } = this.peers.targets;
    const steers = [...this.peers.steers.values()];
    const sum = (f: (v: Vip) => number): number => [...this.vips.values()].reduce((n, v) => n + f(v), 0);
    return [
      {
        name: "inference",
        address: inference,
        state: steers.some((s) => s.state === "ready") ? "ready" : (steers[0]?.state ?? "connecting"),
        answered: sum((v) => v.counters.answered),
        unanswered: sum((v) => v.counters.unanswered),
        reconnects: steers.reduce((n, s) => n + s.reconnects, 0),
      },
      { name: "health", address: health, ...this.peers.health.figures() },
      { name: "failover", address: failover, ...this.peers.failover.figures() },
    ];
  }

  /** Attaches, and lets go of a region whose path names another one by now. */
  private watch(): void {
    const { config, log } = this.o;
    if (this.region?.replaced()) {
      log.warn("the data plane was restarted: attaching anew");
      this.region.close();
      this.region = null;
    }
    if (this.region !== null) return;
    try {
      this.region = this.o.attach(config.region.path, () => this.guard("frames", () => this.wake()));
    } catch (e) {
      const message = (e as Error).message;
      if (message !== this.attachError) log.warn({ reason: message }, "cannot attach, trying on");
      this.attachError = message;
      return;
    }
    this.attaches++;
    this.attachError = "";
    this.framesPerTick = Math.max(1, Math.round((config.tick_ms * 1000) / this.region.frameUs));
    log.info(
      { dataplane: this.region.dataplane, agentEpoch: String(this.region.agentEpoch), framesPerTick: this.framesPerTick },
      "attached",
    );
    this.wake();
  }

  private wake(): void {
    const region = this.region;
    if (region === null) return;
    for (const frame of region.frames()) this.guard("frame", () => this.frame(region, frame));
    for (const effect of region.effects()) this.effect(effect);
  }

  private frame(region: RegionPort, raw: RawFrame): void {
    const now = this.o.clock.now();
    let vip = this.vips.get(raw.vipId);
    if (vip === undefined) {
      const name = this.o.decode(raw).name;
      vip = new Vip(raw.vipId, raw, this.o.decode, settingsOf(this.o.config, name), this.framesPerTick);
      this.vips.set(raw.vipId, vip);
    } else {
      vip.see(raw);
    }
    // Counted by the data plane's own number, so that several VIPs and a skipped frame stay in step.
    const decide = raw.seq % this.framesPerTick === 0;
    const message: Frame = {
      vip_id: raw.vipId,
      schema: raw.schema,
      record_size: raw.recordSize,
      hdr: raw.hdr,
      records: raw.records,
      trace: null,
      dp_epoch: raw.dpEpoch.toString(),
      generation: raw.generation,
      seq: raw.seq,
      instance: this.o.config.instance,
      want_weights: decide,
    };
    if (decide) {
      this.decide(region, vip, message, now);
      setTimeout(
        () => this.guard("frame", () => this.share(vip, message)),
        Math.min(OTHERS_WAIT_MS, this.o.config.tick_ms * OTHERS_WAIT_SHARE),
      );
    } else {
      this.share(vip, message);
    }
    this.o.onFrame(vip);
  }

  /** To those who are in no hurry. */
  private share(vip: Vip, message: Frame): void {
    if (this.stopped) return;
    this.peers.health.send({ frame: message });
    this.peers.failover.send({
      instance: this.o.config.instance,
      frame: message,
      ladder: wireLadder.label(vip.step),
      applied_term: vip.directive.term.toString(),
    });
  }

  private decide(region: RegionPort, vip: Vip, message: Frame, now: number): void {
    if (vip.pending !== null) {
      // The frame before had a whole tick for its answer.
      this.unanswered(region, vip, now, "no answer within a tick");
      if (vip.ladder.unanswered % UNANSWERED_LIMIT === 0) this.peers.steers.get(vip.id)?.reopen("unanswered");
    }
    vip.tick = this.startTick(vip.frame);
    if (vip.tick.ids) message.trace = { traceparent: formatTraceparent(vip.tick.ids, vip.tick.sampled), tracestate: "" };
    vip.asked(now);
    this.ticks.span(vip.tick, "shm-agent.read", now);
    if (!this.peers.steer(vip.id, message)) this.unanswered(region, vip, now, "inference is away");
    else setImmediate(() => this.guard("frame", () => vip.prepare()));
    if (vip !== this.vips.values().next().value) return;
    this.rehearsed = { ...message, trace: null };
    this.rehearsal.frame();
  }

  private unanswered(region: RegionPort, vip: Vip, now: number, why: string): void {
    vip.missed(now);
    if (vip.compose(region, now)) region.beat();
    if (vip.tick) this.ticks.fail(vip.tick, why);
    vip.tick = null;
  }

  private startTick(frame: RawFrame): Tick {
    const on = tracingOn();
    return {
      ids: on ? { traceId: randomBytes(16).toString("hex"), spanId: randomBytes(8).toString("hex") } : null,
      sampled: on && this.ticks.sample(),
      frame,
      startMs: Number(frame.realNs / 1000n) / 1000,
      spans: [],
      publishedSeq: null,
      failure: null,
    };
  }

  private hello(vipId: number): Hello {
    const vip = this.vips.get(vipId);
    return {
      instance: this.o.config.instance,
      vip_id: vipId,
      policy: vip?.policy ?? "",
      checkpoint: vip?.checkpoint ? { vip_id: vipId, ...vip.checkpoint } : null,
    };
  }

  /** What inference answered. Throws where it makes no sense. */
  hearWeights(vipId: number, r: SteerResponse__Output): void {
    const vip = this.vips.get(vipId);
    const region = this.region;
    if (!vip || !region) return;
    if (r.rehearsal) {
      if (r.weights) vip.rehearse(decisionOf(r.weights).decision, region, this.o.clock.now());
      this.rehearsal.done();
      return;
    }
    if (r.checkpoint) {
      vip.checkpoint = {
        policy: r.checkpoint.policy,
        schema: r.checkpoint.schema,
        state: Buffer.from(r.checkpoint.state as Buffer),
      };
    }
    const w = r.weights;
    if (!w) return;
    const now = this.o.clock.now();
    const why = vip.whyNot({ dpEpoch: BigInt(w.dp_epoch), generation: w.generation, frameSeq: Number(w.frame_seq) });
    if (why !== null) {
      vip.counters.late++;
      vip.lastRefusal = `agent: ${why}`;
      return;
    }
    const { decision, step } = decisionOf(w);
    const tick = vip.tick;
    if (tick) this.ticks.span(tick, "inference", now, { policy: w.policy, inference_us: w.inference_us });
    const good = vip.answered(decision, step, region, now);
    region.beat();
    if (vipId === this.rehearsed?.vip_id) this.rehearsal.answered();
    if (!tick) return;
    this.ticks.span(tick, "shm-agent.publish", this.o.clock.now(), { ladder: ladderWord(vip.step), source: vip.source });
    if (good) tick.publishedSeq = vip.seq;
    else this.ticks.fail(tick, `refused: ${vip.lastRefusal}`);
  }

  private steerDown(vipId: number): void {
    const vip = this.vips.get(vipId);
    if (vipId === this.rehearsed?.vip_id) this.rehearsal.restart();
    if (vip?.pending && this.region) this.unanswered(this.region, vip, this.o.clock.now(), "inference went away");
  }

  /** What failover orders. Throws where it makes no sense. */
  hearDirective(d: Directive__Output): void {
    const vip = this.vips.get(d.vip_id);
    const region = this.region;
    if (!vip || !region) return;
    if (!vip.order(directiveOf(d))) return;
    if (d.pool) {
      this.pools.set(d.vip_id, {
        vipId: d.vip_id,
        birth: vip.frame.birth,
        managed: d.pool.managed,
        revision: BigInt(d.pool.revision),
        servers: d.pool.servers.map((s) => ({ address: s.address, weight: s.weight, drain: s.drain })),
      });
      region.publishPools([...this.pools.values()]);
    } else if (this.pools.get(d.vip_id)?.managed) {
      const before = this.pools.get(d.vip_id) as PoolVip;
      this.pools.set(d.vip_id, { ...before, managed: false, revision: before.revision + 1n, servers: [] });
      region.publishPools([...this.pools.values()]);
    }
    // Masks do not wait for the next tick.
    vip.compose(region, this.o.clock.now());
  }

  private effect(e: Effect): void {
    const vip = this.vips.get(e.vipId);
    if (!vip || this.region === null) return;
    const before = vip.effect;
    vip.effect = e;
    if (e.refused > (before?.refused ?? 0)) vip.lastRefusal = `data plane: ${e.lastRefusal}`;
    const tick = vip.tick;
    if (
      !tick ||
      tick.publishedSeq === null ||
      e.agentEpoch !== this.region.agentEpoch ||
      e.seq < tick.publishedSeq ||
      e.allNs === 0n
    )
      return;
    const ms = Number(e.allNs - tick.frame.monoNs) / 1e6;
    vip.effectMs = ms;
    this.o.onEffect(vip, ms);
    this.ticks.done(tick, vip.name, ms, Number(e.swapNs - tick.frame.monoNs) / 1e6);
    vip.tick = null;
  }

  private guard(what: string, fn: () => void): void {
    try {
      fn();
    } catch (e) {
      this.errors++;
      this.o.log.error({ err: e, what }, "tick");
    }
  }
}
