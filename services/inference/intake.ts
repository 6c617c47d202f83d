// SPDX-License-Identifier: Apache-2.0
// A model whose file is new or has changed while the service runs: it is loaded, tried on the last frames, goes along as a shadow, and only
// then decides. The one that it replaces stays under its own hash, so that one order brings it back.
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { plainName } from "../common/policies.js";
import type { Model } from "./model.js";
import type { Observation, Policy } from "./policy.js";
import { type Seen, Shadow } from "./shadow.js";

/** Steps as a shadow at every VIP where it is to decide. */
const SHADOWED = 50;

/** A VIP at a load balancer, as far as a new model is tried on it. */
export interface Place {
  /** The policy in force. */
  policyName: string;
  /** null before the first frame. */
  seen: Seen | null;
}

export interface IntakeOptions {
  folder: string;
  load(file: string): Promise<Model>;
  /** The model that has the name now. */
  current(name: string): Model | undefined;
  places(): readonly Place[];
  tickMs: number;
  nowMs(): number;
  cpuMs(): number;
  allow(name: string, model: Model): void;
  refuse(name: string, file: string, why: string): void;
}

interface Trial {
  model: Model;
  shadows: Map<Place, { shadow: Shadow; seen: Place["seen"] }>;
}

export class Intake {
  /** By file: as it was when it was last looked at, and taken. */
  readonly #taken = new Map<string, string>();
  readonly #looked = new Map<string, string>();
  readonly #trials = new Map<string, Trial>();
  #busy = false;

  constructor(private readonly o: IntakeOptions) {
    for (const [file, stamp] of this.#files()) this.#taken.set(file, stamp);
  }

  /** Names that are on trial. */
  get onTrial(): string[] {
    return [...this.#trials.keys()];
  }

  /** Looks for files that are new and no longer written to. */
  async look(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (const [file, stamp] of this.#files()) {
        const still = this.#looked.get(file) === stamp;
        this.#looked.set(file, stamp);
        if (!still || this.#taken.get(file) === stamp) continue;
        this.#taken.set(file, stamp);
        await this.#take(file);
      }
    } finally {
      this.#busy = false;
    }
  }

  /** A tick: new models go along where they are to decide. */
  async step(): Promise<void> {
    for (const [name, trial] of this.#trials) {
      const places = this.o.places().filter((p) => plainName(p.policyName) === name && p.seen);
      for (const p of places) await this.#along(trial, p);
      // Decided meanwhile, or a newer file has taken its place.
      if (this.#trials.get(name) !== trial) continue;
      const shadows = places.map((p) => trial.shadows.get(p)?.shadow);
      const cut = shadows.find((s) => s && s.cut !== "");
      if (cut) this.#refuse(name, trial, `as a shadow: ${cut.cut}`);
      else if (shadows.every((s) => s && s.steps >= SHADOWED)) {
        this.#trials.delete(name);
        this.o.allow(name, trial.model);
      }
    }
  }

  async #take(file: string): Promise<void> {
    const name = basename(file, ".onnx");
    try {
      const model = await this.o.load(file);
      if (this.o.current(name)?.hash === model.hash) return;
      for (const { seen } of this.o.places()) if (seen) await tryOn(model, seen.observation);
      this.#trials.set(name, { model, shadows: new Map() });
    } catch (e) {
      this.o.refuse(name, file, (e as Error).message);
    }
  }

  async #along(trial: Trial, place: Place): Promise<void> {
    let it = trial.shadows.get(place);
    if (!it) {
      const { tickMs, nowMs, cpuMs } = this.o;
      it = { shadow: new Shadow({ policy: trial.model, tickMs, nowMs, cpuMs, onCut() {} }), seen: null };
      trial.shadows.set(place, it);
    }
    const { seen } = place;
    if (!seen || seen === it.seen) return;
    it.seen = seen;
    await it.shadow.step(seen);
  }

  #refuse(name: string, trial: Trial, why: string): void {
    this.#trials.delete(name);
    this.o.refuse(name, trial.model.file, why);
  }

  #files(): [file: string, stamp: string][] {
    const { folder } = this.o;
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((f) => f.endsWith(".onnx"))
      .flatMap((f) => {
        const s = statSync(join(folder, f), { throwIfNoEntry: false });
        return s ? [[join(folder, f), `${s.size} ${s.mtimeMs} ${s.ino}`] as [string, string]] : [];
      });
  }
}

async function tryOn(policy: Policy, o: Observation): Promise<void> {
  const [output] = await policy.decide([o], [new Float32Array(o.n * policy.stateSize)]);
  const good = output?.weights.every((w) => Number.isFinite(w) && w >= 0) && (output.bias?.every(Number.isFinite) ?? true);
  if (!good) throw new Error("its weights for the last frame are not finite");
}
