// SPDX-License-Identifier: Apache-2.0
// Real TCP through namespaces: clients and servers are the kernel's (nginx, curl, wrk), between them VPP over veth pairs.

import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { exec, which } from "../../../scripts/lib/exec.mjs";
import { ok, test } from "../lib/tap.mjs";
import { Vpp } from "../lib/vpp.mjs";

const id = `mlbt${process.pid % 100000}`;
const NS = { client: `${id}-c`, server: `${id}-s` };
const VIP = "10.79.0.1";
const server = (i) => `10.79.2.${10 + i}`;
const SERVERS = 3;
const MB = 1024;
const COUNT = 14;
const SINK = fileURLToPath(new URL("../lib/sink.py", import.meta.url));
const GUE = fileURLToPath(new URL("../lib/gue.py", import.meta.url));

async function must(command, ...args) {
  const { code, out } = await exec(command, args, { timeoutMs: 120_000 });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ${out}`);
  return out;
}
const inNs = (ns, ...args) => must("ip", "netns", "exec", ns, ...args);

/** veth pairs client <-> VPP <-> servers; each server address on its own, the VIP on the servers' loopback for DSR. */
async function network() {
  for (const [ns, side, host] of [
    [NS.client, "c", "10.79.1.2/24"],
    [NS.server, "s", "10.79.2.2/24"],
  ]) {
    await must("ip", "netns", "add", ns);
    await must("ip", "link", "add", `${id}${side}`, "netns", ns, "type", "veth", "peer", "name", `${id}${side}v`);
    await must("ip", "link", "set", `${id}${side}v`, "up");
    await inNs(ns, "ip", "link", "set", "lo", "up");
    await inNs(ns, "ip", "addr", "add", host, "dev", `${id}${side}`);
    await inNs(ns, "ip", "link", "set", `${id}${side}`, "up");
    await inNs(ns, "ip", "route", "add", "default", "via", side === "c" ? "10.79.1.1" : "10.79.2.1");
    await inNs(ns, "ethtool", "-K", `${id}${side}`, "tx", "off", "tso", "off", "gso", "off", "gro", "off");
  }
  for (let i = 0; i < SERVERS; i++) await inNs(NS.server, "ip", "addr", "add", `${server(i)}/24`, "dev", `${id}s`);
  await inNs(NS.server, "ip", "addr", "add", `${VIP}/32`, "dev", "lo");
  // What it sends from the VIP must not make it ask for VPP's MAC with the VIP as source.
  await inNs(NS.server, "sysctl", "-qw", "net.ipv4.conf.all.arp_announce=2");
}

/** Each VPP has MACs of its own: what the namespaces know of the one before is no use. */
async function forgetNeighbours() {
  for (const ns of Object.values(NS)) await inNs(ns, "ip", "neigh", "flush", "all");
}

/** Also at an exit that nobody waits for: a test that was broken off leaves no namespace. */
function removeNow() {
  for (const what of [
    ...["cv", "sv", "a"].map((x) => ["link", "del", `${id}${x}`]),
    ...Object.values(NS).map((ns) => ["netns", "del", ns]),
  ]) {
    try {
      execFileSync("ip", what, { stdio: "ignore" });
    } catch {
      // It was not there.
    }
  }
}

async function remove() {
  for (const side of ["c", "s"]) await exec("ip", ["link", "del", `${id}${side}v`]);
  for (const ns of Object.values(NS)) await exec("ip", ["netns", "del", ns]);
}

/** nginx with one server block an address, all with the same files; its own folder, stopped by its pid. */
async function nginx(dir) {
  const www = path.join(dir, "www");
  mkdirSync(www);
  const block = randomBytes(1 << 20);
  const whole = createHash("sha256");
  for (let i = 0; i < MB; i++) {
    writeFileSync(path.join(www, "big"), block, { flag: "a" });
    whole.update(block);
  }
  writeFileSync(path.join(www, "small"), "small\n");
  const listen = [...Array.from({ length: SERVERS }, (_, i) => `${server(i)}:80`), `${VIP}:80`];
  writeFileSync(
    path.join(dir, "nginx.conf"),
    `daemon off; user root; worker_processes 1; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path ${dir}/b; proxy_temp_path ${dir}/p; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/g;
${listen.map((l) => `server { listen ${l}; root ${www}; }`).join("\n")} }`,
  );
  const child = spawn("ip", ["netns", "exec", NS.server, which("nginx"), "-c", `${dir}/nginx.conf`, "-p", dir], {
    stdio: "ignore",
  });
  process.once("exit", () => child.kill("SIGTERM"));
  for (let i = 0; i < 50; i++) {
    if ((await exec("ip", ["netns", "exec", NS.server, "curl", "-s", "-m", "1", `http://${server(0)}/small`])).out === "small\n")
      break;
    await new Promise((r) => setTimeout(r, 100));
  }
  return { child, digest: whole.digest("hex") };
}

const curl = (...args) => exec("ip", ["netns", "exec", NS.client, "curl", "-s", "-m", "100", ...args], { timeoutMs: 120_000 });

/** Load while servers come, drain and change weight fifty times a second: no reset, no wrong byte. */
async function changes(v) {
  let stop = false;
  const turmoil = (async () => {
    for (let i = 0; !stop; i++) {
      const s = server(1 + (i % 2));
      const what = [`add-server ${s}=${1 + (i % 7)}`, `drain ${s}`, `drain ${s} off`, `del-server ${s}`, `add-server ${s}`][
        i % 5
      ];
      await v.try(`lb rl ${what}`);
      await new Promise((r) => setTimeout(r, 20));
    }
  })();
  const { out } = await exec("ip", ["netns", "exec", NS.client, "wrk", "-t1", "-c32", "-d5s", `http://${VIP}/small`], {
    timeoutMs: 60_000,
  });
  stop = true;
  await turmoil;
  const requests = Number(/(\d+) requests in/.exec(out)?.[1] ?? 0);
  ok(requests > 100, `wrk: ${out}`);
  ok(!/Socket errors|Non-2xx/.test(out), `wrk saw errors:\n${out}`);
}

/** A server of its own process, to be killed: one nginx without master. */
async function doomed(dir, address) {
  await inNs(NS.server, "ip", "addr", "replace", `${address}/24`, "dev", `${id}s`);
  const conf = path.join(dir, "doomed.conf");
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((t, i) => `${t}_temp_path ${dir}/d${i};`).join(" ");
  writeFileSync(
    conf,
    `daemon off; master_process off; user root; pid ${dir}/doomed.pid; error_log ${dir}/doomed.log;
events { worker_connections 1024; }
http { access_log off; ${temp} server { listen ${address}:80; root ${dir}/www; } }`,
  );
  const child = spawn("ip", ["netns", "exec", NS.server, which("nginx"), "-c", conf, "-p", dir], { stdio: "ignore" });
  process.once("exit", () => child.kill("SIGKILL"));
  for (let i = 0; i < 50; i++) {
    const { out } = await exec("ip", ["netns", "exec", NS.server, "curl", "-s", "-m", "1", `http://${address}/small`]);
    if (out === "small\n") return child;
    await sleep(100);
  }
  throw new Error("the server to be killed does not answer");
}

/** A server is killed under load: its own connections break and a few find it refusing; it is out then, and nothing else notices. */
async function killed(v, dir) {
  const size = 32 << 20;
  const whole = (await must("sh", "-c", `head -c ${size} ${dir}/www/big | sha256sum`)).slice(0, 64);
  const slow = `curl -s -m 60 --limit-rate 6M -r 0-${size - 1} http://${VIP}/big | sha256sum`;
  const downloads = Array.from({ length: 3 }, () =>
    exec("ip", ["netns", "exec", NS.client, "sh", "-c", slow], { timeoutMs: 90_000 }),
  );
  await sleep(500);
  const child = await doomed(dir, server(SERVERS));
  await v.cli(`lb rl add-server ${server(SERVERS)}`);
  const load = exec("ip", ["netns", "exec", NS.client, "wrk", "-t1", "-c32", "-d6s", `http://${VIP}/small`], {
    timeoutMs: 60_000,
  });
  await sleep(2000);
  child.kill("SIGKILL");
  const { out } = await load;
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(out)?.slice(1).map(Number) ?? [];
  ok(Number(/(\d+) requests in/.exec(out)?.[1] ?? 0) > 100, `wrk: ${out}`);
  const sum = errors.reduce((a, b) => a + b, 0);
  ok(sum <= 64, `at most the ${32} open ones and as many tries were to fail:\n${out}`);
  const shown = await v.cli("lb rl show servers");
  ok(/new [1-9]/.test(shown.split("\n").find((l) => l.includes(server(SERVERS))) ?? ""), `it had flows:\n${shown}`);
  for (const d of downloads) ok((await d).out.startsWith(whole), "a download through another server was spoilt");
  await v.cli(`lb rl del-server ${server(SERVERS)}`);
}

/**
 * An upload of full-sized packets, which the client's kernel has to make shorter: it learns from our ICMP errors what the path to
 * the server takes.
 */
async function upload(v, address, port) {
  await inNs(NS.client, "ip", "route", "flush", "cache");
  const sink = spawn("ip", ["netns", "exec", NS.server, "python3", SINK, address, String(port)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.once("exit", () => sink.kill("SIGKILL"));
  try {
    await new Promise((resolve, reject) => {
      sink.stdout.once("data", resolve);
      sink.once("exit", () => reject(new Error(`the server at ${address}:${port} ended`)));
    });
    const { out } = await exec("ip", ["netns", "exec", NS.client, "python3", SINK, VIP, String(port), String(8 << 20)], {
      timeoutMs: 100_000,
    });
    const [sent, got] = out.trim().split(" ");
    ok(sent?.length === 64 && sent === got, `sent ${sent}, the server got ${got}\n${await v.cli("show errors")}`);
    const learnt = await inNs(NS.client, "ip", "route", "get", VIP);
    ok(/mtu 1[0-4]\d\d/.test(learnt), `the client's kernel has learnt nothing of the path: ${learnt}`);
  } finally {
    sink.kill("SIGKILL");
  }
}

async function mode(name, fwd, options, digest, dir) {
  const v = await Vpp.start({ ...options, plugins: ["af_packet_plugin.so"] });
  try {
    await v.config([
      `create host-interface name ${id}cv`,
      `create host-interface name ${id}sv`,
      `set interface ip address host-${id}cv 10.79.1.1/24`,
      `set interface ip address host-${id}sv 10.79.2.1/24`,
      `set interface state host-${id}cv up`,
      `set interface state host-${id}sv up`,
      `lb rl set-shm ${v.dir}/shm`,
      "lb rl enable flows 65536",
      `lb rl set-vip web ${VIP} tcp 80 ${fwd}`,
      `lb rl set-servers ${Array.from({ length: SERVERS }, (_, i) => server(i)).join(" ")}`,
      ...(fwd === "nat" ? [`lb rl nat interface host-${id}sv`] : []),
    ]);
    await forgetNeighbours();
  } catch (e) {
    await v.stop();
    throw e;
  }
  try {
    await test(`wire ${name}: curl gets the page, from every address asked for in turn`, async () => {
      for (let i = 0; i < 20; i++) {
        const { code, out } = await curl(`http://${VIP}/small`);
        ok(code === 0 && out === "small\n", `curl ${i}: ${code} ${out}`);
      }
      const shown = await v.cli("lb rl show servers");
      ok((shown.match(/new [1-9]/g) ?? []).length === SERVERS, `every server had flows:\n${shown}`);
    });
    await test(`wire ${name}: a download of ${MB} MB, byte for byte`, async () => {
      const { out } = await exec("ip", ["netns", "exec", NS.client, "sh", "-c", `curl -s -m 200 http://${VIP}/big | sha256sum`], {
        timeoutMs: 240_000,
      });
      ok(out.startsWith(digest), `sha256 ${out}, expected ${digest}`);
    });
    if (fwd === "nat")
      await test(`wire ${name}: a server is killed under load, the others' connections run on`, () => killed(v, dir));
    if (fwd === "nat")
      await test(`wire ${name}: an upload over a path of 1300 bytes, byte for byte`, async () => {
        await v.config([`set interface mtu packet 1300 host-${id}sv`, `lb rl set-vip up ${VIP} tcp 8081 nat`]);
        await v.config([`lb rl set-servers vip up ${server(0)}`]);
        await upload(v, server(0), 8081);
        await v.config(["lb rl set-vip up del", `set interface mtu packet 9000 host-${id}sv`]);
      });
    await test(`wire ${name}: servers and weights change fifty times a second under wrk, no error`, () => changes(v));
    ok(v.alive, "vpp lives");
  } finally {
    await v.stop();
  }
}

/** Through a tunnel into a second VPP, which unwraps and forwards to the servers' namespace, whose loopback has the VIP. */
async function tunnel(kind, options, digest) {
  const [far, near] = ["10.79.3.2", "10.79.3.1"];
  await must("ip", "link", "add", `${id}a`, "type", "veth", "peer", "name", `${id}b`);
  for (const x of ["a", "b"]) await must("ip", "link", "set", `${id}${x}`, "mtu", "1600", "up");
  const plugins = ["af_packet_plugin.so", "gre_plugin.so"];
  let a;
  let b;
  try {
    a = await Vpp.start({ ...options, plugins });
    b = await Vpp.start({ ...options, workers: 0, plugins });
    const link = (v, name, address) =>
      v.config([
        `create host-interface name ${id}${name}`,
        `set interface ip address host-${id}${name} ${address}`,
        `set interface mtu packet 1560 host-${id}${name}`,
        `set interface state host-${id}${name} up`,
      ]);
    await link(a, "cv", "10.79.1.1/24");
    await link(a, "a", `${near}/24`);
    await link(b, "b", `${far}/24`);
    await link(b, "sv", "10.79.2.1/24");
    await a.config([
      `lb rl set-shm ${a.dir}/shm`,
      "lb rl enable flows 65536",
      `lb rl set-vip web ${VIP} tcp 80 ${kind}4 src ${near}`,
      `lb rl set-servers ${far}`,
    ]);
    const made = await b.cli(`create ${kind} tunnel src ${far} dst ${near}`);
    await b.config([
      `set interface state ${made} up`,
      `set interface unnumbered ${made} use host-${id}b`,
      `ip route add ${VIP}/32 via 10.79.2.2 host-${id}sv`,
      `ip route add 10.79.1.0/24 via ${near} host-${id}b`,
    ]);
    await forgetNeighbours();
    await test(`wire ${kind} into a second VPP: pages and a download of ${MB} MB, byte for byte`, async () => {
      for (let i = 0; i < 10; i++) {
        const { code, out } = await curl(`http://${VIP}/small`);
        ok(
          code === 0 && out === "small\n",
          `curl ${i}: ${code} ${out}\n${await a.cli("show errors")}\n${await b.cli("show errors")}`,
        );
      }
      const { out } = await exec("ip", ["netns", "exec", NS.client, "sh", "-c", `curl -s -m 200 http://${VIP}/big | sha256sum`], {
        timeoutMs: 240_000,
      });
      ok(out.startsWith(digest), `sha256 ${out}, expected ${digest}`);
    });
  } finally {
    await a?.stop();
    await b?.stop();
    await exec("ip", ["link", "del", `${id}a`]);
  }
}

/** Into a server whose kernel takes the outer packet and is given the inner one (lib/gue.py); replies pass VPP by. */
async function gue(kind, options, dir) {
  const outer6 = kind === "gue6";
  const [src, address] = outer6 ? ["fd79:2::1", "fd79:2::10"] : ["10.79.2.1", server(0)];
  const tun = `${id}t`;
  const size = 64 << 20;
  const whole = (await must("sh", "-c", `head -c ${size} ${dir}/www/big | sha256sum`)).slice(0, 64);
  const v = await Vpp.start({ ...options, plugins: ["af_packet_plugin.so"] });
  let end;
  try {
    await v.config([
      `create host-interface name ${id}cv`,
      `create host-interface name ${id}sv`,
      `set interface ip address host-${id}cv 10.79.1.1/24`,
      `set interface ip address host-${id}sv 10.79.2.1/24`,
      `set interface ip address host-${id}sv fd79:2::1/64`,
      `set interface state host-${id}cv up`,
      `set interface state host-${id}sv up`,
      `lb rl set-shm ${v.dir}/shm`,
      "lb rl enable flows 65536",
      `lb rl set-vip web ${VIP} tcp 80 ${kind} src ${src}`,
      `lb rl set-servers ${address}`,
    ]);
    await inNs(NS.server, "ip", "addr", "replace", "fd79:2::10/64", "dev", `${id}s`, "nodad");
    await forgetNeighbours();
    end = spawn("ip", ["netns", "exec", NS.server, "python3", GUE, address, "6080", tun], { stdio: ["ignore", "pipe", "pipe"] });
    process.once("exit", () => end.kill("SIGKILL"));
    let said = "";
    for (const out of [end.stdout, end.stderr]) out.on("data", (d) => (said += d));
    for (let i = 0; i < 100 && !said.includes("ready"); i++) await sleep(100);
    await inNs(NS.server, "ip", "link", "set", tun, "up");
    // The inner packet's source is not behind the tunnel.
    for (const x of ["all", tun]) await inNs(NS.server, "sysctl", "-qw", `net.ipv4.conf.${x}.rp_filter=0`);
    await test(`wire ${kind}: the server's kernel takes the outer packet; pages and 64 MB, byte for byte`, async () => {
      for (let i = 0; i < 10; i++) {
        const { code, out } = await curl(`http://${VIP}/small`);
        ok(code === 0 && out === "small\n", `curl ${i}: ${code} ${out}\n${said}\n${await v.cli("show errors")}`);
      }
      const get = `curl -s -m 200 -r 0-${size - 1} http://${VIP}/big | sha256sum`;
      const { out } = await exec("ip", ["netns", "exec", NS.client, "sh", "-c", get], { timeoutMs: 240_000 });
      ok(out.startsWith(whole), `sha256 ${out}, expected ${whole}`);
      ok(end.exitCode === null, `the tunnel's end: ${said}`);
    });
    if (!outer6)
      await test(`wire ${kind}: an upload over a link that takes 1500 bytes with the outer headers, byte for byte`, async () => {
        await inNs(NS.client, "ip", "link", "set", `${id}c`, "mtu", "1500");
        await v.config([`set interface mtu packet 1500 host-${id}sv`, `lb rl set-vip up ${VIP} tcp 8081 ${kind} src ${src}`]);
        await v.config([`lb rl set-servers vip up ${address}`]);
        await upload(v, VIP, 8081);
      });
    if (!outer6)
      await test(`wire ${kind}: the same from a client whose interface leaves segmentation to VPP`, async () => {
        const offload = (on) => inNs(NS.client, "ethtool", "-K", `${id}c`, "tx", on, "tso", on, "gso", on);
        await offload("on");
        await upload(v, VIP, 8081);
        await offload("off");
        ok(/cut into segments/.test(await v.cli("show errors")), `no buffer was cut:\n${await v.cli("show errors")}`);
        await inNs(NS.client, "ip", "link", "set", `${id}c`, "mtu", "1400");
      });
  } finally {
    end?.kill("SIGKILL");
    await v.stop();
  }
}

async function run(options) {
  const missing = ["nginx", "curl", "wrk", "ethtool", "ip", "python3"].filter((c) => !which(c));
  if (process.getuid() !== 0 || missing.length) {
    const why = missing.length ? `no ${missing.join(", ")}` : "needs root";
    for (let i = 0; i < COUNT; i++) await test(`wire ${i}`, () => why);
    return;
  }
  const dir = mkdtempSync(path.join(os.tmpdir(), "marllb-wire-"));
  let web;
  try {
    process.once("exit", removeNow);
    await network();
    web = await nginx(dir);
    await mode("nat", "nat", options, web.digest, dir);
    await mode("l2dsr", "l2dsr", options, web.digest, dir);
    await inNs(NS.client, "ip", "link", "set", `${id}c`, "mtu", "1400");
    await tunnel("ipip", options, web.digest);
    await tunnel("gre", options, web.digest);
    await gue("gue4", options, dir);
    await gue("gue6", options, dir);
  } finally {
    web?.child.kill("SIGTERM");
    await remove();
    rmSync(dir, { recursive: true, force: true });
  }
}

export const groups = [{ name: "wire", count: COUNT, run }];
