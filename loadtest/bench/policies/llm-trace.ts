// SPDX-License-Identifier: Apache-2.0
// Requests to a pool that serves language models, drawn from published distributions.
//
// 60 % conversation, 40 % code. Numbers of tokens are lognormal; their medians are those of the Azure traces of November 2023 (Patel et al.,
// "Splitwise: Efficient generative LLM inference using phase splitting", ISCA 2024): prompts 1020 and 1500, answers 129 and 13. The sigmas
// are ours. Arrivals come in bursts: gamma distributed intervals, as BurstGPT models them (Wang et al., "BurstGPT: A real-world workload dataset
// to optimize LLM serving systems", KDD 2025), with a coefficient of variation of 2. A prompt's token costs .2 ms and an answer's 25 ms of a place
// in a batch: some 4 s a request on average, minutes for the longest.
import { type Random, random } from "../../demo/random.js";

const kinds = [
  { share: 0.6, prompt: { median: 1020, sigma: 1 }, answer: { median: 129, sigma: 1.1 } },
  { share: 0.4, prompt: { median: 1500, sigma: 0.9 }, answer: { median: 13, sigma: 1.2 } },
] as const;
const promptTokenMs = 0.2;
const answerTokenMs = 25;
const mostTokens = 16_384;
const variation = 2;

function normal(u: Random): number {
  return Math.sqrt(-2 * Math.log(1 - u())) * Math.cos(2 * Math.PI * u());
}

/** Gamma with this shape and mean (Marsaglia, Tsang 2000; shapes below 1 by the power of a uniform). */
export function gamma(u: Random, shape: number, mean: number): number {
  const boosted = shape < 1 ? shape + 1 : shape;
  const d = boosted - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(u);
    const v = (1 + c * x) ** 3;
    if (v <= 0 || Math.log(1 - u()) > 0.5 * x * x + d - d * v + d * Math.log(v)) continue;
    return ((d * v * (shape < 1 ? (1 - u()) ** (1 / shape) : 1)) / shape) * mean;
  }
}

function tokens(u: Random, of: { median: number; sigma: number }): number {
  return Math.min(mostTokens, Math.max(1, Math.round(of.median * Math.exp(of.sigma * normal(u)))));
}

function sizeMs(u: Random): number {
  const kind = u() < kinds[0].share ? kinds[0] : kinds[1];
  return tokens(u, kind.prompt) * promptTokenMs + tokens(u, kind.answer) * answerTokenMs;
}

/** Mean work of a request, ms, over many. */
export function meanSizeMs(): number {
  const u = random(1);
  const n = 200_000;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += sizeMs(u);
  return sum / n;
}

/** A trace for marllb-sim: lines of seconds and ms. */
export function llmTrace(seed: number, ratePerS: number, seconds: number): string {
  const u = random(seed);
  const lines = ["# seconds, size in ms of a place in a batch"];
  for (let t = gamma(u, 1 / variation ** 2, 1 / ratePerS); t < seconds; t += gamma(u, 1 / variation ** 2, 1 / ratePerS))
    lines.push(`${t.toFixed(6)} ${sizeMs(u).toFixed(2)}`);
  return `${lines.join("\n")}\n`;
}
