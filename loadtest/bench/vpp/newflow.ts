// SPDX-License-Identifier: Apache-2.0
// Clocks of a packet that makes a flow, by mode, at 64 and at 1024 servers; smallest packet at which a worker carries 10 Gbit/s.
import type { BenchOptions, Group } from "../harness.js";
import { mean, row } from "../row.js";
import { absent, measure, serverList, start, stream, sum } from "./vpp.js";

const modes = ["hash", "alias", "sed", "p2c"];
const counts = [64, 1024];

/** Every packet of the first pass over the stream makes a flow: the whole of it is measured, then VIP and flows go and come again. */
async function one(o: BenchOptions, servers: number): Promise<void> {
  const v = await start(servers);
  try {
    const n = 65536;
    await v.config([`lb rl set-shm ${v.dir}/shm`]);
    await stream(v, "fresh", "10.1.0.2", n);
    await v.config([`packet-generator configure fresh limit ${n}`]).catch(() => "");
    for (const mode of modes) {
      if (!o.wants(`vpp.newflow_clocks_${servers}.${mode}`)) continue;
      const samples: number[] = [];
      for (let i = 0; i < (o.quick ? 2 : 6); i++) {
        await v.config(["lb rl enable udp-timeout 3600", `lb rl set-vip b 10.1.0.2/32 l3dsr mode ${mode}`]);
        for (let at = 0, list = serverList(servers); at < list.length; at += 64)
          for (const s of list.slice(at, at + 64)) await v.cli(`lb rl add-server ${s}`);
        await v.cli("clear runtime");
        const m = await measureAll(v, n);
        samples.push(m);
        await v.cli("lb rl disable");
      }
      o.report(
        row(
          `vpp.newflow_clocks_${servers}.${mode}`,
          "clocks",
          "",
          mean(samples),
          `a packet that makes a UDP flow, L3 DSR, ${servers} servers`,
        ),
      );
    }
  } finally {
    await v.stop();
  }
}

async function measureAll(v: Awaited<ReturnType<typeof start>>, n: number): Promise<number> {
  await v.cli("packet-generator disable fresh");
  await v.cli(`packet-generator configure fresh limit ${n}`);
  await v.cli("packet-generator enable fresh");
  for (let i = 0; i < 100; i++) {
    const made = Number(/new (\d+), packets in/.exec(await v.cli("lb rl show stats"))?.[1] ?? 0);
    if (made >= n) break;
  }
  const text = await v.cli("show runtime");
  const f =
    text
      .split("\n")
      .find((l) => l.startsWith("lb-rl-ip4 "))
      ?.trim()
      .split(/\s+/) ?? [];
  return Number(f.at(-2));
}

async function tenGigabit(o: BenchOptions): Promise<void> {
  const v = await start(16);
  try {
    await v.config([
      `lb rl set-shm ${v.dir}/shm`,
      "lb rl enable udp-timeout 3600",
      "lb rl set-vip b 10.1.0.2/32 l3dsr",
      `lb rl set-servers ${serverList(16).join(" ")}`,
    ]);
    await stream(v, "rl", "10.1.0.2", 4096);
    await measure(v, "rl", 100, 200);
    const samples: number[] = [];
    for (let i = 0; i < 10; i++) {
      const m = await measure(v, "rl", 200);
      const hz = Number(/([\d.]+) GHz|([\d.]+)e9/.exec(await v.cli("show clock"))?.[1] ?? 0) || (await clockGHz(v));
      const all = sum(m, ["ethernet-input", "ip4-input", "ip4-lookup", "lb-rl-ip4", "ip4-rewrite", "pg1-output"]);
      samples.push(1e10 / 8 / ((hz * 1e9) / all));
    }
    o.report(
      row(
        "vpp.min_packet_10g",
        "B",
        "",
        mean(samples),
        "clocks of all nodes from ethernet-input to the interface, without a NIC's driver; at the line, 20 B of gap included",
      ),
    );
  } finally {
    await v.stop();
  }
}

async function clockGHz(v: Awaited<ReturnType<typeof start>>): Promise<number> {
  const m = /([\d.]+) GHz/i.exec(await v.cli("show cpu"));
  if (!m) throw new Error("VPP does not say its clock's frequency (show cpu)");
  return Number(m[1]);
}

export const newflow: Group = {
  ids: [...counts.flatMap((c) => modes.map((m) => `vpp.newflow_clocks_${c}.${m}`)), "vpp.min_packet_10g"],
  async run(o) {
    const why = await absent();
    if (why !== undefined) {
      for (const id of this.ids) o.report(row(id, "clocks", "", null, why));
      return;
    }
    for (const c of counts)
      if (o.wants(`vpp.newflow_clocks_${c}`) || modes.some((m) => o.wants(`vpp.newflow_clocks_${c}.${m}`))) await one(o, c);
    if (o.wants("vpp.min_packet_10g")) await tenGigabit(o);
  },
};
