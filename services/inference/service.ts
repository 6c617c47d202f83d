// SPDX-License-Identifier: Apache-2.0
import type { InferenceHandlers } from "../../gen/marllb/v1/Inference.js";
import { unary } from "../common/grpc/errors.js";
import { v1 } from "../common/grpc/protos.js";
import type { CreateService } from "../common/run.js";
import { builtin } from "./policies.js";

export const create: CreateService = () => {
  const implementation: Partial<InferenceHandlers> = {
    ListModels: unary(() => ({
      models: builtin.map((p) => ({ name: p.name, kind: "builtin", usable: true, note: p.note })),
    })),
  };
  return {
    name: "marllb.v1.Inference",
    definition: v1.Inference.service,
    implementation: implementation as Record<string, never>,
    stop: async () => {},
  };
};
