// SPDX-License-Identifier: Apache-2.0
// The service's configuration, clock and log handed to what goes along with its streams.

import { identityOf } from "../common/native/frame.js";
import type { InputShape } from "../common/native/observe.js";
import type { ServiceContext } from "../common/run.js";
import type { BesideOptions } from "./beside.js";
import type { Catalog } from "./catalog.js";
import { DecisionLog } from "./decision-log.js";
import { Intake } from "./intake.js";
import type { InferenceMetrics } from "./metrics.js";
import { ticksOf } from "./replay.js";
import type { Session } from "./session.js";
import { Trials } from "./trials.js";

type Parts = Pick<ServiceContext, "config" | "clock" | "log"> & { catalog: Catalog; folder: string };

export function openTrials(o: Parts & { metrics: InferenceMetrics }): Trials {
  const { config, clock, log, catalog, metrics, folder } = o;
  const trials = new Trials({
    folder,
    guardShare: config.inference.guardrail_share,
    guardLearnS: config.inference.guardrail_learn_s,
    has: (policy) => catalog.has(policy),
    learned: (policy) => catalog.get(policy)?.kind === "onnx",
    onStep: (vip, { at, kind, evidence }) => {
      metrics.guardrail.inc({ vip, step: kind });
      log.warn({ vip, step: kind, at: new Date(at).toISOString(), evidence }, "guardrail");
    },
    onEnd: (e) => log.info({ vip: e.spec.vip, id: e.spec.id, ...e.standing() }, "experiment is over"),
    onUnsaved: (e, error) => log.warn({ vip: e.spec.vip, id: e.spec.id, reason: error.message }, "experiment not kept"),
  });
  trials.restore(clock.unixMs(), (file, e) => log.warn({ file, reason: e.message }, "experiment not read"));
  return trials;
}

const MIB = 1 << 20;
const SAID_MS = 60_000;

export function besideOptions(o: Parts & { trials: Trials; metrics: InferenceMetrics }): BesideOptions {
  const { config, clock, log, catalog, trials, metrics, folder } = o;
  const { file_mib, files } = config.inference.decisions;
  /** The last of each name. */
  const logs = new Map<string, DecisionLog>();
  /** When it was last said of each name that ticks are lost. */
  const said = new Map<string, number>();
  return {
    trials,
    catalog,
    tickMs: config.tick_ms,
    nowMs: clock.now,
    unixMs: clock.unixMs,
    cpuMs,
    openLog(instance, vip) {
      // Both come from outside: they name a file only where they are names.
      if (file_mib === 0 || ![instance, vip].every((n) => /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(n))) return null;
      const name = `${instance}-${vip}`;
      const failed = (e: Error): void => {
        metrics.logFailures.inc();
        const now = clock.now();
        if (now - (said.get(name) ?? Number.NEGATIVE_INFINITY) < SAID_MS) return;
        said.set(name, now);
        log.warn({ name, reason: e.message }, "ticks are missing in the decision log");
      };
      const wrote = (bytes: number): void => {
        metrics.logTicks.inc();
        metrics.logBytes.inc(undefined, bytes);
      };
      const options = { folder, maxBytes: file_mib * MIB, files, readable, failed, wrote };
      const opened = new DecisionLog(name, options, logs.get(name));
      logs.set(name, opened);
      return opened;
    },
    cut(vip, policy, why) {
      metrics.shadowsCut.inc({ vip });
      log.warn({ vip, policy, reason: why }, "shadow cut off");
    },
  };
}

function readable(file: string): boolean {
  try {
    for (const _ of ticksOf(file, identityOf)) return true;
    return true;
  } catch {
    return false;
  }
}

const LOOK_MS = 5000;

/** Models that come while the service runs. */
export function openIntake(o: Parts & { schemas: readonly InputShape[]; sessions(): Session[] }): { stop(): void } {
  const { config, clock, log, catalog, folder, schemas, sessions } = o;
  const intake = new Intake({
    folder,
    load: async (file) => (await import("./model.js")).loadModel(file, schemas),
    current: (name) => catalog.model(name),
    places: sessions,
    tickMs: config.tick_ms,
    nowMs: clock.now,
    cpuMs,
    allow(name, model) {
      const before = catalog.model(name)?.hash ?? "";
      catalog.install(name, model);
      log.warn({ model: name, hash: model.hash, before }, "a new model decides under this name");
    },
    refuse(name, file, reason) {
      catalog.refuse(name, file, reason);
      log.warn({ model: name, file, reason }, "a new model is refused");
    },
  });
  const look = (): void =>
    void intake.look().catch((e: Error) => log.warn({ folder, reason: e.message }, "the models' folder cannot be read"));
  const timers = [setInterval(look, LOOK_MS), setInterval(() => void intake.step(), config.tick_ms)];
  return { stop: () => timers.forEach(clearInterval) };
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
