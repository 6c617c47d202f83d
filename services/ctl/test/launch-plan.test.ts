// SPDX-License-Identifier: Apache-2.0

import { spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import test from "ava";
import { Command } from "commander";
import { ConfigError, loadConfig, parseConfig } from "../../common/config/load.js";
import { knownKeys } from "../../common/config/schema-walk.js";
import { projectRoot } from "../../common/root.js";
import { dpLines } from "../dataplanes/embedded.js";
import { banner, consoleLine } from "../up/banner.js";
import { LaunchError } from "../up/error.js";
import { choosePorts, defaultConfig, effective, listeners } from "../up/launch-plan.js";
import { addLoadBalancers } from "../up/load-balancers.js";
import { type UpOptions, upFlags } from "../up/options.js";
import { freePort, requireFree, whyTaken } from "../up/ports.js";

function options(...flags: string[]): UpOptions {
  const command = upFlags(new Command("up"))
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  return command.parse(flags, { from: "user" }).opts<UpOptions>();
}

test("the shipped configuration is all defaults, written out", (t) => {
  const shipped = loadConfig(defaultConfig);
  const bare = parseConfig("vips: [{name: web, address: 127.0.0.1:8080}]");
  t.deepEqual(shipped, bare);
});

test("the shipped configuration names every key that there is", (t) => {
  const text = readFileSync(defaultConfig, "utf8");
  const walk = (path: (string | number)[]): string[] =>
    knownKeys(path).flatMap((key) => [key, ...walk([...path, key]), ...walk([...path, key, 0])]);
  const keys = new Set(walk([]));
  t.true(keys.size > 60 && keys.has("slow_start_ms") && keys.has("trust"));
  // Several of one name are told apart by eye; a key that is nowhere is what gets forgotten.
  for (const key of keys) t.regex(text, new RegExp(`\\b${key}(: |:$|\`)`, "m"));
});

test("alone, it runs eight demo servers at 80 % of what they can do", (t) => {
  const { config, demo } = effective(options(), {});
  t.deepEqual(demo, { cores: [1, 1, 2, 2, 4, 4, 8, 8], meanMs: 150, ratePerS: 160 });
  t.is(config.vips[0]?.servers.length, 8);
  t.true(config.vips[0]?.servers.every((s) => s.weight === 1));
  t.is(config.vips[0]?.address, "127.0.0.1:8080");
});

test("flags reach the configuration; real servers mean no demo", (t) => {
  const flags = ["--servers", "127.0.0.1:9001,127.0.0.1:9002=2.5", "--vip", "127.0.0.1:8888", "--policy", "uniform"];
  const { config, demo } = effective(options(...flags, "--mode", "p2c", "--tick", "100", "--set", "health.rise=3"), {});
  t.is(demo, undefined);
  t.is(config.vips[0]?.servers[1]?.weight, 2.5);
  t.deepEqual([config.vips[0]?.address, config.vips[0]?.policy, config.vips[0]?.mode], ["127.0.0.1:8888", "uniform", "p2c"]);
  t.deepEqual([config.tick_ms, config.health.rise], [100, 3]);
});

test("traces: the flag wins over the environment, without either they are off", (t) => {
  const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4317" };
  t.is(effective(options(), {}).config.tracing.endpoint, "");
  t.is(effective(options(), environment).config.tracing.endpoint, "http://127.0.0.1:4317");
  t.is(effective(options("--otlp", "http://127.0.0.1:9"), environment).config.tracing.endpoint, "http://127.0.0.1:9");
});

test("another instance gets a region and ports of its own", async (t) => {
  const plan = effective(options("--instance", "two"), {});
  t.is(plan.config.region.path, "/dev/shm/lb_rl_shm.two");
  await choosePorts(plan, whyTaken);
  const all = [
    ...listeners(plan, options()).map((l) => l.address),
    ...(plan.config.vips[0]?.servers ?? []).map((s) => s.address),
  ];
  t.is(new Set(all).size, all.length);
  t.false(all.some((a) => /:(0|8080|5005\d|910\d)$/.test(a)));
});

test("what is wrong is said with the flag's name", (t) => {
  t.throws(() => options("--servers", "nowhere"), { message: /--servers <list>.*expected IP:PORT/ });
  t.throws(() => options("--servers", "127.0.0.1:1=0"), { message: /expected a positive weight/ });
  t.throws(() => options("--mode", "sde"), { message: /Did you mean sed|Allowed choices are hash, alias, sed, p2c/ });
  t.throws(() => options("--duration", "soon"), { message: /expected a number from 0/ });
  const e = t.throws(() => effective(options("--policy", "the best"), {}), { instanceOf: ConfigError });
  t.regex(e?.message ?? "", /^--policy: vips\[0\]\.policy: expected a policy's name/);
});

test("a taken port is named with what wanted it and how to change it", async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const plan = effective(options("--vip", `127.0.0.1:${port}`, "--instance", "x"), {});
  await choosePorts(plan, whyTaken);
  const e = await t.throwsAsync(requireFree(listeners(plan, options())), { instanceOf: LaunchError });
  t.is(e?.message, `127.0.0.1:${port} (VIP web) is in use by another process; choose another with --vip IP:PORT`);
  plan.config.services.inference.metrics = `127.0.0.1:${port}`;
  const both = await t.throwsAsync(requireFree(listeners(plan, options())), { instanceOf: LaunchError });
  t.regex(both?.message ?? "", /\(metrics of inference\) is in use.*--set services\.inference\.metrics=HOST:PORT/);
  server.close();
});

test("a tick that is longer than the file's lease takes the lease along, unless that is given", (t) => {
  t.is(effective(options("--tick", "900"), {}).config.dataplane.lease_ms, 1800);
  t.is(effective(options("--tick", "100"), {}).config.dataplane.lease_ms, 1000);
  const e = t.throws(() => effective(options("--tick", "900", "--set", "dataplane.lease_ms=1000"), {}), {
    instanceOf: ConfigError,
  });
  t.regex(e?.message ?? "", /^--set dataplane\.lease_ms=1000: .*expected at least two ticks \(1800\), found 1000$/);
});

test("connections get as long to end as the file says, or the flag", (t) => {
  const drain = (...flags: string[]) => effective(options(...flags), {}).config.dataplane.drain_timeout_ms;
  t.is(drain(), 30_000);
  t.is(drain("--set", "dataplane.drain_timeout_ms=1500"), 1500);
  t.is(drain("--drain", "0.5", "--set", "tick_ms=100"), 500);
});

test("a policy must be there, as a heuristic or as a model", (t) => {
  for (const name of ["model:mral", "mral", "model:kalman"]) {
    const e = t.throws(() => effective(options("--policy", name), {}), { instanceOf: LaunchError });
    t.is(
      e?.message.replace(/ \(models are.*/, ""),
      `VIP web: policy: no policy "${name}"; there are kalman, peak-ewma, static, uniform, marl, qmix, sac-gru`,
    );
  }
  t.is(effective(options("--policy", "peak-ewma"), {}).config.vips[0]?.policy, "peak-ewma");
  t.is(effective(options("--policy", "model:marl"), {}).config.vips[0]?.policy, "model:marl");
});

test("a source address that this machine has not is said before anything starts", async (t) => {
  const o = options("--set", "dataplane.sources=[127.0.0.9, 192.0.2.1]", "--instance", "x");
  const plan = effective(o, {});
  await choosePorts(plan, whyTaken);
  const e = await t.throwsAsync(requireFree(listeners(plan, o)), { instanceOf: LaunchError });
  t.regex(
    e?.message ?? "",
    /^192\.0\.2\.1 \(source address\) is not an address of this machine; choose another with dataplane\.sources/,
  );
});

test("with a file of one's own, another name is no other set of ports", (t) => {
  const o = options();
  const plan = effective(o, {});
  const change = (x: UpOptions) => listeners(plan, x).find((l) => l.what === "gRPC of health")?.change ?? "";
  t.regex(change(o), /--instance NAME/);
  t.notRegex(change({ ...o, config: "my.yaml" }), /--instance/);
});

test("a demo server moves away from a taken port; chosen ports are free and differ", async (t) => {
  const plan = effective(options(), {});
  await choosePorts(plan, async (_host, port) => (port === 9003 ? "is in use" : undefined));
  const addresses = plan.config.vips[0]?.servers.map((s) => s.address) ?? [];
  t.is(addresses[1], "127.0.0.1:9002");
  t.not(addresses[2], "127.0.0.1:9003");
  const given = new Set<number>();
  for (let i = 0; i < 5; i++) t.is(await whyTaken("127.0.0.1", await freePort("127.0.0.1", given)), undefined);
  t.is(given.size, 5);
});

test("the embedded data plane's lines say what the configuration says", (t) => {
  const c = parseConfig(`
instance: one
tick_ms: 100
dataplane: {threads: 2, lease_ms: 900, half_closed_timeout_ms: 7000, keepalive_probes: 9, pipe_memory: 64, freebind: true, sources: [127.0.0.2, 127.0.0.3]}
region: {path: /dev/shm/x, group: lb}
vips:
  - {name: a, address: "[::1]:80", mode: hash, kappa: 0.5, max_connections: 9, servers: [{address: "10.0.0.1:81", weight: 2, drain: true}]}
  - {name: b, address: "127.0.0.1:80", load: waiting, pool: managed, eject: false, load_balancers: 3}
  - {name: dns, address: "127.0.0.1:80", protocol: udp, responses: 1, max_connections_per_source: 7}
  - name: c
    address: "127.0.0.1:81"
    accept_proxy: [10.0.0.0/8, "2001:db8::/32"]
    send_proxy: v2
    servers: [{address: "10.0.0.1:82", send_proxy: "off"}, {address: "10.0.0.1:83"}]
`);
  const lines = dpLines(c);
  for (const line of [
    "instance one",
    "region /dev/shm/x",
    "region-group lb",
    "frame 50ms",
    "lease 900ms",
    "max-vips 64",
    "max-servers 4096",
    "threads 2",
    "connect-timeout 2000ms",
    "half-closed-timeout 7000ms",
    "keepalive-probes 9",
    "pipe-memory 64",
    "freebind on",
    "sources 127.0.0.2 127.0.0.3",
    "vip a [::1]:80 mode hash load flows pool local eject on load-balancers 1 kappa 0.5 max-connections 9",
    "server vip a 10.0.0.1:81 weight 2 drain",
    "vip b 127.0.0.1:80 mode sed load waiting pool managed eject off load-balancers 3",
    "vip dns 127.0.0.1:80 mode sed load flows pool local eject on load-balancers 1 protocol udp responses 1 max-connections-per-source 7",
    "vip c 127.0.0.1:81 mode sed load flows pool local eject on load-balancers 1 accept-proxy 10.0.0.0/8,2001:db8::/32 send-proxy v2",
    "server vip c 10.0.0.1:82 weight 1 send-proxy off",
    "server vip c 10.0.0.1:83 weight 1",
  ]) {
    t.true(lines.includes(line), `${line}\nis not in\n${lines.join("\n")}`);
  }
});

test("marllb-dp reads every line that is written for it, and its own defaults are the configuration's", (t) => {
  const run = (...args: string[]) =>
    spawnSync(path.join(projectRoot, "build/native/bin/marllb-dp"), args, { encoding: "utf8", input: "", timeout: 20_000 });
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-lines-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "dp.conf");
  writeFileSync(file, dpLines(parseConfig("vips: [{name: a, address: 127.0.0.1:1, responses: 3, protocol: udp}]\n")).join("\n"));
  const r = run("--config", file, "--check");
  t.is(r.status, 0, r.stderr);
  const help = run("--help").stdout;
  const d = parseConfig("{}").dataplane;
  for (const [word, value] of [
    ["connect-timeout", `${d.connect_timeout_ms / 1000}s`],
    ["retries", `${d.retries}`],
    ["idle-timeout", `${d.idle_timeout_ms / 60_000}m`],
    ["drain-timeout", `${d.drain_timeout_ms / 1000}s`],
  ])
    t.regex(help, new RegExp(`^  ${word} .*\\(default: ${value}\\)`, "m"));
});

test("what is wrong with a flag is told by the flag's name alone", (t) => {
  t.throws(() => effective(options("--instance", "a/b"), {}), { message: /^--instance: expected 1 to 31 letters/m });
  t.throws(() => effective(options("--set", "foo=1"), {}), {
    message: /--set foo=1: foo: unknown key; expected one of instance, /,
  });
});

const at = { logs: "/logs", token: "0123456789abcdef" };

test("the console's address, with its token where no server and no log sees it", (t) => {
  const line = (...flags: string[]) => consoleLine(effective(options(...flags), {}), at);
  t.is(line(), "  console     http://127.0.0.1:3000/#token=0123456789abcdef");
  t.is(
    line("--set", 'services.console.listen="[::]:3001"', "--set", "tls={cert: a.pem, key: a.key}"),
    "  console     https://[::1]:3001/#token=0123456789abcdef",
  );
  t.is(consoleLine(effective(options(), {}), { ...at, token: "" }), "  console     http://127.0.0.1:3000/");
});

test("a program that listens on the console's port is no reason not to start, unless the port was asked for", async (t) => {
  const taken = async (_host: string, port: number) => (port === 3000 ? "is in use" : undefined);
  const plan = effective(options(), {});
  await choosePorts(plan, taken);
  t.not(plan.config.services.console.listen, "127.0.0.1:3000");
  const given = effective(options("--set", "services.console.listen=127.0.0.1:3000"), {});
  await choosePorts(given, taken);
  t.is(given.config.services.console.listen, "127.0.0.1:3000");
});

test("the console is told the demo servers' capacities, and nobody else is", async (t) => {
  const plan = effective(options("--demo-cores", "1,4"), {});
  await choosePorts(plan, async () => undefined);
  const addresses = plan.config.vips[0]?.servers.map((s) => s.address) ?? [];
  t.deepEqual(plan.config.console.capacity, { [addresses[0] as string]: 1, [addresses[1] as string]: 4 });
});

test("whether a UDP port is free is known, for IPv4 and IPv6", async (t) => {
  for (const host of ["127.0.0.1", "::1"]) {
    const socket = createSocket(host === "::1" ? "udp6" : "udp4");
    const bound = await new Promise<boolean>((resolve) => {
      socket.once("error", () => resolve(false)).bind({ address: host, port: 0 }, () => resolve(true));
    });
    if (!bound) continue; // a machine without IPv6
    const { port } = socket.address();
    t.is(await whyTaken(host, port, "udp"), "is in use by another process");
    await new Promise<void>((resolve) => socket.close(resolve));
    t.is(await whyTaken(host, port, "udp"), undefined);
  }
});

test("several load balancers share servers and services, and nothing that one of them listens on", async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-plan-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const plan = effective(options("--load-balancers", "3", "--instance", "many"), {});
  await choosePorts(plan, whyTaken);
  await addLoadBalancers(plan, 3, folder);
  const all = [plan.config, ...plan.others];
  t.deepEqual(
    all.map((c) => c.instance),
    ["many", "many-2", "many-3"],
  );
  const own = all.flatMap(({ region, services: { shm_agent }, vips, counts }) => [
    region.path,
    shm_agent.listen,
    shm_agent.metrics,
    counts.listen,
    ...vips.map((v) => v.address),
  ]);
  t.is(new Set(own).size, own.length);
  for (const c of all) {
    t.deepEqual(c.services.failover, plan.config.services.failover);
    t.deepEqual(c.vips[0]?.servers, plan.config.vips[0]?.servers);
    t.is(c.vips[0]?.load_balancers, 3);
    t.deepEqual(parseConfig(JSON.stringify(c)).counts, c.counts, "what is written is taken");
  }
  t.deepEqual(
    plan.config.console.agents,
    all.map((c) => c.services.shm_agent.listen),
  );
  const text = banner(plan, { logs: "/tmp/x" }).join("\n");
  for (const c of all) t.true(text.includes(`http://${c.vips[0]?.address}/`));
  const file = path.join(folder, "own.yaml");
  writeFileSync(file, "vips: [{name: web, address: 127.0.0.1:8080, servers: [{address: 127.0.0.1:9}]}]");
  t.throws(() => effective(options("--load-balancers", "2", "--config", file), {}), {
    message: /--load-balancers with --config/,
  });
});

test("the banner's lines work as printed in any shell, IPv6 too", (t) => {
  const { config } = effective(options("--vip", "[::1]:8080", "--set", 'services.shm_agent.listen="[::1]:50051"'), {});
  const lines = banner({ notes: [], others: [], config, consoleGiven: true }, at).join("\n");
  t.true(lines.includes("curl -s 'http://[::1]:8080/'"));
  t.true(lines.includes("grpcurl -plaintext '[::1]:50051' marllb"));
});

test("the banner's grpcurl line fits the TLS that is configured", (t) => {
  const line = (tls: string) =>
    banner(effective(options("--set", `tls=${tls}`), {}), at).find((l) => l.includes("GetStatus")) ?? "";
  t.true(line("{cert: a.pem, key: a.key}").includes("grpcurl -insecure 127"));
  t.true(line("{cert: a.pem, key: a.key, ca: ca.pem}").includes("grpcurl -insecure -cert a.pem -key a.key 127"));
});
