// SPDX-License-Identifier: Apache-2.0
// proto/ as loaded at run time, with the same options that gen/ was generated with.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { loadSync, type PackageDefinition } from "@grpc/proto-loader";
import type { ProtoGrpcType as FailoverProto } from "../../../gen/failover.js";
import type { ProtoGrpcType as HealthProto } from "../../../gen/health.js";
import type { ProtoGrpcType as InferenceProto } from "../../../gen/inference.js";
import type { ProtoGrpcType as ProcessProto } from "../../../gen/process.js";
import type { ProtoGrpcType as ShmAgentProto } from "../../../gen/shm_agent.js";
import { projectRoot } from "../root.js";

type V1 = FailoverProto["marllb"]["v1"] &
  HealthProto["marllb"]["v1"] &
  InferenceProto["marllb"]["v1"] &
  ProcessProto["marllb"]["v1"] &
  ShmAgentProto["marllb"]["v1"];

const includeDirs = [join(projectRoot, "proto")];
// "String" is how the generator's command line says what protobuf.js wants as the constructor.
const options = Object.fromEntries(
  Object.entries(JSON.parse(readFileSync(join(projectRoot, "proto/loader-options.json"), "utf8"))).map(([k, v]) => [
    k,
    v === "String" ? String : v,
  ]),
);
const FILES = {
  Failover: "failover",
  Health: "health",
  Inference: "inference",
  Process: "process",
  ShmAgent: "shm_agent",
} as const;
type Name = keyof typeof FILES;
const fileOf = (name: Name): string => `marllb/v1/${FILES[name]}.proto`;
const names = Object.keys(FILES) as Name[];
const load = (files: string[]): PackageDefinition => loadSync(files, { ...options, includeDirs });

let whole: PackageDefinition | null = null;

/** Everything that reflection shows: our services and the plain part of grpc.health.v1. */
export const packageDefinition = (): PackageDefinition => (whole ??= load([...names.map(fileOf), "grpc/health/v1/health.proto"]));

/** Each is read when it is asked for: a client of one service needs one file. */
export const v1 = {} as Pick<V1, Name>;
for (const name of names)
  Object.defineProperty(v1, name, {
    configurable: true,
    get() {
      const { marllb } = grpc.loadPackageDefinition(whole ?? load([fileOf(name)])) as unknown as { marllb: { v1: V1 } };
      Object.defineProperty(v1, name, { value: marllb.v1[name] });
      return marllb.v1[name];
    },
  });
