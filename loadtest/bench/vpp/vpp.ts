// SPDX-License-Identifier: Apache-2.0
// One VPP for a benchmark: packet generator in, sixteen or more servers out, clocks of nodes from `show runtime`.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { projectRoot } from "../../../services/common/root.js";

export interface Vpp {
  dir: string;
  child: { pid: number };
  cli(command: string): Promise<string>;
  config(commands: string[]): Promise<string>;
  stop(): Promise<unknown>;
}
interface Packet {
  src: string;
  dst: string;
  udp?: true;
  tcp?: string;
  sport: number;
  dport: number;
  payload?: Buffer;
}
export interface Modules {
  findVpp(): { prefix: string; missing?: undefined } | { missing: string };
  buildVpp(o: { prefix: string; name?: string; flags?: string[] }): Promise<string>;
  Vpp: { start(o: Record<string, unknown>): Promise<Vpp> };
  build(p: Packet, o: { dmac: string }): Buffer;
  toPcap(frames: Buffer[]): Buffer;
}

const load = async <T>(file: string): Promise<T> => (await import(pathToFileURL(path.join(projectRoot, file)).href)) as T;
export const mac = "02:fe:00:00:00:01";
const serversMac = "02:fe:00:00:00:02";

export async function modules(): Promise<Modules> {
  return {
    ...(await load<Modules>("scripts/build-vpp.mjs")),
    ...(await load<Modules>("vpp-plugin/test/lib/vpp.mjs")),
    ...(await load<Modules>("vpp-plugin/test/lib/packet.mjs")),
  };
}

/** Why VPP is absent here, or undefined. */
export async function absent(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "needs root, to give VPP's worker a core of its own";
  if (os.availableParallelism() < 2) return "needs two cores: VPP's main thread and a worker";
  return (await modules()).findVpp().missing;
}

/**
 * VPP whose first worker the scheduler does not take its core from, where it has one alone; servers of both families behind pg1.
 * flags: CMake's.
 */
export async function start(servers: number, o: { name?: string; flags?: string[]; workers?: number } = {}): Promise<Vpp> {
  const m = await modules();
  const found = m.findVpp();
  if (found.missing !== undefined) throw new Error(found.missing);
  const { workers = 1, ...build } = o;
  const pluginDir = await m.buildVpp({ prefix: found.prefix, ...build });
  const v = await m.Vpp.start({ prefix: found.prefix, pluginDir, workers, plugins: ["lb_plugin.so"] });
  if (workers === 1) favour(v);
  await v.config([
    `create packet-generator interface pg0 hw-addr ${mac}`,
    `create packet-generator interface pg1 hw-addr ${serversMac}`,
    "set interface ip address pg0 10.0.0.1/24",
    "set interface ip address pg1 10.2.0.1/16",
    "set interface ip address pg0 fd00:1::1/64",
    "set interface ip address pg1 fd00:2::1/64",
    "set interface state pg0 up",
    "set interface state pg1 up",
    ...[...serverList(servers), ...serverList(servers, true)].map(
      (s, i) => `ip neighbor pg1 ${s} 02:00:00:00:${hex((i % servers) >> 8)}:${hex((i % servers) & 255)}`,
    ),
  ]);
  return v;
}

/**
 * Keeps the scheduler from giving the worker's core to anybody else; where real-time scheduling is forbidden (a container), gives VPP
 * as much of it as nice values do. Medians of the measurements then stand for what an undisturbed worker takes.
 */
export function favour(v: Vpp): void {
  const tasks = `/proc/${v.child.pid}/task`;
  const worker = readdirSync(tasks).find((t) => readFileSync(`${tasks}/${t}/comm`, "utf8").startsWith("vpp_wk"));
  if (!worker) return;
  try {
    execFileSync("chrt", ["-f", "-p", "50", worker], { stdio: "pipe" });
  } catch {
    execFileSync("renice", ["-n", "-20", "-p", worker], { stdio: "pipe" });
    const group = `/proc/${v.child.pid}/autogroup`;
    if (existsSync(group)) writeFileSync(group, "-20");
  }
}

const hex = (x: number): string => x.toString(16).padStart(2, "0");
export const serverList = (n: number, six = false): string[] =>
  Array.from({ length: n }, (_, i) => (six ? `fd00:2::1:${i.toString(16)}` : `10.2.${1 + (i >> 8)}.${i & 255}`));

/**
 * Frames of n flows to a VIP, in an order without locality: 64 bytes of IPv4, 84 of IPv6, checksum included. server: its UDP replies to
 * them instead, in the same order.
 */
export async function flowFrames(vip: string, n: number, tcp?: string, server?: string): Promise<Buffer[]> {
  const m = await modules();
  const frames: Buffer[] = [];
  const from = (i: number): string =>
    vip.includes(":") ? `fd00:3::${(i >> 12).toString(16)}:1` : `172.${16 + (i >> 20)}.${(i >> 12) & 255}.1`;
  for (let i = 0; i < n; i++) {
    const ask: Packet = { src: from(i), dst: vip, sport: 1024 + (i & 4095), dport: 80 };
    const p = server === undefined ? ask : { src: server, dst: ask.src, sport: ask.dport, dport: ask.sport };
    frames.push(
      m.build(tcp === undefined ? { ...p, udp: true, payload: Buffer.alloc(18) } : { ...p, tcp, payload: Buffer.alloc(6) }, {
        dmac: server === undefined ? mac : serversMac,
      }),
    );
  }
  let seed = 12345;
  for (let i = n - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    const j = seed % (i + 1);
    [frames[i], frames[j]] = [frames[j] as Buffer, frames[i] as Buffer];
  }
  return frames;
}

export function writePcap(v: Vpp, m: Modules, name: string, frames: Buffer[]): string {
  const file = `${v.dir}/${name}.pcap`;
  writeFileSync(file, m.toPcap(frames));
  return file;
}

/** Frames of n flows as a stream that repeats for ever. */
export async function stream(v: Vpp, name: string, vip: string, n: number, tcp?: string): Promise<void> {
  const file = writePcap(v, await modules(), name, await flowFrames(vip, n, tcp));
  await v.config([`packet-generator new name ${name} limit -1 node ethernet-input interface pg0 worker 0 pcap ${file}`]);
}

export interface NodeClocks {
  clocks: number;
  vectors: number;
}

/** Runs a stream for ms and gives each busy node's clocks a packet. */
export async function measure(v: Vpp, name: string, ms: number, warmMs = 50): Promise<Map<string, NodeClocks>> {
  await v.cli(`packet-generator enable ${name}`);
  await sleep(warmMs);
  await v.cli("clear runtime");
  await sleep(ms);
  const text = await v.cli("show runtime");
  await v.cli(`packet-generator disable ${name}`);
  const out = new Map<string, NodeClocks>();
  for (const line of text.split("\n")) {
    const f = line.trim().split(/\s+/);
    const [clocks, vectors] = [Number(f.at(-2)), Number(f.at(-4))];
    if (f.length >= 7 && vectors > 1000 && Number.isFinite(clocks)) out.set(f[0] as string, { clocks, vectors });
  }
  return out;
}

export const sum = (m: Map<string, NodeClocks>, nodes: string[]): number =>
  nodes.reduce((a, n) => a + (m.get(n)?.clocks ?? 0), 0);

/** The median of three short windows: what else runs on the machine spoils one of them at most. */
export async function steady(window: () => Promise<number>): Promise<number> {
  const clocks: number[] = [];
  for (let i = 0; i < 3; i++) clocks.push(await window());
  return clocks.sort((a, b) => a - b)[1] as number;
}

/** Of the clock that `show runtime` counts. */
export async function clockHz(v: Vpp): Promise<number> {
  const m = /([\d.]+) GHz/i.exec(await v.cli("show cpu"));
  if (!m) throw new Error("VPP does not say its clock's frequency (show cpu)");
  return Number(m[1]) * 1e9;
}
