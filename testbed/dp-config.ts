// SPDX-License-Identifier: Apache-2.0
// The file that tests and benchmarks give marllb-dp: one VIP and its servers, and whatever else a test is about.

export interface DpConfig {
  region: string;
  control: string;
  instance?: string;
  threads: number;
  frameMs?: number;
  vip: { name: string; address: string; options?: string };
  /** ADDRESS:PORT, with its options behind it. */
  servers: readonly string[];
  lines?: readonly string[];
}

export function dpConfig(c: DpConfig): string {
  return [
    `region ${c.region}`,
    `control ${c.control}`,
    ...(c.instance === undefined ? [] : [`instance ${c.instance}`]),
    `threads ${c.threads}`,
    ...(c.frameMs === undefined ? [] : [`frame ${c.frameMs}ms`]),
    `vip ${c.vip.name} ${c.vip.address} ${c.vip.options ?? ""}`.trimEnd(),
    ...c.servers.map((s) => `server vip ${c.vip.name} ${s}`),
    ...(c.lines ?? []),
    "",
  ].join("\n");
}
