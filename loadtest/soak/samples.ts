// SPDX-License-Identifier: Apache-2.0
// What a process holds, over time: memory, descriptors, threads.
import { readdirSync } from "node:fs";
import { read, residentBytes, tasks } from "../../testbed/process.js";
import type { Point } from "./flat.js";

export interface Series {
  name: string;
  unit: string;
  /** What may grow, as a share of the median or in the unit, whichever is more. */
  share: number;
  least: number;
  points: Point[];
}

const MiB = 2 ** 20;

export class Samples {
  readonly series = new Map<string, Series>();

  add(t: number, process: string, pid: number, node: boolean): void {
    // V8 lets its heap grow before it collects; marllb-dp has no such excuse.
    this.#put(t, `${process}.memory`, "MiB", 0.1, node ? 24 : 3, residentBytes([pid]) / MiB);
    this.#put(t, `${process}.descriptors`, "", 0.1, 8, count(`/proc/${pid}/fd`) + workersDescriptors(pid));
    this.#put(t, `${process}.threads`, "", 0, 0.5, count(`/proc/${pid}/task`));
  }

  value(t: number, name: string, value: number): void {
    this.#put(t, name, "", 0, 0.5, value);
  }

  #put(t: number, name: string, unit: string, share: number, least: number, value: number): void {
    const have = this.series.get(name) ?? { name, unit, share, least, points: [] };
    have.points.push({ t, value });
    this.series.set(name, have);
  }
}

function count(folder: string): number {
  try {
    return readdirSync(folder).length;
  } catch {
    return 0;
  }
}

/** A worker of marllb-dp has a descriptor table of its own, which /proc shows by its thread. */
function workersDescriptors(pid: number): number {
  let sum = 0;
  for (const tid of tasks(pid)) {
    if (tid === String(pid) || !/^marllb-\d+$/.test(read(`/proc/${pid}/task/${tid}/comm`).trim())) continue;
    sum += count(`/proc/${pid}/task/${tid}/fd`);
  }
  return sum;
}
