// SPDX-License-Identifier: Apache-2.0
// One gRPC server of ours: the service, grpc.health.v1, reflection, and an orderly end.
import * as grpc from "@grpc/grpc-js";
import type { ProcessHandlers } from "../../../gen/marllb/v1/Process.js";
import { formatHostPort, type HostPort } from "../config/address.js";
import { serverOptions } from "./channel.js";
import { HealthService } from "./health-service.js";
import { v1 } from "./protos.js";
import { addReflection } from "./reflection.js";
import { serverSpans } from "./spans.js";
import { widenConnections, widenStreams } from "./window.js";

export interface GrpcServer {
  /** The address in use, port 0 replaced by the real one. */
  address: string;
  /** What grpc.health.v1 says of the service, by its name and under "". */
  setReady(ready: boolean): void;
  /** Call after the service ended its own streams; a stream that stays open is cut after a second. */
  stop(): Promise<void>;
}

export interface ServeOptions {
  /** Full name, such as "marllb.v1.Inference". */
  name: string;
  definition: grpc.ServiceDefinition;
  implementation: grpc.UntypedServiceImplementation;
  process: ProcessHandlers;
  listen: HostPort;
  credentials: grpc.ServerCredentials;
  /** Counts what comes, of the service and of its process. */
  counted: grpc.ServerInterceptor;
}

const STOP_MS = 1000;
/** It can do its work from the start: grpc.health.v1 says that it serves as long as the process does. */
const PROCESS = "marllb.v1.Process";

export async function serve(o: ServeOptions): Promise<GrpcServer> {
  const server = new grpc.Server({ ...serverOptions, interceptors: [o.counted, serverSpans] });
  server.addService(o.definition, o.implementation);
  server.addService(v1.Process.service, o.process);
  const health = new HealthService({ "": "NOT_SERVING", [o.name]: "NOT_SERVING", [PROCESS]: "SERVING" });
  health.addTo(server);
  addReflection(server, [o.name, PROCESS, "grpc.health.v1.Health"]);

  widenStreams(server);
  const wanted = formatHostPort(o.listen.host, o.listen.port);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(wanted, o.credentials, (e, p) => (e ? reject(bindError(e, wanted)) : resolve(p)));
  });
  widenConnections(server);
  return {
    address: formatHostPort(o.listen.host, port),
    setReady(ready) {
      for (const name of ["", o.name]) health.set(name, ready ? "SERVING" : "NOT_SERVING");
    },
    stop() {
      return new Promise((resolve) => {
        // tryShutdown waits for open streams, which may be another's for ever.
        const timer = setTimeout(() => {
          server.forceShutdown();
          resolve();
        }, STOP_MS);
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
  };
}

function bindError(e: Error, address: string): Error {
  if (/EADDRINUSE/.test(e.message)) {
    return new Error(`address ${address} is in use by another process; choose another with --port or in the configuration`);
  }
  if (/EACCES/.test(e.message)) return new Error(`address ${address}: not permitted (ports below 1024 need root)`);
  if (/EADDRNOTAVAIL/.test(e.message)) return new Error(`address ${address} is not an address of this machine`);
  return new Error(`address ${address}: ${e.message}`);
}
