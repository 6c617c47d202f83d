// SPDX-License-Identifier: Apache-2.0
// Configuration, control socket, and what they say when something is wrong.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import test from "ava";
import { controlText } from "../../../testbed/control.js";
import { addressOf, ask, binary, closeOrigin, Dp, dial, named, origin, until } from "./bed.js";

/** Runs it to its end; it must end by itself. */
function run(args: readonly string[]): { code: number | null; out: string; err: string } {
  const r = spawnSync(binary, args, { encoding: "utf8", input: "", timeout: 20_000 });
  return { code: r.status, out: r.stdout, err: r.stderr };
}

test("--help lists every setting and command; --version; --check", (t) => {
  const help = run(["--help"]);
  t.is(help.code, 0);
  for (const word of [
    "vip NAME",
    "server [vip NAME]",
    "idle-timeout",
    "--takeover",
    "--stop-with-stdin",
    "show stats",
    "sources ADDRESS",
  ])
    t.true(help.out.includes(word), word);
  t.regex(run(["--version"]).out, /^marllb-dp \d+\.\d+\.\d+/);
  const check = run(["--check", "--vip", "a 127.0.0.1:1", "--server", "127.0.0.1:2"]);
  t.is(check.code, 0);
});

test("errors name file and line, or the flag, and what was expected", (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-dp-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "dp.conf");
  writeFileSync(file, "threads 1\n\nvip web 127.0.0.1:8080 mode fastest\nserver 127.0.0.1:1\nserver web 127.0.0.1:1\nwibble\n");
  const wrong = run(["--config", file]);
  t.is(wrong.code, 1);
  t.is(wrong.err, `marllb-dp: ${file}:3: mode 'fastest': expected hash, alias, sed or p2c\n`);
  const all = run(["--config", file, "--region", "/no/where", "--threads", "x", "--check"]);
  t.is(all.code, 1);
  const begins = [`${file}:3: mode`, `${file}:5: 'web`, `${file}:6: unknown word`, "--threads 'x': expected a number"];
  const told = all.err.trimEnd().split("\n");
  t.deepEqual(
    told.map((line, i) => line.slice("marllb-dp: ".length, "marllb-dp: ".length + (begins[i]?.length ?? 0))),
    begins,
    "every error of file and flags",
  );
  t.is(run(["--threads", "none"]).code, 2, "the command line itself");
  t.is(run(["--colour", "red"]).code, 2);
  writeFileSync(file, "");
  for (const args of [
    ["--config", file],
    ["--config", file, "--check"],
  ])
    t.deepEqual(run(args), { code: 1, out: "", err: `marllb-dp: ${file}: expected lines, found an empty file\n` });
  t.regex(run(["--threads", "none"]).err, /^marllb-dp: --threads 'none': expected a number from 0 to 64, in decimal digits\n$/);
  t.regex(run(["--config", path.join(folder, "nothing")]).err, /nothing: cannot read: No such file/);
});

test("--check finds what a start would: paths, group, addresses", (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-dp-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const cases: [string[], RegExp][] = [
    [["--region", folder], /^marllb-dp: region .*: expected a region there, or nothing\n$/],
    [
      ["--region", `${folder}/none/region`],
      /^marllb-dp: region .*none\/region: expected a folder .*none\n(marllb-dp: control .*none\n)?$/,
    ],
    [
      ["--region", `${folder}/region`, "--region-group", "no-such-group"],
      /^marllb-dp: region-group 'no-such-group': expected a group/,
    ],
    [["--region", "off", "--control", folder], /^marllb-dp: control .*: expected a control socket there, or nothing\n$/],
    [["--vip", "web 224.0.0.1:80"], /^marllb-dp: --vip 224\.0\.0\.1: expected the address of one host/],
    [
      ["--vip", "web 127.0.0.1:80", "--server", "255.255.255.255:80"],
      /^marllb-dp: --server 255\.255\.255\.255: expected the address/,
    ],
  ];
  for (const [flags, expected] of cases) {
    const check = run(["--check", ...flags]);
    t.is(check.code, flags.includes("--vip") ? 2 : 1, flags.join(" "));
    t.regex(check.err, expected);
    const start = run(flags);
    t.is(start.code, check.code);
    t.is(start.err, `${check.err.split("\n")[0]}\n`, "a start says the first");
  }
});

test("a start that runs out of descriptors says how many it takes", (t) => {
  const flags = ["--region", "off", "--control", "off", "--threads", "32", "--vip", "web 127.0.0.1:0"];
  const r = spawnSync("sh", ["-c", 'ulimit -n 40 && exec "$0" "$@"', binary, ...flags], { encoding: "utf8", timeout: 20_000 });
  t.is(r.status, 1);
  t.regex(
    r.stderr,
    /no descriptor is left \(RLIMIT_NOFILE is 40\): expected one for each thread and vip, two for each connection/,
  );
});

test("the last line needs no newline, and clients that hold the control socket lock nobody out", async (t) => {
  const dp = await Dp.start();
  const socket = path.join(dp.folder, "control");
  const say = (text: string) =>
    new Promise<string>((resolve, reject) => {
      let answer = "";
      const s = net.connect(socket, () => s.end(text));
      s.on("data", (d) => {
        answer += d;
      });
      s.on("error", reject);
      s.on("close", () => resolve(answer));
    });
  t.is(await say("idle-timeout 90s\nretries 2"), "ok\nok\n");
  t.regex(await dp.control("show config"), /^retries 2\nidle-timeout 90s$/m);
  t.is(await say("help me"), "error: help: expected nothing after it\n");

  const idle: net.Socket[] = [];
  for (let i = 0; i < 100; i++) {
    const s = net.connect(socket);
    s.on("error", () => {});
    idle.push(s);
    await new Promise((resolve) => s.once("connect", resolve).once("error", resolve)); // one by one: the backlog is short
  }
  for (let i = 0; i < 3; i++) t.regex(await dp.control("show config"), /^retries 2$/m);
  for (const s of idle) s.destroy();
  t.regex(await controlText(socket, "drain"), /^error: drain: .*`stop`/);
  t.is(await dp.stop(), 0);
});

test("addresses that come over the control socket are looked at as those of a file", async (t) => {
  const dp = await Dp.start({ servers: ["127.0.0.1:9"] });
  for (const line of ["vip more 239.1.2.3:80", "vip more 255.255.255.255:80", "server 224.0.0.5:80", "set-servers [ff02::1]:80"])
    await t.throwsAsync(dp.control(line), { message: /expected the address of one host/ }, line);
  t.is(await dp.stop(), 0);
});

test("a port in use is an error that names it; so is a control socket, and a region", async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-dp-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const taken = await origin(() => {});
  const args = ["--region", "off", "--control", "off", "--vip", `web ${addressOf(taken)}`];
  const r = run(args);
  t.is(r.code, 1);
  t.true(r.err.includes(`${addressOf(taken)}: the port is in use`), r.err);
  await closeOrigin(taken);

  // Two data planes of one user could share a port by SO_REUSEPORT: they must not.
  const dp = await Dp.start();
  const same = run(["--region", "off", "--control", "off", "--vip", `web 127.0.0.1:${dp.port}`]);
  t.true(same.err.includes(`127.0.0.1:${dp.port}: the port is in use`), same.err);
  const control = run(["--region", "off", "--control", `${dp.folder}/control`, "--vip", "web 127.0.0.1:0"]);
  t.regex(control.err, /another marllb-dp serves it/);
  const region = run(["--region", `${dp.folder}/region`, "--control", "off", "--vip", "web 127.0.0.1:0"]);
  t.is(region.code, 1);
  t.true(region.err.includes(`${dp.folder}/region`), region.err);
  t.is(await dp.stop(), 0);
});

test("the control socket is the user's own, and answers every kind of show as text and JSON", async (t) => {
  const server = await origin(named("s"));
  const dp = await Dp.start({ servers: [`${addressOf(server)} weight 2 max-connections 50`] });
  t.is(statSync(`${dp.folder}/control`).mode & 0o777, 0o600);
  const p = await dial(dp.port);
  p.socket.write("?\n");
  await p.heard("s\n");
  await dp.statsWhen("a frame", (s) => s.servers[0]?.answers === 1);
  for (const what of ["stats", "weights", "servers", "config", "flows"]) {
    t.true((await dp.control(`show ${what}`)).length > 20, what);
    t.notThrows(() => JSON.parse("{}"));
    t.is(typeof JSON.parse(await dp.control(`show ${what} json`)), "object", what);
  }
  const flows = JSON.parse(await dp.control("show flows json")) as { flows: Record<string, unknown>[]; total: number };
  t.is(flows.total, 1);
  t.is(flows.flows[0]?.client, `127.0.0.1:${p.socket.localPort}`);
  t.is(flows.flows[0]?.server, addressOf(server));
  t.is(flows.flows[0]?.state, "open");
  const count = async (asked: string): Promise<string> => (await dp.control(`show flows ${asked}`)).split("\n").at(-1) as string;
  const q = await dial(dp.port);
  q.socket.write("?\n");
  await q.heard("s\n");
  t.is(await count("max 1"), "2 flows, 1 shown");
  t.is(await count(`vip web server ${addressOf(server)} client 127.0.0.0/8`), "2 flows, 2 shown");
  t.is(await count("server 127.0.0.1:1"), "0 flows, 0 shown");
  t.is(await count("client ::/96,10.0.0.0/8"), "0 flows, 0 shown");
  t.regex(await dp.control("show flows vip other").catch(String), /there is no vip other/);
  q.socket.destroy();
  t.regex(await dp.control("help"), /set-servers/);
  p.socket.end();
  t.is(await dp.stop(), 0);
  await closeOrigin(server);
});

test("show config, read back, makes the same data plane", async (t) => {
  const dp = await Dp.start({
    vip: "mode p2c load waiting max-connections 12 max-servers 9 kappa 0.25 eject off load-balancers 2",
    servers: ["127.0.0.1:9 weight 2.5 max-connections 3", "127.0.0.2:9 drain"],
    lines: ["idle-timeout 90s", "sources 127.0.0.3"],
  });
  const config = await dp.control("show config");
  await dp.stop();
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-dp-"));
  writeFileSync(path.join(folder, "again.conf"), config.replaceAll(dp.folder, folder));
  const again = await Dp.run([binary, "--config", path.join(folder, "again.conf"), "--stop-with-stdin"], folder);
  t.is((await again.control("show config")).replaceAll(folder, dp.folder), config);
  t.is(await again.stop(), 0);
});

test("servers come, change, drain and go without touching a connection", async (t) => {
  const a = await origin(named("a"));
  const b = await origin(named("b"));
  const dp = await Dp.start({ servers: [a] });
  const p = await dial(dp.port);
  p.socket.write("?\n");
  await p.heard("a\n");
  await dp.control(`server vip web ${addressOf(b)} weight 3`);
  await dp.control(`drain vip web ${addressOf(a)}`);
  for (let i = 0; i < 6; i++) t.is(await ask(dp.port), "b");
  await dp.control(`no server vip web ${addressOf(a)}`);
  p.socket.write("?\n");
  await p.heard("a\na\n");
  t.true((await dp.control("show servers")).includes("leaving"));
  p.socket.end();
  await p.closed;
  t.is(p.error, null);
  await until("its slot is free", async () => !(await dp.control("show servers")).includes("leaving"));
  await dp.control(`undrain ${addressOf(b)}`);
  await t.throwsAsync(dp.control(`no server ${addressOf(a)}`), { message: /^error: .*/ });
  await t.throwsAsync(dp.control(`drain vip nobody ${addressOf(a)}`), { message: "error: there is no vip nobody" });
  t.is(await dp.stop(), 0);
  await closeOrigin(a);
  await closeOrigin(b);
});

test("VIPs come and go; the connections of a removed one run on", async (t) => {
  const a = await origin(named("a"));
  const dp = await Dp.start({ servers: [a] });
  await dp.control("vip extra 127.0.0.1:0 mode alias");
  await dp.control(`server vip extra ${addressOf(a)}`);
  const config = await dp.control("show config");
  const port = Number(/vip extra 127\.0\.0\.1:(\d+)/.exec(config)?.[1]);
  t.is(await ask(port), "a");
  const p = await dial(port);
  p.socket.write("?\n");
  await p.heard("a\n");
  await dp.control("no vip extra");
  await t.throwsAsync(ask(port), { code: "ECONNREFUSED" });
  p.socket.write("?\n");
  await p.heard("a\na\n");
  p.socket.end();
  await p.closed;
  t.is(await ask(dp.port), "a");
  t.is(await dp.stop(), 0);
  await closeOrigin(a);
});

test("a server that is a VIP, or leads back to one, is refused at the socket and in a file; nothing changes", async (t) => {
  const a = await origin(named("a"));
  const dp = await Dp.start({ host: "0.0.0.0", servers: [a] });
  await t.throwsAsync(dp.control(`server 127.0.0.2:${dp.port} max-connections 5`), { message: /is the vip itself/ });
  await t.throwsAsync(dp.control(`set-servers ${addressOf(a)} 127.0.0.1:${dp.port}`), { message: /is the vip itself/ });
  await dp.control("vip second 127.0.0.1:0");
  const port = Number(/vip second 127\.0\.0\.1:(\d+)/.exec(await dp.control("show config"))?.[1]);
  await dp.control(`server vip second 127.0.0.1:${dp.port}`); // a chain is no loop
  await t.throwsAsync(dp.control(`server vip web 127.0.0.1:${port}`), { message: /leads back to the vip: vip second/ });
  await t.throwsAsync(dp.control(`vip third 127.0.0.1:${dp.port}`), { message: /overlaps vip web \(0\.0\.0\.0:\d+\)/ });
  const config = await dp.control("show config");
  t.deepEqual(config.match(/^(set-)?server.*$/gm)?.length, 2, config);
  t.is(await ask(dp.port), "a");
  t.is(await ask(port), "a");
  t.is(await dp.stop(), 0);
  await closeOrigin(a);
  const wild = run(["--check", "--vip", "a 0.0.0.0:1", "--server", "127.0.0.1:1"]);
  t.true(wild.err.includes("vip a: server 127.0.0.1:1 is the vip itself"), wild.err);
});

test("SIGHUP reads the file again; a wrong file changes nothing and is reported", async (t) => {
  const a = await origin(named("a"));
  const b = await origin(named("b"));
  const dp = await Dp.start({ servers: [a] });
  const file = `${dp.folder}/dp.conf`;
  const text = readFileSync(file, "utf8");
  const p = await dial(dp.port);
  p.socket.write("?\n");
  await p.heard("a\n");
  writeFileSync(file, text.replace(addressOf(a), addressOf(b)));
  dp.child.process.kill("SIGHUP");
  await until("the new list", async () => (await ask(dp.port)) === "b");
  p.socket.write("?\n");
  await p.heard("a\na\n");
  writeFileSync(file, `${text}nonsense\n`);
  dp.child.process.kill("SIGHUP");
  await until("the error", () => dp.child.stderr.includes("unknown word 'nonsense'"));
  await t.throwsAsync(dp.control("reload"), { message: /dp\.conf:\d+: unknown word/ });
  t.is(await ask(dp.port), "b");
  p.socket.end();
  t.is(await dp.stop(), 0);
  await closeOrigin(a);
  await closeOrigin(b);
});

test("garbage on the control socket: an error, no crash, others are served", async (t) => {
  const dp = await Dp.start();
  const file = `${dp.folder}/control`;
  t.regex(await controlText(file, '\u0001\u0002 nonsense "open'), /^error: /);
  t.regex(await controlText(file, "x".repeat(300_000)), /^error: /);
  t.regex(
    await controlText(file, "show stats json\nshow config\n\nwrong"),
    /\{.*\}\nok\ninstance[\s\S]*\nok\nok\nerror: unknown word 'wrong'/,
  );
  t.regex(await dp.control("show config"), /^instance/);
  t.is(await dp.stop(), 0);
});

test("a client that asks much and reads nothing gets no memory and holds nobody up", async (t) => {
  const list = Array.from({ length: 1024 }, (_, i) => `127.1.${i >> 8}.${i & 255}:80`).join(" ");
  const dp = await Dp.start({ lines: [`set-servers vip web ${list}`] });
  await dp.stats();
  const before = dp.residentKiB();
  const questions = 1000; // each answer has some 200 KB
  const s = net.connect(`${dp.folder}/control`);
  s.pause();
  await new Promise<void>((resolve) => s.write("show stats json\n".repeat(questions), () => resolve()));
  for (let i = 0; i < 10; i++) t.true((await dp.control("show weights")).startsWith("vip web"));
  t.true(dp.residentKiB() - before < 16384, `${before} -> ${dp.residentKiB()} KiB`);
  let answers = 0;
  let tail = "";
  s.setEncoding("latin1");
  s.on("data", (d: string) => {
    const text = tail + d;
    answers += text.split("\nok\n").length - 1;
    tail = text.slice(-3);
  });
  s.resume();
  s.end();
  await new Promise((resolve) => s.once("close", resolve));
  t.is(answers, questions);
  t.is(await dp.stop(), 0);
});

test("mode hash keeps a client at its server; set-mode changes the mode in effect", async (t) => {
  const names = ["a", "b", "c"];
  const servers = await Promise.all(names.map((n) => origin(named(n))));
  const dp = await Dp.start({ vip: "mode hash", servers });
  await dp.statsWhen("mode", (s) => s.mode === "hash");
  await dp.control("set-mode vip web alias");
  await dp.statsWhen("mode", (s) => s.mode === "alias");
  const seen = new Set<string>();
  await until("all servers", async () => seen.add(await ask(dp.port)).size === 3);
  t.regex(await dp.control("show config"), /mode alias/);
  t.is(await dp.stop(), 0);
  await Promise.all(servers.map((s: net.Server) => closeOrigin(s)));
});

test("connections that wait to be accepted when their VIP is removed are served", async (t) => {
  const server = await origin(named("a"));
  const dp = await Dp.start({ servers: [server], threads: 1 });
  dp.child.process.kill("SIGSTOP"); // the kernel goes on with handshakes
  const peers = [];
  for (let i = 0; i < 50; i++) {
    const p = await dial(dp.port);
    p.socket.write("?\n");
    peers.push(p);
  }
  const removed = dp.control("no vip web");
  await new Promise((resolve) => setTimeout(resolve, 100)); // the order is at the socket
  dp.child.process.kill("SIGCONT");
  await removed;
  for (const p of peers) await p.heard("a\n");
  for (const p of peers) p.socket.destroy();
  t.is(await dp.stop(), 0);
  await closeOrigin(server);
});

test("--order gives a line to the data plane that runs; who changed what is a line of the log", async (t) => {
  const server = await origin(named("a"));
  const dp = await Dp.start({ servers: [server] });
  const give = (line: string) => run(["--control", path.join(dp.folder, "control"), "--order", line]);
  t.regex(give("show config").out, /^vip web /m);
  t.deepEqual(give(`drain ${addressOf(server)}`), { code: 0, out: "", err: "" });
  const refused = give("drain 127.0.0.1:1");
  t.is(refused.code, 1);
  t.regex(refused.err, /marllb-dp: vip web has no server 127\.0\.0\.1:1/);
  await until("it is in the log", () => /info: order of user \d+, process \d+: drain 127\.0\.0\.1:\d+$/m.test(dp.child.stderr));
  t.notRegex(dp.child.stderr, /order of .*show|order of .*127\.0\.0\.1:1$/m);
  t.is(await dp.stop(), 0);
  await closeOrigin(server);
});

test("a configuration without a VIP is said to be one", (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-dp-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "dp.conf");
  writeFileSync(file, "threads 1\n");
  t.deepEqual(run(["--config", file, "--check"]), {
    code: 0,
    out: "the configuration is right, and has no vip\n",
    err: "",
  });
});
