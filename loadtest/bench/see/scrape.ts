// SPDX-License-Identifier: Apache-2.0
// One agent that knows ten VIPs of 64 servers: how long Prometheus waits for its figures.
import { request } from "node:http";
import { freePort } from "../../../testbed/process.js";
import { Stack } from "../../../testbed/stack.js";
import { eventually, sleep } from "../../../testbed/wait.js";
import type { BenchOptions } from "../harness.js";
import { quantile, row } from "../row.js";

const VIPS = 10;
const SERVERS = 64;

/** Milliseconds from the request to the last byte, and the bytes. */
function timed(address: string): Promise<{ ms: number; text: Buffer }> {
  const [host, port] = address.split(":") as [string, string];
  const from = performance.now();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    request({ host, port, path: "/metrics", headers: { accept: "text/plain" } }, (r) => {
      r.on("data", (b: Buffer) => chunks.push(b));
      r.on("end", () => resolve({ ms: performance.now() - from, text: Buffer.concat(chunks) }));
    })
      .on("error", reject)
      .end();
  });
}

export async function scrape(o: BenchOptions): Promise<void> {
  const times = o.quick ? 100 : 400;
  o.progress(`see: ${times} scrapes of ${VIPS} VIPs x ${SERVERS} servers`);
  const address = (vip: number, i: number): string => `127.0.${10 + vip}.${1 + i}:9`;
  const lines: string[] = [];
  for (let v = 1; v < VIPS; v++) {
    lines.push(`vip web${v} 127.0.0.1:${await freePort()} mode sed`);
    for (let i = 0; i < SERVERS; i++) lines.push(`server vip web${v} ${address(v, i)}`);
  }
  const servers = Array.from({ length: SERVERS }, (_, i) => ({ address: address(0, i) }));
  const stack = await Stack.whole({ servers, lines, config: { health: { kind: "none" } } });
  try {
    const metrics = stack.metrics.get("shm-agent") as string;
    const series = /^marllb_server_flows\{/gm;
    const whole = async (): Promise<boolean> =>
      ((await timed(metrics)).text.toString().match(series)?.length ?? 0) === VIPS * SERVERS;
    await eventually("the agent knows every server", whole);
    await sleep(5000);
    const all: number[] = [];
    let text: Buffer = Buffer.alloc(0);
    for (let i = 0; i < times; i++) {
      const r = await timed(metrics);
      all.push(r.ms);
      text = r.text;
      await sleep(50);
    }
    const count = text
      .toString()
      .split("\n")
      .filter((l) => l !== "" && !l.startsWith("#")).length;
    const note = `${count} series, ${(text.length / 2 ** 20).toFixed(1)} MiB, p50 ${quantile(all, 0.5).value.toFixed(1)} ms`;
    o.report(row("see.metrics_scrape_ms_p99", "ms", "<= 20", quantile(all, 0.99), note));
  } finally {
    await stack.stop();
  }
}
