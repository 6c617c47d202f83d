// SPDX-License-Identifier: Apache-2.0
// VPP under marllbctl: `vpp keep` gives a restarted VPP its VIPs and servers back; `up --dataplane vpp` serves the VIPs and servers of
// one's own file where they are written.
import { spawn } from "node:child_process";
import dgram from "node:dgram";
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exec, root } from "../../../scripts/lib/exec.mjs";
import { ok, test } from "../lib/tap.mjs";
import { Vpp } from "../lib/vpp.mjs";

const ctl = path.join(root, "dist/programs/marllbctl.js");
const missing = () => (existsSync(ctl) ? undefined : "marllbctl is not built: npm run build");

/** marllbctl, until its stdin ends or it is told to stop; what it says is kept. */
function marllbctl(...args) {
  const child = spawn(process.execPath, [ctl, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  const it = { child, said: "" };
  for (const s of [child.stdout, child.stderr]) s.on("data", (d) => (it.said += d));
  it.gone = new Promise((resolve) => child.once("exit", resolve));
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  it.stop = async (signal = "SIGTERM") => {
    child.kill(signal);
    await it.gone;
    process.off("exit", kill);
  };
  return it;
}

async function until(what, get, want) {
  for (const end = Date.now() + 60_000; ; await sleep(100)) {
    const got = await get();
    if (want(got)) return got;
    ok(Date.now() < end, `${what}: still\n${got}`);
  }
}

async function keptCase(options, dir) {
  const socket = path.join(dir, "cli.sock");
  const config = path.join(dir, "marllb.yaml");
  const text = (vip) => `
region: {path: ${dir}/region}
dataplane:
  kind: vpp
  vpp: {socket: ${socket}, vppctl: ${options.prefix}/bin/vppctl, nat_interfaces: [loop0]}
vips:
  - {name: web, address: 10.9.0.1:${vip}, servers: [{address: 10.5.0.1:8080, weight: 3}, {address: 10.5.0.2:8080, drain: true}]}
  - {name: far, address: 10.9.0.2:80, forwarding: gre4 src 10.0.0.1, servers: [{address: 10.5.0.3:80}]}
`;
  writeFileSync(config, text(80));
  const started = async () => {
    const v = await Vpp.start({ ...options, workers: 0, plugins: [] });
    await v.config(["create loopback interface", "set interface state loop0 up", "ip route add 10.5.0.0/24 via loop0"]);
    rmSync(socket, { force: true });
    symlinkSync(`${v.dir}/cli.sock`, socket);
    return v;
  };
  const has = async (v, port) => {
    const all = /VIP \[\d+\] web 10\.9\.0\.1\/32 tcp (\d+) nat /;
    await until(
      "show config",
      () => v.cli("lb rl show config"),
      (s) => all.exec(s)?.[1] === port && /nat interface loop0/.test(s),
    );
    await until(
      "show servers",
      () => v.cli("lb rl show servers"),
      (s) => /10\.5\.0\.1 port 8080 up/.test(s) && /10\.5\.0\.2 port 8080 draining/.test(s) && /10\.5\.0\.3 port 80 up/.test(s),
    );
  };
  let v = await started();
  const kept = marllbctl("vpp", "keep", "--config", config);
  try {
    await has(v, "80");
    await v.stop();
    await until(
      "keep",
      () => kept.said,
      (s) => /does not answer/.test(s),
    );
    v = await started();
    await has(v, "80");
    // A change of the file: the VIP moves in place, its servers stay.
    writeFileSync(config, text(81));
    kept.child.kill("SIGHUP");
    await has(v, "81");
    // By other hands: it comes back.
    await v.cli("lb rl set-vip far del");
    await has(v, "81");
    const { code, out } = await exec(process.execPath, [ctl, "vpp", "sync", "--config", config]);
    ok(
      code === 0 &&
        out
          .split("\n")
          .filter((l) => l)
          .every((l) => l.startsWith("lb rl set-vip ")),
      `sync: ${code} ${out}`,
    );
  } catch (e) {
    e.message += `\nmarllbctl vpp keep said:\n${kept.said}`;
    throw e;
  } finally {
    await kept.stop();
    await v.stop();
  }
}

const listen = (s, host) => new Promise((resolve) => s.listen(0, host, () => resolve(s.address().port)));

async function upCase(options, dir) {
  if (process.getuid() !== 0) return "needs root";
  const name = (req, res, who) => res.end(`${who} ${req.headers.host}`);
  const servers = ["a", "b"].map((who) => http.createServer((req, res) => name(req, res, who)));
  const [a, b] = [await listen(servers[0], "127.0.0.1"), await listen(servers[1], "127.0.0.3")];
  const echo = dgram.createSocket("udp4").on("message", (m, from) => echo.send(m, from.port, from.address));
  const u = await new Promise((resolve) => echo.bind(0, "127.0.0.1", () => resolve(echo.address().port)));
  const config = path.join(dir, "own.yaml");
  writeFileSync(
    config,
    `
region: {path: ${dir}/own-region}
instance: vppown${process.pid}
dataplane: {kind: vpp}
services: {shm_agent: {listen: 127.0.0.1:21101, metrics: 127.0.0.1:21102}, inference: {listen: 127.0.0.1:21103, metrics: 127.0.0.1:21104}, health: {listen: 127.0.0.1:21105, metrics: 127.0.0.1:21106}, failover: {listen: 127.0.0.1:21107, metrics: 127.0.0.1:21108}, console: {listen: 127.0.0.1:21109, metrics: 127.0.0.1:21110}}
failover: {store: {kind: memory}}
vips:
  - {name: web, address: 198.51.100.77:80, servers: [{address: "127.0.0.1:${a}"}, {address: "127.0.0.3:${b}"}]}
  - {name: dns, address: 127.0.0.1:5300, protocol: udp, servers: [{address: "127.0.0.1:${u}"}]}
`,
  );
  process.env.VPP_PREFIX = options.prefix;
  const up = marllbctl("up", "--config", config, "--plain");
  try {
    await until(
      "up",
      () => up.said,
      (s) => up.child.exitCode !== null || /stop {8}Ctrl-C/.test(s),
    );
    ok(up.child.exitCode === null, "up ended");
    const get = async () => (await exec("curl", ["-s", "-m", "2", "http://198.51.100.77/"])).out;
    const seen = new Set();
    await until(
      "answers",
      async () => seen.add(await get()) && [...seen].join(),
      (s) => s.includes("a 198.51.100.77") && s.includes("b 198.51.100.77"),
    );
    const at = /VIP dns is reached at (\S+):(\d+), not at 127\.0\.0\.1:\d+/.exec(up.said);
    ok(at, "the banner says where the UDP VIP is");
    const client = dgram.createSocket("udp4");
    let answers = 0;
    client.on("message", (m) => (answers += String(m) === "ask"));
    await until(
      "UDP",
      async () => (client.send("ask", Number(at[2]), at[1]), answers),
      (n) => n > 0,
    );
    client.close();
    // A server that ends is one that refuses.
    servers[1].close();
    servers[1].closeAllConnections();
    for (let i = 0; i < 3; i++) await get();
    await until(
      "only a",
      async () => (await Promise.all([get(), get(), get()])).join(),
      (s) => /^(a 198\.51\.100\.77,?){3}$/.test(s),
    );
  } catch (e) {
    e.message += `\nmarllbctl up said:\n${up.said.slice(-6000)}`;
    throw e;
  } finally {
    await up.stop();
    for (const s of servers) s.close();
    echo.close();
  }
  ok(/nothing is left behind|the logs are kept/.test(up.said), `end: ${up.said.slice(-500)}`);
}

export const groups = [
  {
    name: "keep",
    count: 2,
    async run(options) {
      const dir = mkdtempSync(path.join(os.tmpdir(), "marllb-keep-"));
      await test("keep: a restarted VPP gets its VIPs and servers back; a changed file, a VIP that was taken away", async () =>
        missing() ?? keptCase(options, dir));
      await test("keep: up serves VIPs and servers of one's own file as written, TCP and UDP", async () =>
        missing() ?? upCase(options, dir));
      rmSync(dir, { recursive: true, force: true });
    },
  },
];
