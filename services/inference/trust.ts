// SPDX-License-Identifier: Apache-2.0
// The RPCs of shadow, experiment and guardrail.
import type { InferenceHandlers } from "../../gen/marllb/v1/Inference.js";
import type { ShadowStatus } from "../../gen/marllb/v1/ShadowStatus.js";
import type { StartExperimentRequest__Output } from "../../gen/marllb/v1/StartExperimentRequest.js";
import { type Caller, callerName, invalid, ServiceError, unary } from "../common/grpc/errors.js";
import { decodeFrame } from "../common/native/frame.js";
import type { ExperimentSpec } from "../common/trial/experiment.js";
import type { Catalog } from "./catalog.js";
import { experimentMessage, guardrailMessage, shareMessage } from "./experiment-messages.js";
import type { Steering, Stream } from "./steering.js";
import type { Trials } from "./trials.js";
import type { ShadowOfVip, TrustOfVip } from "./trust-metrics.js";

export interface TrustOptions {
  trials: Trials;
  steering: Pick<Steering, "ofVip">;
  catalog: Catalog;
  unixMs(): number;
  /** This process's name among the replicas. */
  replica: string;
}

type Handlers = Pick<
  InferenceHandlers,
  "SetShadow" | "StartExperiment" | "StopExperiment" | "ShareExperiment" | "ResumePolicy" | "GetTrust"
>;

/** A load balancer is heard twice a second, and twice at least in the part of a block that counts. */
const MIN_BLOCK_MS = 2000;
const MAX_BLOCK_MS = 3_600_000;
const LONGEST_MS = 30 * 86_400_000;
/** Clocks differ, and a start lies a little ahead so that every replica has heard of it. */
const NEAR_MS = 600_000;

/** Of a reason, in characters. */
const REASON = 500;

const whoAndWhy = ({ reason }: { reason: string }, caller: Caller): string =>
  `by ${callerName(caller)}${reason === "" ? "" : `: ${reason.slice(0, REASON)}`}`;

/** A name makes a file and a series. */
function nameOf(field: string, text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(text)) return text;
  throw invalid(
    field,
    `expected 1 to 63 letters, digits, '.', '_' or '-', a letter or digit first, found "${text.slice(0, 80)}"`,
  );
}

export function trustHandlers({ trials, steering, catalog, unixMs, replica }: TrustOptions): Handlers {
  return {
    SetShadow: unary((r) => {
      const policy = r.policy === "" ? "" : catalog.need(r.policy).name;
      return { previous: trials.setShadow(nameOf("vip", r.vip), policy) };
    }),
    StartExperiment: unary((r, caller) => {
      const who = { by: callerName(caller), reason: r.reason.slice(0, REASON) };
      return { id: trials.start({ ...specOf(r, catalog, unixMs()), ...who }).spec.id };
    }),
    StopExperiment: unary((r, caller) => ({
      experiment: experimentMessage(trials.stop(nameOf("vip", r.vip), whoAndWhy(r, caller), unixMs())),
    })),
    ResumePolicy: unary((r, caller) => ({ resumed: trials.resume(nameOf("vip", r.vip), whoAndWhy(r, caller), unixMs()) })),
    ShareExperiment: unary((r) => shareMessage(replica, trials.of(nameOf("vip", r.vip))?.experiment ?? null, r.pairs_from)),
    GetTrust: unary((r) => {
      const of = trials.of(nameOf("vip", r.vip));
      const streams = steering.ofVip(r.vip);
      if (!of && streams.length === 0) throw new ServiceError("NOT_FOUND", `vip: nobody steers ${r.vip} here`);
      return {
        shadows: streams.flatMap((s) => shadowMessage(s, of?.shadow ?? "")),
        experiment: of?.experiment ? experimentMessage(of.experiment) : null,
        guardrail: guardrailMessage(trials.guardrailAt(r.vip, unixMs()), of?.guardrail.steps ?? []),
        policy: streams[0]?.session.policyName ?? "",
        turn_of: streams[0]?.beside.turnOf ?? "",
        wanted: streams[0]?.beside.wanted ?? "",
        instances: [...new Set(streams.map((s) => s.instance))],
      };
    }),
  };
}

/** Of the VIPs that are steered here. */
export function trustOfVips(streams: Iterable<Stream>, trials: Trials, at: number): TrustOfVip[] {
  return [...new Set([...streams].map((s) => s.beside.vip))].map((vip) => ({
    vip,
    guardrail: trials.guardrailAt(vip, at),
    experiment: trials.of(vip)?.experiment ?? null,
  }));
}

/** Of a stream; none, or one that has decided nothing yet, is no figure. */
export function shadowOf({ session: { shadow }, beside: { vip }, instance }: Stream): ShadowOfVip[] {
  if (!shadow?.latest) return [];
  const { name: policy, costMs: cpuMs } = shadow;
  return [{ vip, loadBalancer: instance, policy, distance: shadow.latest.distance, cpuMs }];
}

function specOf(r: StartExperimentRequest__Output, catalog: Catalog, now: number): Omit<ExperimentSpec, "by" | "reason"> {
  const between = (field: string, v: number, low: number, high: number): number => {
    if (v >= low && v <= high) return v;
    throw invalid(field, `expected ${low} to ${high}, found ${v}`);
  };
  const startedAt = between("started_at_unix_ms", Number(r.started_at_unix_ms), now - NEAR_MS, now + NEAR_MS);
  const deadline = between("deadline_unix_ms", Number(r.deadline_unix_ms), now, now + LONGEST_MS);
  const candidate = catalog.need(r.candidate).name;
  const baseline = catalog.need(r.baseline).name;
  return {
    id: nameOf("id", r.id),
    vip: nameOf("vip", r.vip),
    candidate,
    baseline,
    share: between("share", r.share, 0.05, 0.95),
    startedAt,
    blockMs: between("block_ms", r.block_ms, MIN_BLOCK_MS, MAX_BLOCK_MS),
    seed: r.seed,
    deadline,
  };
}

/** None where none is wanted and none goes along for an experiment. */
function shadowMessage({ session, beside, instance }: Stream, wanted: string): ShadowStatus[] {
  const { shadow, last } = session;
  const policy = shadow?.name ?? wanted;
  if (policy === "") return [];
  const latest = shadow?.latest;
  const names = last ? decodeFrame(last.frame).addresses() : [];
  const addresses = new Map(Array.from(last?.ids ?? [], (id, i) => [id, names[i] ?? ""]));
  return [
    {
      instance,
      policy,
      cut: beside.whyNoShadow(policy),
      cost_ms: shadow?.costMs ?? 0,
      steps: shadow?.steps ?? 0,
      distance: latest?.distance ?? 0,
      shares: latest
        ? Array.from(latest.ids, (id, i) => ({ address: addresses.get(id) ?? "", share: latest.shares[i] ?? 0 }))
        : [],
    },
  ];
}
