// SPDX-License-Identifier: Apache-2.0
// The streams of Steer: one session each, one step at a time, the newest frame next.
import type * as grpc from "@grpc/grpc-js";
import type { Frame__Output } from "../../gen/marllb/v1/Frame.js";
import type { SteerRequest__Output } from "../../gen/marllb/v1/SteerRequest.js";
import type { SteerResponse } from "../../gen/marllb/v1/SteerResponse.js";
import type { Weights } from "../../gen/marllb/v1/Weights.js";
import type { Clock } from "../common/clock.js";
import { failStream, invalid, ServiceError, toStatus, UNREAD } from "../common/grpc/errors.js";
import { birthOf, vipKey } from "../common/identity.js";
import { boundedName } from "../common/instances.js";
import type { Logger } from "../common/log.js";
import { Outlet, systemTimers } from "../common/stream.js";
import { parseTraceparent } from "../common/telemetry.js";
import { TickSpans } from "../common/tick-spans.js";
import { wireLadder } from "../common/vocabulary.js";
import { Beside, type BesideOptions } from "./beside.js";
import type { Catalog } from "./catalog.js";
import type { InferenceMetrics } from "./metrics.js";
import type { Session } from "./session.js";

export type Steer = grpc.ServerDuplexStream<SteerRequest__Output, SteerResponse>;

const CHECKPOINT_MS = 1000;
/** What is not urgent waits until the weights are in effect: the checkpoint, many times larger than they are; the shadow; the log. */
const AFTER_MS = 5;
/** So many streams keep the service warm: warm-up requests would only cost. */
const WARM_STREAMS = 8;

export interface Stream {
  call: Steer;
  /** The newest answer, checkpoint and warm-up request. */
  out: Outlet<SteerResponse, SteerResponse>;
  instance: string;
  vipId: number;
  /** Whose frames it brings; another's, under the same id, have no business here. */
  key: string;
  session: Session;
  beside: Beside;
  checkpointAt: number;
  /** What the last answer leaves to do: done after AFTER_MS, and before the next frame is decided on. */
  after: (() => void) | null;
  /** A step runs; the newest frame that came meanwhile waits. */
  busy: boolean;
  next: Frame__Output | null;
}

export interface SteeringOptions {
  catalog: Catalog;
  clock: Clock;
  log: Logger;
  metrics: InferenceMetrics;
  newSession(policy: string): Session;
  beside: BesideOptions;
}

/** A policy's name comes from outside: only one that is known here may make a series. */
export const labelOf = (catalog: Pick<Catalog, "has">, policy: string): string => (catalog.has(policy) ? policy : "unknown");

/** What whoever steers next goes on with. */
const leftBy = ({ session, vipId, beside }: Stream): SteerResponse => ({
  checkpoint: session.checkpoint(vipId),
  guardrail: beside.memory,
});

export class Steering {
  private readonly streams: Map<Steer, Stream>;
  private readonly spans: TickSpans;

  /** `streams`: shared with whoever asks how many there are. */
  constructor(
    private readonly o: SteeringOptions,
    streams: Map<Steer, Stream>,
  ) {
    this.streams = streams;
    this.spans = new TickSpans(o.clock, "SERVER", "marllb.v1.Inference", "Steer");
  }

  open(call: Steer): void {
    call.on("data", (m: SteerRequest__Output) => {
      try {
        this.message(call, m);
      } catch (e) {
        call.emit("error", toStatus(e));
      }
    });
    const end = (): void => {
      const s = this.streams.get(call);
      this.streams.delete(call);
      if (!s) return;
      s.out.close();
      this.settle(s);
      s.beside.close();
    };
    call.on("error", end).on("cancelled", end).on("close", end);
    call.on("end", () => {
      end();
      call.end();
    });
  }

  /** The one stream of a VIP; `instance` empty where it is the only one. */
  find(instance: string, vipId: number): Stream {
    if (vipId === 0) throw invalid("vip_id", "is missing");
    const all = [...this.streams.values()].filter((s) => (instance === "" || s.instance === instance) && s.vipId === vipId);
    if (all.length > 1 && instance === "" && new Set(all.map((s) => s.instance)).size > 1) {
      throw invalid("instance", `several agents are connected: ${[...new Set(all.map((s) => s.instance))].join(", ")}`);
    }
    // A stream that was cut may linger beside the one that replaced it.
    const s = all.at(-1);
    if (!s) throw new ServiceError("NOT_FOUND", `vip_id: no stream of VIP ${vipId}${instance ? ` of ${instance}` : ""}`);
    return s;
  }

  /** Streams of a VIP by name, one a load balancer. */
  ofVip(vip: string): Stream[] {
    return [...this.streams.values()].filter((s) => s.beside.vip === vip);
  }

  /** Says the last of each stream and ends it. */
  stop(): void {
    for (const s of this.streams.values()) {
      // Behind what is on its way: what waits is older.
      s.call.write(leftBy(s));
      s.out.end();
      this.settle(s);
      s.beside.close();
    }
    this.streams.clear();
  }

  private message(call: Steer, m: SteerRequest__Output): void {
    if (m.frame) {
      const s = this.streamOf(call, m.frame);
      this.settle(s);
      this.wanted(s, m.policy);
      void this.run(s, m.frame);
    } else if (m.warm_up) void this.warmUp(this.streamOf(call, m.warm_up), m.warm_up);
    else if (m.hello || !this.streams.has(call)) this.hello(call, m);
    else throw invalid("message", "expected a frame");
  }

  /**
   * The agent says with each frame which policy is to decide: an operator's choice reaches whichever replica steers. An experiment or
   * the guardrail may give the turn to another.
   */
  private wanted(s: Stream, wanted: string): void {
    const previous = s.session.policyName;
    if (!s.beside.turn(boundedName("policy", wanted))) return;
    const policy = s.session.policyName;
    const { wanted: ordered, turnOf } = s.beside;
    this.o.log.info(
      { load_balancer: s.instance, vip: s.vipId, policy, previous, wanted: ordered, turn_of: turnOf },
      "policy set",
    );
    this.sayMissing(s.session, s.vipId);
  }

  private sayMissing(session: Session, vip: string | number): void {
    if (this.o.catalog.get(session.policyName)) return;
    const reason = this.o.catalog.whyNot(session.policyName);
    this.o.log.warn({ vip, policy: session.policyName, reason }, "the policy is not there: kalman steers");
  }

  private settle(s: Stream): void {
    const { after } = s;
    s.after = null;
    try {
      after?.();
    } catch (e) {
      this.o.log.warn({ err: e, vip: s.vipId }, "what follows an answer");
    }
  }

  private checkpoint(s: Stream): void {
    const now = this.o.clock.now();
    if (s.call.cancelled || now - s.checkpointAt < CHECKPOINT_MS) return;
    s.checkpointAt = now;
    s.out.put([["checkpoint", leftBy(s)]]);
  }

  private later(s: Stream, frame: Frame__Output, weights: Weights): void {
    s.after = () => {
      s.beside.after(frame, weights);
      this.checkpoint(s);
    };
    setTimeout(() => this.settle(s), AFTER_MS);
  }

  private async answer(s: Stream, frame: Frame__Output): Promise<void> {
    this.settle(s);
    const start = this.o.clock.now();
    const begun = this.spans.begin();
    this.spans.kept(frame.kept);
    try {
      const weights: Weights = { ...(await s.session.step(frame)), turn_of: s.beside.turnOf };
      const ladder = wireLadder.word(String(weights.ladder));
      this.spans.done(frame.trace, begun, { "marllb.policy": weights.policy ?? "", "marllb.ladder": ladder });
      if (!frame.want_weights || s.call.cancelled) return;
      s.out.put([["weights", { weights, trace: frame.trace }]]);
      this.later(s, frame, weights);
      this.o.metrics.answers.inc({
        policy: labelOf(this.o.catalog, weights.policy ?? ""),
        ladder,
      });
    } catch (e) {
      this.spans.done(frame.trace, begun, {}, (e as Error).message);
      this.o.metrics.refused.inc();
      this.o.log.debug({ err: e }, "frame refused");
    } finally {
      const trace = parseTraceparent(frame.trace);
      const exemplar = trace?.sampled ? { traceId: trace.traceId, unixMs: this.o.clock.unixMs() } : undefined;
      this.o.metrics.seconds.observe(undefined, (this.o.clock.now() - start) / 1000, exemplar);
    }
  }

  /** An answer that nobody uses; a frame that comes meanwhile waits its turn. */
  private async warmUp(s: Stream, frame: Frame__Output): Promise<void> {
    if (s.busy || this.streams.size >= WARM_STREAMS) return;
    s.busy = true;
    try {
      const weights = await s.session.warmUp(frame);
      if (!s.call.cancelled) s.out.put([["warmUp", { weights, warm_up: true }]]);
    } catch (e) {
      this.o.log.debug({ err: e }, "warm-up");
    }
    s.busy = false;
    const { next } = s;
    s.next = null;
    if (next) await this.run(s, next);
  }

  private async run(s: Stream, frame: Frame__Output): Promise<void> {
    if (s.busy) {
      s.next = frame;
      return;
    }
    s.busy = true;
    for (let f: Frame__Output | null = frame; f !== null; s.next = null) {
      await this.answer(s, f);
      f = s.next;
    }
    s.busy = false;
  }

  private hello(call: Steer, m: SteerRequest__Output): void {
    const h = m.hello;
    if (!h) throw new ServiceError("FAILED_PRECONDITION", "message: expected a hello first");
    if (this.streams.has(call)) throw invalid("hello", "only one a stream");
    if (!h.vip) throw invalid("hello.vip", "is missing");
    const { vip_id: vipId, name: vip } = h.vip;
    boundedName("hello.instance", h.instance);
    boundedName("hello.checkpoint.policy", h.checkpoint?.policy ?? "");
    const session = this.o.newSession(boundedName("hello.policy", h.policy) || "kalman");
    if (h.checkpoint && !session.restore(h.checkpoint))
      this.o.log.warn({ load_balancer: h.instance, vip }, "checkpoint of no use");
    const out = new Outlet<SteerResponse, SteerResponse>(call, {
      pack: ([message]) => message as SteerResponse,
      batch: 1,
      timers: systemTimers(this.o.clock.now),
      onUnread: () => failStream(call, UNREAD),
    });
    this.streams.set(call, {
      call,
      out,
      instance: h.instance,
      vipId,
      key: vipKey(birthOf(h.vip)),
      session,
      beside: new Beside(this.o.beside, h.instance, vip, session, h.guardrail),
      checkpointAt: this.o.clock.now(),
      after: null,
      busy: false,
      next: null,
    });
    this.o.log.info({ load_balancer: h.instance, vip, policy: session.policyName }, "steering");
    this.sayMissing(session, vip);
  }

  /** The stream of a frame that came on it. */
  private streamOf(call: Steer, frame: Frame__Output): Stream {
    const s = this.streams.get(call);
    if (!s) throw new ServiceError("FAILED_PRECONDITION", "message: expected a hello first");
    if (vipKey(birthOf(frame)) !== s.key)
      throw invalid("frame", `expected the VIP of the hello, found another with id ${frame.vip_id}`);
    return s;
  }
}
