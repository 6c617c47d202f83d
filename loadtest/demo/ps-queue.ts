// SPDX-License-Identifier: Apache-2.0
// A processor-sharing server as arithmetic: with n jobs, each is served at speed * min(1, cores / n). It burns no CPU and reads no
// clock, so the same code runs behind a real socket and in a test on virtual time.

export interface Job {
  /** What every job present has been served since the queue began, in ms, at the moment when this one is done. */
  readonly finish: number;
  readonly done: () => void;
  cancelled: boolean;
}

export class PsQueue {
  #jobs: Job[] = []; // binary heap by finish
  #present = 0; // jobs in the heap that are not cancelled
  #attained = 0;
  #last = 0;
  #speed: number;

  constructor(
    readonly cores: number,
    speed = 1,
  ) {
    if (!(cores > 0) || !(speed > 0)) throw new RangeError("cores and speed must be positive");
    this.#speed = speed;
  }

  get length(): number {
    return this.#present;
  }

  /** A job of so many milliseconds on one core enters; `done` is called by the `advance` that passes its end. */
  add(nowMs: number, sizeMs: number, done: () => void): Job {
    this.advance(nowMs);
    const job = { finish: this.#attained + Math.max(0, sizeMs), done, cancelled: false };
    this.#present++;
    this.#push(job);
    return job;
  }

  /** The client went away: its job stops taking service. */
  cancel(nowMs: number, job: Job): void {
    this.advance(nowMs);
    if (job.cancelled || job.finish <= this.#attained) return;
    job.cancelled = true;
    this.#present--;
  }

  setSpeed(nowMs: number, speed: number): void {
    if (!(speed > 0)) throw new RangeError("speed must be positive");
    this.advance(nowMs);
    this.#speed = speed;
  }

  /** Serves up to nowMs, job by job: each end changes the rate of the others. */
  advance(nowMs: number): void {
    const ended: Job[] = [];
    while (this.#present > 0) {
      this.#dropCancelled();
      const top = this.#jobs[0] as Job;
      const rate = this.#rate();
      const endMs = this.#last + (top.finish - this.#attained) / rate;
      if (endMs > nowMs) {
        this.#attained += (nowMs - this.#last) * rate;
        break;
      }
      this.#attained = top.finish;
      this.#last = endMs;
      this.#pop();
      this.#present--;
      ended.push(top);
    }
    this.#last = nowMs;
    for (const job of ended) job.done();
  }

  /** When the next job ends if nothing else happens; undefined while idle. */
  nextMs(): number | undefined {
    if (this.#present === 0) return undefined;
    this.#dropCancelled();
    return this.#last + ((this.#jobs[0] as Job).finish - this.#attained) / this.#rate();
  }

  #rate(): number {
    return this.#speed * Math.min(1, this.cores / this.#present);
  }

  #dropCancelled(): void {
    while (this.#jobs[0]?.cancelled) this.#pop();
  }

  #push(job: Job): void {
    const heap = this.#jobs;
    let i = heap.push(job) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if ((heap[parent] as Job).finish <= job.finish) break;
      heap[i] = heap[parent] as Job;
      i = parent;
    }
    heap[i] = job;
  }

  #pop(): void {
    const heap = this.#jobs;
    const last = heap.pop() as Job;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Job).finish < (heap[child] as Job).finish) child++;
      if ((heap[child] as Job).finish >= last.finish) break;
      heap[i] = heap[child] as Job;
      i = child;
    }
    heap[i] = last;
  }
}
