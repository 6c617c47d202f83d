// SPDX-License-Identifier: Apache-2.0
// Runs policies: what several load balancers ask for at about the same time goes through a model in one run.
import type { Observation, Output, Policy } from "./policy.js";

interface Job {
  observation: Observation;
  state: Float32Array;
  resolve(output: Output): void;
  reject(error: unknown): void;
}

/** From so many open streams on a decision waits for others; below, the answer's delay counts more. */
const CROWD = 8;
const MAX_BATCH = 64;

export class Batcher {
  private readonly waiting = new Map<Policy, Job[]>();
  private scheduled = false;

  constructor(
    /** How long a job waits for others at most. */
    public waitMs: number,
    private readonly streams: () => number,
  ) {}

  decide(policy: Policy, observation: Observation, state: Float32Array): Promise<Output> {
    return new Promise((resolve, reject) => {
      const jobs = this.waiting.get(policy) ?? [];
      jobs.push({ observation, state, resolve, reject });
      this.waiting.set(policy, jobs);
      if (policy.kind === "builtin" || this.streams() < CROWD || jobs.length >= MAX_BATCH) {
        this.waiting.delete(policy);
        void this.run(policy, jobs);
      } else if (!this.scheduled) {
        this.scheduled = true;
        if (this.waitMs > 0) setTimeout(() => this.flush(), this.waitMs);
        else setImmediate(() => this.flush());
      }
    });
  }

  private flush(): void {
    this.scheduled = false;
    const all = [...this.waiting];
    this.waiting.clear();
    for (const [policy, jobs] of all) void this.run(policy, jobs);
  }

  private async run(policy: Policy, jobs: Job[]): Promise<void> {
    try {
      const outputs = await policy.decide(
        jobs.map((j) => j.observation),
        jobs.map((j) => j.state),
      );
      jobs.forEach((j, i) => {
        j.resolve(outputs[i] as Output);
      });
    } catch (e) {
      for (const j of jobs) j.reject(e);
    }
  }
}
