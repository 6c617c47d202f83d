// SPDX-License-Identifier: Apache-2.0
// Who decides for which VIP at this moment: the policy that is ordered, an experiment's arm, or the reference where the guardrail says so.
// Every replica of inference keeps the same by the same rules: what it is told, it is told with seed and time.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ServiceError } from "../common/grpc/errors.js";
import { Experiment, type ExperimentSpec, type Standing, type Verdict } from "../common/trial/experiment.js";
import { type GuardCounts, Guardrail, type GuardrailMemory, type GuardrailNow, type Step } from "../common/trial/guardrail.js";
import type { Block, Pair } from "../common/trial/measure.js";

/** What the guardrail compares with, and steps down to. */
export const REFERENCE = "kalman";
/** A VIP is heard of so often; ticks may be more. */
const HEAR_MS = 500;
/** Every load balancer and replica draws the same blocks. */
const GUARD_SEED = 20_260_101;
const GUARD_BLOCK_MS = 10_000;
const MAX_VIPS = 256;
const TWICE_MS = 10_000;

export interface TrialsOptions {
  /** Where experiments are kept; every one with all that it needs to be computed again. */
  folder: string;
  /** Of the time, to the reference; 0: the guardrail only trips. */
  guardShare: number;
  /** Seconds of traffic that make a level. */
  guardLearnS: number;
  /** Whether there is such a policy. */
  has(policy: string): boolean;
  /** A model: what is learned is watched, a heuristic is not. */
  learned(policy: string): boolean;
  onStep(vip: string, step: Step): void;
  onEnd(e: Experiment): void;
  /** Its file holds less than was measured, until it is written again. */
  onUnsaved(e: Experiment, error: Error): void;
}

/**
 * Why a policy decides: it is ordered or configured; an experiment's arm; the reference, so that there is something to compare with; it or the
 * reference, while it is found out whether the policy does harm; the reference, for the policy stepped down.
 */
export type TurnOf = "order" | "experiment" | "comparison" | "suspicion" | "guardrail";

export interface Turn {
  policy: string;
  of: TurnOf;
  /** Goes along unseen: so that it is warm when its turn comes, or because somebody wants to see it. */
  shadow: string;
}

interface OfVip {
  shadow: string;
  experiment: Experiment | null;
  guardrail: Guardrail;
  /** What is tried while the guardrail finds out: an experiment's arm keeps its turn until then. */
  suspect: string;
  heardAt: Map<string, number>;
  /** By load balancer: what is ordered or configured there. */
  wanted: Map<string, string>;
}

/** What another replica says of a VIP's experiment. */
export interface Share {
  replica: string;
  spec: ExperimentSpec;
  standing: Pick<Standing, "verdict" | "why" | "endedAt">;
  blocks: readonly Block[];
  /** How many it has. */
  pairs: number;
  /** Some of them, from number `from` on. */
  from: number;
  given: readonly Pair[];
}

/** What the file of an experiment holds. */
interface KeptExperiment {
  spec: ExperimentSpec;
  pairs: Pair[];
  standing: Standing;
}

const leads = (a: Pick<Share, "replica" | "pairs">, b: Pick<Share, "replica" | "pairs">): boolean =>
  a.pairs > b.pairs || (a.pairs === b.pairs && a.replica < b.replica);

export class Trials {
  readonly #vips = new Map<string, OfVip>();

  constructor(private readonly o: TrialsOptions) {}

  /** Goes on with the experiments that were running when this process ended. */
  restore(unixMs: number, failed: (file: string, e: Error) => void): void {
    if (!existsSync(this.o.folder)) return;
    for (const name of readdirSync(this.o.folder).filter((f) => f.endsWith(".json"))) {
      try {
        const kept = JSON.parse(readFileSync(path.join(this.o.folder, name), "utf8")) as KeptExperiment;
        if (kept.standing.verdict !== "running") continue;
        const e = new Experiment(kept.spec);
        for (const pair of kept.pairs) e.take(pair, unixMs);
        this.#of(kept.spec.vip).experiment = e;
      } catch (e) {
        failed(name, e as Error);
      }
    }
  }

  /** `wanted`: what is ordered or configured at a load balancer. An order of another policy ends an experiment: who gives it wants it obeyed. */
  turn(vip: string, instance: string, wanted: string, unixMs: number): Turn {
    const of = this.#vips.get(vip);
    if (!of) return { policy: wanted, of: "order", shadow: "" };
    const { experiment, guardrail } = of;
    const before = of.wanted.get(instance) ?? wanted;
    of.wanted.set(instance, wanted);
    if (before !== wanted) {
      this.#said(vip, guardrail.acquit(unixMs, `policy ${wanted} was ordered before it was known`));
      if (experiment?.running) this.#stop(experiment, `policy ${wanted} was ordered`, unixMs);
    }
    const learned = this.o.learned(wanted);
    if (guardrail.down(unixMs) && learned) return { policy: REFERENCE, of: "guardrail", shadow: wanted };
    if (guardrail.suspects && learned) {
      const tried = experiment?.running ? of.suspect : wanted;
      if (guardrail.referenceAt(unixMs)) return { policy: REFERENCE, of: "suspicion", shadow: tried };
      return { policy: tried, of: "suspicion", shadow: of.shadow === tried ? "" : of.shadow };
    }
    const arm = experiment?.armAt(unixMs);
    if (experiment && arm) {
      const policy = experiment.policyOf(arm);
      return { policy, of: "experiment", shadow: experiment.policyOf(arm === "candidate" ? "baseline" : "candidate") };
    }
    if (learned && guardrail.referenceAt(unixMs)) return { policy: REFERENCE, of: "comparison", shadow: wanted };
    return { policy: wanted, of: "order", shadow: of.shadow === wanted ? "" : of.shadow };
  }

  /** Counts of a VIP at one load balancer; `counts` is asked for only when they are due. */
  hear(vip: string, instance: string, wanted: string, unixMs: number, counts: () => GuardCounts): void {
    const learned = this.o.learned(wanted);
    if (!learned && !this.#vips.get(vip)?.experiment?.running) return;
    if (!this.#vips.has(vip) && this.#vips.size >= MAX_VIPS) return;
    const of = this.#of(vip);
    if (unixMs - (of.heardAt.get(instance) ?? 0) < HEAR_MS) return;
    of.heardAt.set(instance, unixMs);
    const c = counts();
    const { experiment, guardrail } = of;
    const arm = experiment?.armAt(unixMs);
    const ruling = experiment && arm ? experiment.policyOf(arm) : wanted;
    if (!guardrail.suspects) this.#experiment(of, instance, c, unixMs);
    if (!learned) return;
    if (!guardrail.suspects) of.suspect = ruling;
    const steps = guardrail.hear(instance, c, unixMs, this.o.learned(ruling));
    const down = steps.find((s) => s.kind === "down");
    if (down && of.experiment?.running) {
      of.experiment.end("tripped", down.evidence, unixMs);
      this.#keep(of.experiment);
      this.o.onEnd(of.experiment);
    }
    this.#said(vip, steps);
  }

  /** Of a policy that stepped down, for whoever steers next. */
  guardrailMemory(vip: string, unixMs: number): GuardrailMemory | null {
    return this.#vips.get(vip)?.guardrail.memory(unixMs) ?? null;
  }

  /** A load balancer brings what the replica that steered it before found. */
  recall(vip: string, memory: GuardrailMemory, unixMs: number): void {
    if (this.#vips.has(vip) || this.#vips.size < MAX_VIPS) this.#said(vip, this.#of(vip).guardrail.recall(memory, unixMs));
  }

  /** How the guardrail of a VIP stands; null: no learned policy is wanted, so nothing is watched. */
  guardrailAt(vip: string, unixMs: number): GuardrailNow | null {
    const of = this.#vips.get(vip);
    if (!of || ![...of.wanted.values()].some((p) => this.o.learned(p))) return null;
    return of.guardrail.now(unixMs);
  }

  /** VIPs that something is known of. */
  get vips(): readonly string[] {
    return [...this.#vips.keys()];
  }

  setShadow(vip: string, policy: string): string {
    const of = this.#of(vip);
    const before = of.shadow;
    of.shadow = policy;
    return before;
  }

  start(spec: ExperimentSpec): Experiment {
    const of = this.#of(spec.vip);
    // Told twice: by whoever starts it, and by another replica that was told before.
    if (of.experiment?.running && of.experiment.spec.id === spec.id) return of.experiment;
    if (of.experiment?.running)
      throw new ServiceError("FAILED_PRECONDITION", `vip: an experiment runs already on ${spec.vip}: ${of.experiment.spec.id}`);
    const e = new Experiment(spec);
    this.#save(e);
    of.experiment = e;
    return e;
  }

  /** `why`: who stops it, and the reason. */
  stop(vip: string, why: string, unixMs: number): Experiment {
    const e = this.#vips.get(vip)?.experiment;
    // Told twice: another replica said so a moment ago.
    if (e && e.standing().verdict === "stopped" && unixMs - e.standing().endedAt < TWICE_MS) return e;
    if (!e?.running) throw new ServiceError("FAILED_PRECONDITION", `vip: no experiment runs on ${vip}`);
    this.#stop(e, why, unixMs);
    return e;
  }

  /** False: its policy has not stepped down here, and is not suspected. */
  resume(vip: string, why: string, unixMs: number): boolean {
    const steps = this.#vips.get(vip)?.guardrail.resume(unixMs, why) ?? [];
    this.#said(vip, steps);
    return steps.length > 0;
  }

  /** Of the pairs the one before the next, too: that two replicas have the same ones shows there. */
  wantsFrom(vip: string): number {
    return Math.max(0, (this.#vips.get(vip)?.experiment?.pairs.length ?? 0) - 1);
  }

  /**
   * What the other replicas that answer say of a VIP's experiment. One that was not told of an experiment learns of it here. The one that
   * has most pairs leads, of several the one whose name comes first: a replica that was started anew first has what the others have.
   */
  others(vip: string, self: string, shares: readonly Share[], unixMs: number): void {
    this.#join(vip, shares);
    const e = this.#vips.get(vip)?.experiment;
    if (!e?.running) return;
    const here = shares.filter((s) => s.spec.id === e.spec.id);
    for (const s of here) e.told(s.replica, s.blocks);
    const before = e.pairs.length;
    const lead = here.reduce<Share | null>((best, s) => (leads(s, best ?? { replica: self, pairs: before }) ? s : best), null);
    e.lead = lead === null;
    if (lead) e.follow(lead.from, lead.given, unixMs);
    else e.close(unixMs);
    const ended = here.find((s) => s.standing.verdict !== "running")?.standing;
    if (ended) e.end(ended.verdict as Exclude<Verdict, "running">, ended.why, ended.endedAt);
    if (e.pairs.length !== before || !e.running) this.#keep(e);
    if (!e.running) this.o.onEnd(e);
  }

  of(vip: string): Pick<OfVip, "shadow" | "experiment" | "guardrail"> | undefined {
    return this.#vips.get(vip);
  }

  #said(vip: string, steps: readonly Step[]): void {
    for (const step of steps) this.o.onStep(vip, step);
  }

  #join(vip: string, shares: readonly Share[]): void {
    const mine = this.#vips.get(vip)?.experiment;
    const running = shares.filter((s) => s.standing.verdict === "running" && s.spec.id !== mine?.spec.id);
    const newest = running.reduce<Share | null>((a, s) => (a && a.spec.startedAt >= s.spec.startedAt ? a : s), null);
    if (!newest || mine?.running) return;
    if (mine && mine.spec.startedAt >= newest.spec.startedAt) return;
    if (![newest.spec.candidate, newest.spec.baseline].every((p) => this.o.has(p))) return;
    const e = new Experiment(newest.spec);
    this.#of(vip).experiment = e;
    this.#keep(e);
  }

  #stop(e: Experiment, why: string, unixMs: number): void {
    e.end("stopped", why, unixMs);
    this.#keep(e);
    this.o.onEnd(e);
  }

  #experiment(of: OfVip, instance: string, counts: GuardCounts, unixMs: number): void {
    const e = of.experiment;
    if (!e?.running) return;
    const before = e.pairs.length;
    e.hear(instance, counts, unixMs);
    if (e.pairs.length > before || !e.running) this.#keep(e);
    if (!e.running) this.o.onEnd(e);
  }

  #of(vip: string): OfVip {
    let of = this.#vips.get(vip);
    if (!of) {
      if (this.#vips.size >= MAX_VIPS) throw new ServiceError("RESOURCE_EXHAUSTED", `vip: ${MAX_VIPS} VIPs are watched`);
      const { guardShare: share, guardLearnS: learnS } = this.o;
      const guardrail = new Guardrail({ share, blockMs: GUARD_BLOCK_MS, seed: GUARD_SEED, learnS });
      of = { shadow: "", experiment: null, guardrail, suspect: "", heardAt: new Map(), wanted: new Map() };
      this.#vips.set(vip, of);
    }
    return of;
  }

  /** For what goes on in any case: a disk that takes nothing costs the file and neither the frame's answer nor the operator's stop. */
  #keep(e: Experiment): void {
    try {
      this.#save(e);
    } catch (error) {
      this.o.onUnsaved(e, error as Error);
    }
  }

  /** Whole at every moment. */
  #save(e: Experiment): void {
    const kept: KeptExperiment = { spec: e.spec, pairs: e.pairs, standing: e.standing() };
    mkdirSync(this.o.folder, { recursive: true });
    const file = path.join(this.o.folder, `${e.spec.vip}-${e.spec.id}.json`);
    writeFileSync(`${file}.next`, `${JSON.stringify(kept, null, 1)}\n`);
    renameSync(`${file}.next`, file);
  }
}
