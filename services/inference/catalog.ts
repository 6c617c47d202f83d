// SPDX-License-Identifier: Apache-2.0
// The policies that there are: the built-in ones and the models of a folder. A model that cannot be used stays listed, with the reason.
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Model as ModelMessage } from "../../gen/marllb/v1/Model.js";
import { invalid, ServiceError } from "../common/grpc/errors.js";
import type { Logger } from "../common/log.js";
import type { InputShape } from "../common/native/observe.js";
import { plainName } from "../common/policies.js";
import type { Model } from "./model.js";
import { BUILTIN, type Policy } from "./policy.js";

/** Of a model, by hash: the newest and those that it replaced. */
const KEPT_VERSIONS = 4;

interface Refused {
  name: string;
  file: string;
  reason: string;
}

export class Catalog {
  private readonly policies = new Map<string, Policy>(BUILTIN.map((p) => [p.name, p]));
  private readonly models = new Map<string, Model>();
  private readonly refused = new Map<string, Refused>();

  static async open(folder: string, known: readonly InputShape[], log: Logger): Promise<Catalog> {
    const catalog = new Catalog();
    const files = existsSync(folder) ? (await readdir(folder)).filter((f) => f.endsWith(".onnx")).sort() : [];
    if (files.length === 0) return catalog;
    const { loadModel } = await import("./model.js");
    for (const f of files) {
      const file = join(folder, f);
      const name = basename(f, ".onnx");
      try {
        if (BUILTIN.some((p) => p.name === name)) throw new Error("its name is a built-in policy's");
        const model = await loadModel(file, known);
        catalog.install(name, model);
      } catch (e) {
        const reason = (e as Error).message;
        catalog.refused.set(name, { name, file, reason });
        log.warn({ model: name, reason }, "model refused");
      }
    }
    return catalog;
  }

  /** From now on the name means this model; each stays under its name and hash as well. */
  install(name: string, model: Model): void {
    const versions = [...this.models.values()].filter((m) => m.name === `${name}.${m.hash}`).map((m) => m.name);
    for (const old of versions.slice(0, Math.max(0, versions.length - KEPT_VERSIONS + 1))) {
      this.models.delete(old);
      this.policies.delete(old);
    }
    this.refused.delete(name);
    const named = { ...model, name: `${name}.${model.hash}` };
    for (const [n, m] of [
      [name, model],
      [named.name, named],
    ] as const) {
      this.models.set(n, m);
      this.policies.set(n, m);
    }
  }

  /** A second name of what is listed under its plain one. */
  private isCurrent({ name, hash }: Model): boolean {
    return name.endsWith(`.${hash}`) && this.models.get(name.slice(0, -hash.length - 1))?.hash === hash;
  }

  model(name: string): Model | undefined {
    return this.models.get(name);
  }

  /** The file that has the name cannot be used; the model that has it decides on. */
  refuse(name: string, file: string, reason: string): void {
    if (!this.models.has(name)) this.refused.set(name, { name, file, reason });
  }

  /** "marl" and "model:marl" are the same. */
  get(name: string): Policy | undefined {
    return this.policies.get(plainName(name));
  }

  /** The policy, or an error that says what there is. */
  need(name: string): Policy {
    const policy = this.get(name);
    if (policy) return policy;
    const refused = this.refused.get(plainName(name));
    if (refused) throw new ServiceError("FAILED_PRECONDITION", `policy: model ${refused.name} cannot be used: ${refused.reason}`);
    const there = `there are ${[...this.policies.keys()].join(", ")}`;
    if (name === "") throw invalid("policy", `is missing; ${there}`);
    throw new ServiceError("NOT_FOUND", `policy: no policy "${name}"; ${there}`);
  }

  /** Is there such a policy, usable or not? */
  has(name: string): boolean {
    return this.get(name) !== undefined || this.refused.has(plainName(name));
  }

  whyNot(name: string): string {
    return this.refused.get(plainName(name))?.reason ?? `no policy "${name}"`;
  }

  list(): ModelMessage[] {
    return [
      ...BUILTIN.map((p) => ({ name: p.name, kind: p.kind, usable: true, note: p.note })),
      ...[...this.models.values()]
        .filter((m) => !this.isCurrent(m))
        .map((m) => ({
          name: m.name,
          hash: m.hash,
          kind: m.kind,
          observation_schema: m.observationSchema,
          native_step_ms: m.nativeStepMs,
          file: basename(m.file),
          usable: true,
          note: m.note,
        })),
      ...[...this.refused.values()].map((r) => ({
        name: r.name,
        kind: "onnx",
        file: basename(r.file),
        usable: false,
        note: r.reason,
      })),
    ];
  }
}
