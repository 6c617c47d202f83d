// SPDX-License-Identifier: Apache-2.0
// How shadow, experiment and guardrail of each steered VIP stand, as gauges: read when they are scraped, and gone with the VIP.
import { type Registry, readGauge } from "../common/metrics.js";
import { type Experiment, VERDICTS } from "../common/trial/experiment.js";
import { type GuardrailNow, STATES } from "../common/trial/guardrail.js";
import { METRICS } from "../common/trial/measure.js";

export interface TrustOfVip {
  vip: string;
  /** null: no learned policy is wanted. */
  guardrail: GuardrailNow | null;
  experiment: Experiment | null;
}

export interface ShadowOfVip {
  vip: string;
  loadBalancer: string;
  policy: string;
  distance: number;
  cpuMs: number;
}

export interface TrustFigures {
  vips(): TrustOfVip[];
  shadows(): ShadowOfVip[];
}

/** What is not known yet is NaN, as a quantile of nothing is: the series is there from the beginning. */
const known = (v: number | null): number => (v !== null && Number.isFinite(v) ? v : Number.NaN);

export function trustMetrics(registry: Registry, f: TrustFigures): void {
  guardrailMetrics(registry, f);
  experimentMetrics(registry, f);
  const { shadows } = f;
  const shadowLabels = ["vip", "load_balancer", "policy"];
  readGauge(
    registry,
    "marllb_shadow_distance_ratio",
    "Share of the new flows that a shadow would send elsewhere",
    shadowLabels,
    (say) => {
      for (const s of shadows()) say({ vip: s.vip, load_balancer: s.loadBalancer, policy: s.policy }, s.distance);
    },
  );
  readGauge(registry, "marllb_shadow_step_cpu_seconds", "Mean CPU time of a shadow's step", shadowLabels, (say) => {
    for (const s of shadows()) say({ vip: s.vip, load_balancer: s.loadBalancer, policy: s.policy }, s.cpuMs / 1000);
  });
}

function guardrailMetrics(registry: Registry, { vips }: TrustFigures): void {
  const state = "1 for the state that the guardrail of a VIP is in; off: no learned policy is wanted";
  readGauge(registry, "marllb_guardrail_state", state, ["vip", "state"], (say) => {
    for (const { vip, guardrail } of vips())
      for (const s of ["off", ...STATES]) say({ vip, state: s }, Number(s === (guardrail?.state ?? "off")));
  });
  const stays: [name: string, help: string, of: (g: GuardrailNow) => number | null][] = [
    ["marllb_guardrail_stay_seconds", "Mean stay of flows in the last second, as the guardrail sees it", (g) => g.stayMs],
    ["marllb_guardrail_stay_usual_seconds", "Mean stay of flows in the ten minutes before", (g) => g.usualMs],
    ["marllb_guardrail_stay_limit_seconds", "Stay from which on a policy is suspected", (g) => g.limitMs],
  ];
  for (const [name, help, of] of stays)
    readGauge(registry, name, help, ["vip"], (say) => {
      for (const { vip, guardrail } of vips()) if (guardrail !== null) say({ vip }, known(of(guardrail)) / 1000);
    });
  const trial = "Trial of a suspected policy that runs, from 1 on; 0: none";
  readGauge(registry, "marllb_guardrail_trial", trial, ["vip"], (say) => {
    for (const { vip, guardrail } of vips()) if (guardrail !== null) say({ vip }, guardrail.trial);
  });
  const difference =
    "Flows' mean stay under the policy over that under the reference, less 1, by the standing comparison: mean and bounds";
  readGauge(registry, "marllb_guardrail_difference_ratio", difference, ["vip", "bound"], (say) => {
    for (const { vip, guardrail } of vips()) {
      if (guardrail === null) continue;
      const { n, mean, low, high } = guardrail.difference;
      const ratios = { low, mean: n > 0 ? mean : Number.NaN, high };
      for (const [bound, log] of Object.entries(ratios)) say({ vip, bound }, known(Math.expm1(known(log))));
    }
  });
}

function experimentMetrics(registry: Registry, { vips }: TrustFigures): void {
  const labels = ["vip", "candidate", "baseline"];
  const of = ({ spec }: Experiment) => ({ vip: spec.vip, candidate: spec.candidate, baseline: spec.baseline });
  const last = (): Experiment[] => vips().flatMap((v) => v.experiment ?? []);
  const verdict = "1 for the verdict of a VIP's last experiment; running: there is none yet";
  readGauge(registry, "marllb_experiment_verdict", verdict, [...labels, "verdict"], (say) => {
    for (const e of last()) for (const v of VERDICTS) say({ ...of(e), verdict: v }, Number(v === e.standing().verdict));
  });
  const effect = "The candidate's mean over the baseline's, less 1: mean and bounds of what is not refuted";
  readGauge(registry, "marllb_experiment_effect_ratio", effect, [...labels, "metric", "bound"], (say) => {
    for (const e of last()) {
      const { intervals } = e.standing();
      for (const metric of METRICS)
        for (const bound of ["low", "mean", "high"] as const) {
          const { n, [bound]: value } = intervals[metric];
          say({ ...of(e), metric, bound }, n > 0 ? known(value) : Number.NaN);
        }
    }
  });
  readGauge(registry, "marllb_experiment_pairs", "Pairs of blocks that a VIP's last experiment has measured", labels, (say) => {
    for (const e of last()) say(of(e), e.pairs.length);
  });
}
