// SPDX-License-Identifier: Apache-2.0
// The agent's peers: inference (a stream a VIP), every replica of health, and failover (a stream each).
import { type ChannelCredentials, type Client, type ServiceError, status } from "@grpc/grpc-js";
import type { Directive__Output } from "../../gen/marllb/v1/Directive.js";
import type { Frame } from "../../gen/marllb/v1/Frame.js";
import type { Hello } from "../../gen/marllb/v1/Hello.js";
import type { ReportRequest } from "../../gen/marllb/v1/ReportRequest.js";
import type { Roster } from "../../gen/marllb/v1/Roster.js";
import type { SteerRequest } from "../../gen/marllb/v1/SteerRequest.js";
import type { SteerResponse__Output } from "../../gen/marllb/v1/SteerResponse.js";
import type { SuperviseRequest } from "../../gen/marllb/v1/SuperviseRequest.js";
import type { SuperviseResponse__Output } from "../../gen/marllb/v1/SuperviseResponse.js";
import type { VipChecks } from "../../gen/marllb/v1/VipChecks.js";
import type { Config, ServiceName } from "../common/config/load.js";
import { clientCredentials, clientOptions, dialTarget } from "../common/grpc/channel.js";
import { v1 } from "../common/grpc/protos.js";
import { Replicas } from "../common/grpc/replicas.js";
import { LastingStream, type StreamFigures, type StreamState, type Timers } from "../common/stream.js";

/** What of a VIP its stream to inference needs. */
interface Steered {
  key: string;
}

export interface PeerEvents<V extends Steered> {
  hello(vip: V): Hello;
  /** What health and failover are told first; null: there is no data plane to speak of. */
  roster(): Roster | null;
  /** How the VIPs' servers are to be checked. */
  checks(): VipChecks[];
  steered(vip: V, response: SteerResponse__Output): void;
  steerDown(vip: V, reason: string): void;
  directive(directive: Directive__Output): void;
  down(peer: ServiceName, reason: string): void;
  /** Once for each reason; empty: the peer takes us again. */
  refused(peer: ServiceName, address: string, reason: string): void;
}

/** What says that another try will end alike, until somebody changes something. */
const REFUSALS: readonly status[] = [
  status.FAILED_PRECONDITION,
  status.INVALID_ARGUMENT,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.UNIMPLEMENTED,
];
const isRefusal = (e: Error): boolean => REFUSALS.includes((e as ServiceError).code);
/** As gRPC's errors have it, without the code's number and name. */
const plainReason = (reason: string): string => reason.replace(/^\d+ [A-Z_]+: /, "");

/** Frames of several VIPs may be on their way to a peer at once. */
const PIPELINE = 8;
/** No VIP has this id: a roster waits beside frames and replaces none. */
const ROSTER_KEY = 0;

const figuresOf = (stream: { figures(): StreamFigures }): StreamFigures => {
  const f = stream.figures();
  return { ...f, why: plainReason(f.why) };
};

export class Peers<V extends Steered> {
  readonly failover: LastingStream<SuperviseRequest, SuperviseResponse__Output>;
  readonly #health: Replicas<{ stream: LastingStream<ReportRequest, unknown>; client: Client }>;
  readonly targets: Record<"inference" | "health" | "failover", string>;
  readonly #steers = new Map<string, LastingStream<SteerRequest, SteerResponse__Output>>();
  readonly #clients: Client[];
  readonly #inference: InstanceType<typeof v1.Inference>;
  readonly #timers: Timers;
  readonly #events: PeerEvents<V>;
  readonly #stallMs: number;
  /** Of streams of VIPs that are gone. */
  #reconnects = 0;
  /** Of streams to replicas of health that are gone. */
  #goneReconnects = 0;

  constructor(config: Config, timers: Timers, events: PeerEvents<V>, stallMs: number) {
    this.#timers = timers;
    this.#events = events;
    this.#stallMs = stallMs;
    const credentials: ChannelCredentials = clientCredentials(config);
    this.targets = {
      inference: dialTarget(config, "inference"),
      health: dialTarget(config, "health"),
      failover: dialTarget(config, "failover"),
    };
    this.#inference = new v1.Inference(this.targets.inference, credentials, clientOptions);
    const failover = new v1.Failover(this.targets.failover, credentials, clientOptions);
    this.#clients = [this.#inference, failover];
    const common = { timers, stallMs, pipeline: PIPELINE, isRefusal };
    const roster = <M>(message: (r: Roster) => M): ((send: (m: M) => void) => void) => {
      return (send) => {
        const r = events.roster();
        if (r) send(message(r));
      };
    };
    this.#health = new Replicas({
      target: this.targets.health,
      timers,
      open: (address, options) => {
        const client = new v1.Health(address, credentials, options);
        const stream = new LastingStream<ReportRequest, unknown>({
          ...common,
          open: () => {
            // The answer comes only when the stream closes: whatever comes is its end.
            const call = client.Report((e) => call.emit("error", e ?? new Error("ended by the peer")));
            return call;
          },
          key: (m) => m.frame?.vip_id ?? ROSTER_KEY,
          onOpen: roster((r) => ({ roster: r, checks: events.checks() })),
          onMessage() {},
          onDown: (reason) => events.down("health", reason),
          onRefused: (reason) => events.refused("health", address, plainReason(reason)),
        });
        return { stream, client };
      },
      close: ({ stream, client }) => {
        this.#goneReconnects += stream.reconnects;
        stream.close();
        client.close();
      },
      failed: (reason) => events.down("health", reason),
    });
    this.failover = new LastingStream<SuperviseRequest, SuperviseResponse__Output>({
      ...common,
      open: () => failover.Supervise(),
      key: (m) => m.frame?.vip_id ?? ROSTER_KEY,
      onOpen: roster((r) => ({ roster: r })),
      onMessage(m) {
        if (m.directive) events.directive(m.directive);
      },
      onDown: (reason) => events.down("failover", reason),
      onRefused: (reason) => events.refused("failover", this.failover.peer || this.targets.failover, plainReason(reason)),
    });
  }

  /** Sends a frame for weights by a policy. False: there is no stream at this moment. */
  steer(vip: V, frame: Frame, policy: string): boolean {
    let stream = this.#steers.get(vip.key);
    if (stream === undefined) {
      stream = this.#openSteer(vip);
      this.#steers.set(vip.key, stream);
    }
    return stream.send({ frame, policy });
  }

  /** Sends a warm-up request, where nothing of the VIP's is on its way. False: not sent. */
  warmUp(vip: V, frame: Frame): boolean {
    const stream = this.#steers.get(vip.key);
    return stream?.idle === true && stream.send({ warm_up: frame });
  }

  /** For a peer that takes frames of the VIP and never answers. */
  reopenSteer(vip: V): void {
    this.#steers.get(vip.key)?.reopen("unanswered");
  }

  /** The replica of inference that has the VIP's stream, as HOST:PORT; empty where it never had one. */
  steeredBy(vip: V): string {
    return this.#steers.get(vip.key)?.peer ?? "";
  }

  /** To every replica of health: each checks all servers, and judges by the same frames. */
  report(message: ReportRequest): void {
    for (const { stream } of this.#health.all.values()) stream.send(message);
  }

  /** The streams to health, one a replica; before its name was resolved, none that is ready. */
  reporting(): (StreamFigures & { address: string })[] {
    const all = [...this.#health.all].map(([address, { stream }]) => ({ address, ...figuresOf(stream) }));
    const none = {
      address: this.targets.health,
      state: "connecting" as const,
      why: "",
      answered: 0,
      unanswered: 0,
      reconnects: 0,
    };
    const [first = none, ...rest] = all;
    return [{ ...first, reconnects: first.reconnects + this.#goneReconnects }, ...rest];
  }

  supervising(): StreamFigures & { address: string } {
    return { address: this.targets.failover, ...figuresOf(this.failover) };
  }

  /** The streams to inference, all together. */
  steering(): { state: StreamState; why: string; reconnects: number } {
    const steers = [...this.#steers.values()];
    const shown = steers.find((s) => s.state === "ready") ?? steers[0];
    return {
      state: shown?.state ?? "connecting",
      why: plainReason(shown?.why ?? ""),
      reconnects: this.#reconnects + steers.reduce((n, s) => n + s.reconnects, 0),
    };
  }

  /** The end of its stream tells inference that the VIP is gone. */
  forget(vip: V): void {
    const stream = this.#steers.get(vip.key);
    this.#reconnects += stream?.reconnects ?? 0;
    stream?.close();
    this.#steers.delete(vip.key);
  }

  /** Tells health and failover which VIPs there are. */
  roster(roster: Roster): void {
    this.report({ roster, checks: this.#events.checks() });
    this.failover.send({ roster });
  }

  close(): void {
    for (const stream of this.#steers.values()) stream.close();
    this.#steers.clear();
    this.#health.close();
    this.failover.close();
    for (const client of this.#clients) client.close();
  }

  #openSteer(vip: V): LastingStream<SteerRequest, SteerResponse__Output> {
    return new LastingStream<SteerRequest, SteerResponse__Output>({
      timers: this.#timers,
      stallMs: this.#stallMs,
      // The hello and one frame: an older frame must not stand before the newest.
      pipeline: 2,
      open: () => this.#inference.Steer(),
      key: () => 0,
      onOpen: (send) => send({ hello: this.#events.hello(vip) }),
      onMessage: (m) => this.#events.steered(vip, m),
      onDown: (reason) => {
        this.#events.steerDown(vip, reason);
        this.#events.down("inference", reason);
      },
    });
  }
}
