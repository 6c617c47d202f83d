// SPDX-License-Identifier: Apache-2.0
// What is known about a running instance at this moment, turned into lines. It keeps, the table formats.
import type { StreamStatsResponse__Output as Stats } from "../../../gen/marllb/v1/StreamStatsResponse.js";
import { jain } from "../../common/native/figures.js";
import type { Plan } from "./launch-plan.js";
import { type Extra, plainLine, table } from "./table.js";

const averagedOver = 20;

export class View {
  #byVip = new Map<string, { lb: string; s: Stats }>();
  #demo: Extra["demo"] = new Map();
  #load: Extra["load"];
  #deaths = new Map<string, number>();
  #loads: number[][] = [];

  plan(plan: Plan): void {
    if (!plan.demo) return;
    const { cores } = plan.demo;
    for (const [i, s] of (plan.config.vips[0]?.servers ?? []).entries()) {
      this.#demo.set(s.address, { name: `demo-${i + 1}`, cores: cores[i] as number });
    }
  }

  died(name: string): void {
    this.#deaths.set(name, (this.#deaths.get(name) ?? 0) + 1);
  }

  load(report: Record<string, unknown>): void {
    if (report.whole !== true) this.#load = report as unknown as Extra["load"];
  }

  /** `lb`: which load balancer says so. */
  stats(lb: string, s: Stats): void {
    this.#byVip.set(`${lb}/${s.vip?.vip_id ?? 0}`, { lb, s });
    const loads = s.servers.flatMap((v) => {
      const demo = this.#demo.get(v.address);
      return demo ? [v.flows / demo.cores] : [];
    });
    if (loads.length > 0) this.#loads = [...this.#loads.slice(1 - averagedOver), loads];
  }

  lines(colour: boolean): string[] {
    const extra = this.#extra(colour);
    const all = [...this.#byVip.values()].sort((a, b) => a.lb.localeCompare(b.lb));
    const several = all.some((x) => x.lb !== all[0]?.lb);
    return all.flatMap(({ lb, s }) => ["", ...(several ? [lb] : []), ...table(s, extra)]);
  }

  line(s: Stats, seconds: number): string {
    return plainLine(s, this.#extra(false), seconds);
  }

  #extra(colour: boolean): Extra {
    const notes = [...this.#deaths].map(([name, n]) => `${name} died ${n === 1 ? "once" : `${n} times`} and was started again`);
    const jainLoad = this.#jainLoad();
    return {
      demo: this.#demo,
      notes,
      colour,
      ...(this.#load ? { load: this.#load } : {}),
      ...(jainLoad === undefined ? {} : { jainLoad }),
    };
  }

  #jainLoad(): number | undefined {
    const first = this.#loads[0];
    if (!first) return undefined;
    const same = this.#loads.filter((l) => l.length === first.length);
    return jain(first.map((_, i) => same.reduce((sum, l) => sum + (l[i] as number), 0)));
  }
}
