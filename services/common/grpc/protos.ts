// SPDX-License-Identifier: Apache-2.0
// The services of proto/ as gRPC wants them: how a message becomes bytes, and clients. The functions are those of gen/messages.ts: nothing is read,
// parsed and compiled when a program starts.
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import type { ProtoGrpcType as FailoverProto } from "../../../gen/failover.js";
import type { ProtoGrpcType as HealthProto } from "../../../gen/health.js";
import type { ProtoGrpcType as InferenceProto } from "../../../gen/inference.js";
import { options as generated, type Message, type Method, messages, services } from "../../../gen/messages.js";
import type { ProtoGrpcType as ProcessProto } from "../../../gen/process.js";
import type { ProtoGrpcType as ShmAgentProto } from "../../../gen/shm_agent.js";
import { projectRoot } from "../root.js";

type V1 = FailoverProto["marllb"]["v1"] &
  HealthProto["marllb"]["v1"] &
  InferenceProto["marllb"]["v1"] &
  ProcessProto["marllb"]["v1"] &
  ShmAgentProto["marllb"]["v1"];

const NAMES = ["Failover", "Health", "Inference", "Process", "ShmAgent"] as const;
type Name = (typeof NAMES)[number];

/** As the types in gen/ were made. "String" is how the generator's command line says what protobuf.js wants as the constructor. */
const options = Object.fromEntries(Object.entries(generated).map(([k, v]) => [k, v === "String" ? String : v]));

const serializer =
  (m: Message) =>
  (message: object): Buffer =>
    m.encode(m.fromObject(message)).finish() as Buffer;
const deserializer =
  (m: Message) =>
  (bytes: Buffer): object =>
    m.toObject(m.decode(bytes), options);

function definitionOf(
  service: string,
  { name, requestStream, responseStream, ...m }: Method,
): grpc.MethodDefinition<object, object> {
  const request = messages[m.request] as Message;
  const response = messages[m.response] as Message;
  return {
    path: `/${service}/${name}`,
    requestStream,
    responseStream,
    requestSerialize: serializer(request),
    requestDeserialize: deserializer(request),
    responseSerialize: serializer(response),
    responseDeserialize: deserializer(response),
  };
}

/** Of a service by its full name, such as "grpc.health.v1.Health". */
export const serviceOf = (name: string): grpc.ServiceDefinition =>
  Object.fromEntries((services[name] ?? []).map((m) => [m.name, definitionOf(name, m)]));

/** Everything, read from the files: for those who ask a server what it serves. */
export async function packageDefinition() {
  const { load } = await import("@grpc/proto-loader");
  const files = ["failover", "health", "inference", "process", "shm_agent"].map((f) => `marllb/v1/${f}.proto`);
  return load([...files, "grpc/health/v1/health.proto"], { ...options, includeDirs: [join(projectRoot, "proto")] });
}

/** Each is made when it is asked for: a client of one service needs one. */
export const v1 = {} as Pick<V1, Name>;
for (const name of NAMES)
  Object.defineProperty(v1, name, {
    configurable: true,
    get() {
      const value = grpc.makeGenericClientConstructor(serviceOf(`marllb.v1.${name}`), name);
      Object.defineProperty(v1, name, { value });
      return value;
    },
  });
