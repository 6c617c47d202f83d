// SPDX-License-Identifier: Apache-2.0
// Reflection, both versions of it: what grpcurl and ghz ask first. Few processes are ever asked, and its library reads and indexes all descriptors:
// it is loaded at the first question.
import { EventEmitter } from "node:events";
import type * as grpc from "@grpc/grpc-js";
import { packageDefinition } from "./protos.js";

type Bytes = grpc.MethodDefinition<Buffer, Buffer>;
type Call = grpc.ServerDuplexStream<Buffer, Buffer>;
/** What the library's handler wants of a call. */
type Messages = EventEmitter & { write(answer: object): void; end(): void };
interface Version {
  method: grpc.MethodDefinition<object, object>;
  handle(messages: Messages): void;
}

const asIs = (bytes: Buffer): Buffer => bytes;
const SERVICES = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"] as const;
const METHOD = "ServerReflectionInfo";

const methodOf = (service: string): Bytes => ({
  path: `/${service}/${METHOD}`,
  requestStream: true,
  responseStream: true,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
});

/** The library's own handlers by path: it hands them to what it takes for a server. */
async function load(services: string[]): Promise<ReadonlyMap<string, Version>> {
  const { ReflectionService } = await import("@grpc/reflection");
  const found = new Map<string, Version>();
  const server = {
    addService(definition: Record<string, Version["method"]>, implementation: Record<string, Version["handle"]>): void {
      const method = definition[METHOD] as Version["method"];
      found.set(method.path, { method, handle: implementation[METHOD] as Version["handle"] });
    },
  };
  new ReflectionService(await packageDefinition(), { services }).addToServer(server as unknown as grpc.Server);
  return found;
}

/** Shows these services. */
export function addReflection(server: grpc.Server, services: string[]): void {
  let loaded: ReturnType<typeof load> | null = null;
  const answer = async (path: string, call: Call): Promise<void> => {
    const version = (await (loaded ??= load(services))).get(path);
    if (version === undefined) throw new Error(`${path}: the library of reflection does not serve it`);
    const { method, handle } = version;
    const messages: Messages = Object.assign(new EventEmitter(), {
      write: (message: object) => void call.write(method.responseSerialize(message)),
      end: () => void call.end(),
    });
    handle(messages);
    // Nothing is read of the call before.
    call
      .on("data", (bytes: Buffer) => messages.emit("data", method.requestDeserialize(bytes)))
      .on("end", () => messages.emit("end"));
  };
  for (const service of SERVICES) {
    const method = methodOf(service);
    server.addService(
      { [METHOD]: method },
      { [METHOD]: (call: Call) => void answer(method.path, call).catch((e: unknown) => call.destroy(e as Error)) },
    );
  }
}
