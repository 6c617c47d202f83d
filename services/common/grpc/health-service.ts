// SPDX-License-Identifier: Apache-2.0
// grpc.health.v1: which of a process's services can do their work now. Load balancers of gRPC, systemd's wrappers and grpcurl ask it.
import * as grpc from "@grpc/grpc-js";
import { serviceOf } from "./protos.js";

type Status = "SERVING" | "NOT_SERVING";
interface Request {
  service: string;
}
interface Answer {
  status: Status | "SERVICE_UNKNOWN";
}

/** More watchers than so many are refused: one client could open them without end. */
const MOST_WATCHERS = 1000;

export class HealthService {
  readonly #statuses: Map<string, Status>;
  readonly #watchers = new Map<grpc.ServerWritableStream<Request, Answer>, string>();

  /** By full name of a service; "" is the process as a whole. */
  constructor(statuses: Readonly<Record<string, Status>>) {
    this.#statuses = new Map(Object.entries(statuses));
  }

  set(service: string, status: Status): void {
    if (this.#statuses.get(service) === status) return;
    this.#statuses.set(service, status);
    for (const [call, watched] of this.#watchers) if (watched === service) call.write({ status });
  }

  addTo(server: grpc.Server): void {
    server.addService(serviceOf("grpc.health.v1.Health"), {
      Check: ({ request }: grpc.ServerUnaryCall<Request, Answer>, callback: grpc.sendUnaryData<Answer>) => {
        const status = this.#statuses.get(request.service);
        if (status) callback(null, { status });
        else callback({ code: grpc.status.NOT_FOUND, details: `no service "${request.service}" is here` });
      },
      Watch: (call: grpc.ServerWritableStream<Request, Answer>) => this.#watch(call),
    });
  }

  /** What is so now, and each change. A service that is not here may come: it is unknown until then. */
  #watch(call: grpc.ServerWritableStream<Request, Answer>): void {
    if (this.#watchers.size >= MOST_WATCHERS) {
      call.emit("error", { code: grpc.status.RESOURCE_EXHAUSTED, details: `${MOST_WATCHERS} watch already` });
      return;
    }
    const { service } = call.request;
    this.#watchers.set(call, service);
    call.on("cancelled", () => this.#watchers.delete(call)).on("close", () => this.#watchers.delete(call));
    call.write({ status: this.#statuses.get(service) ?? "SERVICE_UNKNOWN" });
  }
}
