// SPDX-License-Identifier: Apache-2.0
// The loop: the attachment's frames, the exchange with the peers and what took effect, put together. An error in one tick is counted
// and logged, and the next tick comes.
import type { Clock } from "../common/clock.js";
import type { Config } from "../common/config/load.js";
import type { Logger } from "../common/log.js";
import type { FrameView } from "../common/native/frame.js";
import { Attachment } from "./attachment.js";
import { Effects, type Took } from "./effects.js";
import { Exchange } from "./exchange.js";
import type { KeptStore } from "./kept-file.js";
import type { AttachRegion, RawFrame, RegionPort } from "./region.js";
import { settingsOf } from "./settings.js";
import { TickLog } from "./ticks.js";
import { Vip } from "./vip.js";
import { Vips } from "./vips.js";

export interface PeerStatus {
  name: string;
  address: string;
  state: string;
  /** Why it is not ready. */
  why: string;
  answered: number;
  unanswered: number;
  reconnects: number;
}

export interface AgentOptions {
  config: Config;
  log: Logger;
  clock: Clock;
  attach: AttachRegion;
  decode(frame: RawFrame): FrameView;
  /** Where what is in force lies over a restart of the agent. */
  kept: KeptStore;
  /** A frame of a VIP came in and was dealt with. */
  onFrame(vip: Vip): void;
  onEffect(vip: Vip, took: Took): void;
  onGone(vip: Vip): void;
  /** Where this load balancer takes live counts; empty = nowhere. */
  counts: string;
  /** failover named the other load balancers of a VIP; null: the VIP is gone. */
  others(vip: string, counts: readonly string[] | null): void;
}

export class Agent {
  readonly attachment: Attachment;
  readonly exchange: Exchange;
  readonly #o: AgentOptions;
  readonly #vips: Vips;
  readonly #effects: Effects;
  readonly #ticks: TickLog;
  /** As last read: what takes effect at once is read from here. */
  #live: Config;
  #framesPerTick = 1;
  #errors = 0;

  constructor(o: AgentOptions) {
    this.#o = o;
    const { config, log, clock } = o;
    const guard = (what: string, fn: () => void): void => this.#guard(what, fn);
    this.#vips = new Vips((frame) => this.#born(frame), guard, o.kept.read());
    this.#live = config;
    this.#ticks = new TickLog(config.tracing, clock);
    this.#effects = new Effects(this.#ticks, clock, o.onEffect);
    this.attachment = new Attachment({
      path: config.region.path,
      log,
      now: clock.now,
      attach: o.attach,
      guard,
      onAlive: (region) => {
        this.#framesPerTick = Math.max(1, Math.round((config.tick_ms * 1000) / region.frameUs));
        this.#wake(region);
      },
      onWake: (region) => this.#wake(region),
    });
    const region = (): RegionPort | null => this.attachment.region;
    const keep = (): void => o.kept.save(this.#vips.kept());
    this.exchange = new Exchange({
      config,
      log,
      clock,
      vips: this.#vips,
      effects: this.#effects,
      region,
      guard,
      keep,
      live: () => this.#live,
      counts: o.counts,
      others: o.others,
    });
  }

  /** A configuration that was read again: tracing, envelope, and what the tick needs of the VIPs. */
  reload(config: Config): void {
    this.#live = config;
    this.#ticks.sampleMs = config.tracing.sample_ms;
    this.#ticks.slowMs = config.tracing.slow_ms;
    for (const vip of this.#vips.all()) vip.settings = settingsOf(config, vip.name);
    this.#guard("reload", () => this.exchange.reloaded());
  }

  start(): void {
    this.attachment.start();
  }

  stop(): void {
    this.exchange.stop();
    this.attachment.stop();
  }

  /** Errors in a tick that the loop outlived. */
  get errors(): number {
    return this.#errors;
  }

  /** Those of a data plane that lives: what a dead one last said is no figure of now. */
  vips(): Vip[] {
    return this.attachment.region === null ? [] : this.#vips.all();
  }

  vip(id: number): Vip | undefined {
    return this.attachment.region === null ? undefined : this.#vips.find(id);
  }

  peerStates(): PeerStatus[] {
    const { peers } = this.exchange;
    const { inference } = peers.targets;
    const sum = (f: (v: Vip) => number): number => this.#vips.all().reduce((n, v) => n + f(v), 0);
    return [
      {
        name: "inference",
        address: inference,
        ...peers.steering(),
        answered: sum((v) => v.counters.answered),
        unanswered: sum((v) => v.counters.unanswered),
      },
      ...peers.reporting().map((p) => ({ name: "health", ...p })),
      { name: "failover", ...peers.supervising() },
    ];
  }

  /** Why this load balancer cannot do its work; null: it can. A peer that is away does not hinder it: what is in force stays. */
  whyNotReady(): string | null {
    if (this.attachment.region === null) return `not attached to a data plane: ${this.attachment.reason}`;
    const refused = this.peerStates().filter((p) => p.state === "refused");
    return refused.length === 0 ? null : refused.map((p) => `${p.name} at ${p.address} refuses it: ${p.why}`).join("; ");
  }

  #born(frame: RawFrame): Vip {
    const { decode } = this.#o;
    return new Vip(frame, decode, settingsOf(this.#live, decode(frame).name), this.#framesPerTick);
  }

  #wake(region: RegionPort): void {
    const frames = region.frames();
    if (frames !== null) this.#message(region, frames);
    for (const effect of region.effects()) {
      const vip = this.#vips.find(effect.vipId);
      if (vip?.birth === effect.birth) this.#effects.took(vip, effect, region);
    }
  }

  #message(region: RegionPort, frames: readonly RawFrame[]): void {
    const change = this.#vips.message(region.dpEpoch, frames);
    if (change.born.length + change.gone.length > 0) {
      for (const vip of change.gone) {
        this.#effects.gone(vip);
        this.#o.onGone(vip);
      }
      this.#guard("vips", () => this.exchange.changed(region, change));
    } else if (change.forgot) {
      this.#o.kept.save(this.#vips.kept());
    }
    for (const vip of this.#vips.all()) {
      // Counted by the data plane's own number, so that several VIPs and a skipped frame stay in step.
      if (frames.includes(vip.frame)) this.#guard("frame", () => this.#frame(region, vip));
    }
  }

  #frame(region: RegionPort, vip: Vip): void {
    this.exchange.frame(region, vip, vip.frame.seq % this.#framesPerTick === 0);
    this.#o.onFrame(vip);
  }

  #guard(what: string, fn: () => void): void {
    try {
      fn();
    } catch (e) {
      this.#errors++;
      this.#o.log.error({ err: e, what }, "tick");
    }
  }
}
