// SPDX-License-Identifier: Apache-2.0
// Which policies there are: the core's heuristics and the models of a folder. "marl" and "model:marl" name the same.
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { heuristics } from "./native/policies.js";
import { projectRoot } from "./root.js";

/** Relative to the project's folder. */
export const modelsFolder = (models: string): string => path.resolve(projectRoot, models);

/** Without the prefix that a model's name may have. */
export const plainName = (policy: string): string => policy.replace(/^model:/, "");

export function modelNames(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((f) => /^(.+)\.onnx$/.exec(f)?.[1] ?? [])
    .sort();
}

export function policyNames(folder: string): string[] {
  return [...heuristics.map((h) => h.name), ...modelNames(folder)];
}

/** What is wrong with a VIP's policy, or null. */
export function policyProblem(policy: string, folder: string): string | null {
  const name = plainName(policy);
  const there = policyNames(folder);
  if (there.includes(name) && (name === policy || modelNames(folder).includes(name))) return null;
  return `no policy "${policy}"; there are ${there.join(", ")} (models are files of ${folder})`;
}
