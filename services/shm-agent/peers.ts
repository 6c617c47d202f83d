// SPDX-License-Identifier: Apache-2.0
// The agent's three peers: inference (a stream a VIP), health and failover (a stream each).
import type { ChannelCredentials, Client } from "@grpc/grpc-js";
import type { Directive__Output } from "../../gen/marllb/v1/Directive.js";
import type { Frame } from "../../gen/marllb/v1/Frame.js";
import type { Hello } from "../../gen/marllb/v1/Hello.js";
import type { ReportRequest } from "../../gen/marllb/v1/ReportRequest.js";
import type { SteerRequest } from "../../gen/marllb/v1/SteerRequest.js";
import type { SteerResponse__Output } from "../../gen/marllb/v1/SteerResponse.js";
import type { SuperviseRequest } from "../../gen/marllb/v1/SuperviseRequest.js";
import type { SuperviseResponse__Output } from "../../gen/marllb/v1/SuperviseResponse.js";
import type { Config, ServiceName } from "../common/config/load.js";
import { clientCredentials, clientOptions, dialTarget } from "../common/grpc/channel.js";
import { v1 } from "../common/grpc/protos.js";
import { LastingStream, type Timers } from "../common/stream.js";

export interface PeerEvents {
  hello(vipId: number): Hello;
  steered(vipId: number, response: SteerResponse__Output): void;
  steerDown(vipId: number, reason: string): void;
  directive(directive: Directive__Output): void;
  down(peer: ServiceName, reason: string): void;
}

/** Frames of several VIPs may be on their way to a peer at once. */
const PIPELINE = 8;

export class Peers {
  readonly failover: LastingStream<SuperviseRequest, SuperviseResponse__Output>;
  readonly health: LastingStream<ReportRequest, unknown>;
  readonly steers = new Map<number, LastingStream<SteerRequest, SteerResponse__Output>>();
  readonly targets: Record<"inference" | "health" | "failover", string>;
  private readonly clients: Client[];
  private readonly inference: InstanceType<typeof v1.Inference>;

  constructor(
    config: Config,
    private readonly timers: Timers,
    private readonly events: PeerEvents,
    private readonly stallMs: number,
  ) {
    const credentials: ChannelCredentials = clientCredentials(config);
    this.targets = {
      inference: dialTarget(config, "inference"),
      health: dialTarget(config, "health"),
      failover: dialTarget(config, "failover"),
    };
    this.inference = new v1.Inference(this.targets.inference, credentials, clientOptions);
    const health = new v1.Health(this.targets.health, credentials, clientOptions);
    const failover = new v1.Failover(this.targets.failover, credentials, clientOptions);
    this.clients = [this.inference, health, failover];
    const common = { timers, stallMs, pipeline: PIPELINE };
    this.health = new LastingStream<ReportRequest, unknown>({
      ...common,
      open: () => {
        // The answer comes only when the stream closes: whatever comes is its end.
        const call = health.Report((e) => call.emit("error", e ?? new Error("ended by the peer")));
        return call;
      },
      key: (m) => m.frame?.vip_id ?? 0,
      onMessage() {},
      onDown: (reason) => events.down("health", reason),
    });
    this.failover = new LastingStream<SuperviseRequest, SuperviseResponse__Output>({
      ...common,
      open: () => failover.Supervise(),
      key: (m) => m.frame?.vip_id ?? 0,
      onMessage(m) {
        if (m.directive) events.directive(m.directive);
      },
      onDown: (reason) => events.down("failover", reason),
    });
  }

  /** Sends a frame for weights. False: there is no stream at this moment. */
  steer(vipId: number, frame: Frame): boolean {
    let stream = this.steers.get(vipId);
    if (stream === undefined) {
      stream = this.openSteer(vipId);
      this.steers.set(vipId, stream);
    }
    return stream.send({ frame });
  }

  /** Sends a rehearsal, where nothing of the VIP's is on its way. False: not sent. */
  rehearse(vipId: number, frame: Frame): boolean {
    const stream = this.steers.get(vipId);
    return stream?.idle === true && stream.send({ rehearsal: frame });
  }

  forget(vipId: number): void {
    this.steers.get(vipId)?.close();
    this.steers.delete(vipId);
  }

  close(): void {
    for (const id of [...this.steers.keys()]) this.forget(id);
    this.health.close();
    this.failover.close();
    for (const client of this.clients) client.close();
  }

  private openSteer(vipId: number): LastingStream<SteerRequest, SteerResponse__Output> {
    return new LastingStream<SteerRequest, SteerResponse__Output>({
      timers: this.timers,
      stallMs: this.stallMs,
      // The hello and one frame: an older frame must not stand before the newest.
      pipeline: 2,
      open: () => this.inference.Steer(),
      key: () => vipId,
      onOpen: (send) => send({ hello: this.events.hello(vipId) }),
      onMessage: (m) => this.events.steered(vipId, m),
      onDown: (reason) => {
        this.events.steerDown(vipId, reason);
        this.events.down("inference", reason);
      },
    });
  }
}
