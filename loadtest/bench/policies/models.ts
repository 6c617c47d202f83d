// SPDX-License-Identifier: Apache-2.0
// The trained models as the simulator's strategies.
import { existsSync } from "node:fs";
import path from "node:path";
import { projectRoot } from "../../../services/common/root.js";

export interface Model {
  /** As in a row's id. */
  id: "marl" | "sac_gru" | "qmix";
  /** Strategy, or null where the file is absent. */
  strategy: string | null;
  file: string;
}

function model(id: Model["id"], name: string): Model {
  const file = path.join("models", `${name}.onnx`);
  const absolute = path.join(projectRoot, file);
  return { id, file, strategy: existsSync(absolute) ? `model:${path.relative(process.cwd(), absolute)}+sed` : null };
}

export const marl = (): Model => model("marl", "marl");
export const sacGru = (): Model => model("sac_gru", "sac-gru");
export const qmix = (): Model => model("qmix", "qmix");

export const absent = (m: Model): string => `${m.file} is not there: npm run train -- --model ${path.basename(m.file, ".onnx")}`;
