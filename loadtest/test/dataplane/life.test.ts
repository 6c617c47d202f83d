// SPDX-License-Identifier: Apache-2.0
// Stops, restarts, takeovers and server lists in motion, under load.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import test from "ava";
import { sleep } from "../../../testbed/wait.js";
import { random } from "../../demo/random.js";
import { addressOf, ask, binary, closeOrigin, Dp, dial, echo, named, origin, type Peer, until, type VipStats } from "./bed.js";

/** Clients that come, ask a few times, and go, until stopped; every failure is kept. */
class Load {
  answered = 0;
  readonly failures: string[] = [];
  private running = true;
  private readonly done: Promise<unknown>;
  constructor(
    private readonly port: number,
    clients = 8,
  ) {
    this.done = Promise.all(Array.from({ length: clients }, (_, i) => this.client(random(i + 1))));
  }
  private async client(rnd: () => number): Promise<void> {
    while (this.running) {
      let p: Peer | undefined;
      try {
        p = await dial(this.port);
        const heard = p;
        const questions = 1 + Math.floor(rnd() * 4);
        for (let i = 1; i <= questions; i++) {
          p.socket.write("?\n");
          await until("an answer", () => heard.text.split("\n").length > i || heard.error !== null || heard.ended);
          if (p.error || p.ended) throw p.error ?? new Error("ended early");
        }
        p.socket.end();
        await p.closed;
        if (p.error) throw p.error;
        this.answered++;
      } catch (e) {
        this.failures.push((e as NodeJS.ErrnoException).code ?? (e as Error).message);
        p?.socket.destroy();
      }
    }
  }
  async stop(): Promise<void> {
    this.running = false;
    await this.done;
  }
}

test("SIGTERM: no new connections, open ones finish, then it ends and leaves no file", async (t) => {
  const server = await origin(named("a"));
  const dp = await Dp.start({ servers: [server] });
  const p = await dial(dp.port);
  p.socket.write("?\n");
  await p.heard("a\n");
  dp.child.process.kill("SIGTERM");
  await until("the listener is closed", async () => {
    try {
      await ask(dp.port);
      return false;
    } catch (e) {
      return (e as NodeJS.ErrnoException).code === "ECONNREFUSED";
    }
  });
  p.socket.write("?\n");
  await p.heard("a\na\n");
  await t.throwsAsync(dp.control("server 127.0.0.1:9"), { message: /drains/ });
  p.socket.end();
  await p.closed;
  t.is(p.error, null);
  t.is(await dp.child.exited, 0);
  t.false(existsSync(`${dp.folder}/region`));
  t.false(existsSync(`${dp.folder}/control`));
  await dp.stop();
  await closeOrigin(server);
});

test("a second signal, drain-timeout, quit and the end of stdin stop it with connections open", async (t) => {
  const server = await origin(named("a"));
  const ways: [string, (dp: Dp) => unknown][] = [
    [
      "two signals",
      async (dp) => {
        dp.child.process.kill("SIGINT");
        await until("draining", () => dp.child.stderr.includes("no new connections"));
        dp.child.process.kill("SIGINT");
      },
    ],
    ["stop", (dp) => dp.control("drain-timeout 50ms").then(() => dp.control("stop"))],
    ["quit", (dp) => dp.control("quit")],
    ["stdin", (dp) => dp.control("drain-timeout 50ms").then(() => dp.child.process.stdin?.end())],
  ];
  for (const [name, stop] of ways) {
    const dp = await Dp.start({ servers: [server] });
    const p = await dial(dp.port);
    p.socket.write("?\n");
    await p.heard("a\n");
    await stop(dp);
    t.is(await dp.child.exited, 0, name);
    await p.closed;
    // Cut, not ended: a client must not take it for a whole answer.
    t.is(p.error?.code, "ECONNRESET", name);
    await dp.stop();
  }
  await closeOrigin(server);
});

test("a short first-byte-timeout does not wait for the connect-timeout, and a shorter one holds for open connections", async (t) => {
  const server = await origin(named("a"));
  const dp = await Dp.start({ servers: [server], lines: ["connect-timeout 10m", "first-byte-timeout 200ms"] });
  const silent = await dial(dp.port);
  await until("the silent one is closed", () => silent.ended || silent.error !== null);
  silent.socket.destroy();
  await dp.control("first-byte-timeout 0");
  const open = await dial(dp.port);
  open.socket.write("?\n");
  await open.heard("a\n");
  await dp.control("idle-timeout 200ms");
  await until("the open one is closed", () => open.ended || open.error !== null);
  open.socket.destroy();
  t.is(await dp.stop(), 0);
  await closeOrigin(server);
});

test("idle-timeout closes what is silent and nothing else", async (t) => {
  const server = await origin(named("a"));
  const dp = await Dp.start({ servers: [server], lines: ["idle-timeout 600ms"] });
  const silent = await dial(dp.port);
  const busy = await dial(dp.port);
  let busyClosed = false;
  void busy.closed.then(() => {
    busyClosed = true;
  });
  const timer = setInterval(() => busy.socket.write("?\n"), 50);
  await until("the silent one is closed", () => silent.ended || silent.error !== null);
  t.false(busyClosed);
  clearInterval(timer);
  silent.socket.destroy();
  busy.socket.destroy();
  t.is(await dp.stop(), 0);
  await closeOrigin(server);
});

/** What a client of a VIP sees of the end that a time-out makes, and how the flow was counted. */
const timedOut = async (dp: Dp, vip: string, said: string[], end: boolean): Promise<unknown[]> => {
  const client = net.connect({ port: dp.ports.get(vip) as number, host: "127.0.0.1", allowHalfOpen: true });
  let text = "";
  let code: string | undefined;
  client.on("data", (d) => (text += d)).on("error", (e: NodeJS.ErrnoException) => (code = e.code));
  const over = new Promise((resolve) => client.once("close", resolve).once("end", resolve));
  for (const [i, line] of said.entries()) {
    client.write(line);
    if (i + 1 < said.length) await until("an answer", () => text.length > i);
  }
  if (end) client.end();
  await over;
  const isOver = (x: VipStats) => (x.servers[0]?.completions ?? 0) + (x.servers[0]?.timedOut ?? 0) === 1;
  const s = (await dp.statsWhen(`the flow of ${vip} is over`, isOver, 15_000, vip)).servers[0];
  client.destroy();
  return [code, text, s?.completions, s?.timedOut];
};

test("idle-timeout ends in order what nobody waits on, and resets the rest: no completion", async (t) => {
  let turns = 0;
  const servers = {
    silent: await origin((s) => s.resume()),
    kept: await origin((s) => s.on("data", () => s.write("!"))),
    asked: await origin((s) => s.on("data", () => turns++ === 0 && s.write("!"))),
    half: await origin((s) => s.once("data", () => s.write("half an answer"))),
    whole: await origin((s) => s.once("data", () => s.end("an answer"))),
  };
  const dp = await Dp.start({
    servers: [servers.silent],
    lines: [
      "idle-timeout 400ms",
      "half-closed-timeout 300ms",
      ...Object.entries(servers).flatMap(([name, s]) => [`vip ${name} 127.0.0.1:0`, `server vip ${name} ${addressOf(s)}`]),
    ],
  });
  t.deepEqual(await timedOut(dp, "silent", ["?"], false), ["ECONNRESET", "", 0, 1], "never answered");
  t.deepEqual(await timedOut(dp, "kept", ["?", "?"], false), [undefined, "!!", 1, 0], "kept for the next request");
  t.deepEqual(await timedOut(dp, "asked", ["?", "?"], false), ["ECONNRESET", "!", 0, 1], "the second one unanswered");
  // A client that has ended reads to the end: one that is made up would make the half a whole.
  t.deepEqual((await timedOut(dp, "half", ["?"], true)).slice(0, 3), ["ECONNRESET", "half an answer", 0], "half an answer");
  t.deepEqual(await timedOut(dp, "whole", ["?"], false), [undefined, "an answer", 1, 0], "the server has ended");
  t.is(await dp.stop(), 0);
  for (const s of Object.values(servers)) await closeOrigin(s);
});

test("closed standard descriptors are never a socket's: lines of the log reach no client", async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-dp-"));
  const server = await origin(named("a"));
  const flags = ["--region", "off", "--control", `${folder}/control`, "--vip", "web 127.0.0.1:0", "--server", addressOf(server)];
  const p = spawn("sh", ["-c", 'exec "$0" "$@" <&- 2>&-', binary, ...flags], { stdio: ["ignore", "pipe", "ignore"] });
  t.teardown(() => {
    p.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  });
  await new Promise((resolve) => p.stdout.once("data", resolve));
  for (const fd of [0, 2]) t.is(readlinkSync(`/proc/${p.pid}/fd/${fd}`), "/dev/null");
  await closeOrigin(server);
});

test("kill -9: the restart serves at once on the same port, with a new region", async (t) => {
  const server = await origin(named("a"));
  const first = await Dp.start({ servers: [server] });
  const { folder, port } = first;
  t.is(await ask(port), "a");
  first.child.process.kill("SIGKILL");
  await first.child.exited;
  t.true(existsSync(`${folder}/region`));
  const begin = performance.now();
  const second = await Dp.start({ servers: [server], folder, port });
  t.is(await ask(port), "a");
  t.log(`served ${Math.round(performance.now() - begin)} ms after its start`);
  t.is(await second.stop(), 0);
  await closeOrigin(server);
});

test("a new binary takes over under load: no connection refused or reset, the old one drains and ends", async (t) => {
  const servers = await Promise.all(["a", "b"].map((n) => origin(named(n))));
  const old = await Dp.start({ servers: [servers[0] as net.Server] });
  await old.control(`server vip web ${addressOf(servers[1] as net.Server)} weight 4`);
  const held = await dial(old.port);
  held.socket.write("?\n");
  await held.heard("\n");
  const load = new Load(old.port);
  await until("load runs", () => load.answered > 50);
  const command = [binary, "--config", `${old.folder}/dp.conf`, "--stop-with-stdin", "--takeover"];
  let now = await Dp.run([...command, "--threads", "3"], old.folder);
  t.is(now.port, old.port);
  // The list as it ran, not as the file has it.
  t.true((await now.control("show config")).includes(`${addressOf(servers[1] as net.Server)} weight 4`));
  held.socket.write("?\n");
  await until("the old connection still works", () => held.text.split("\n").length === 3);
  const before = load.answered;
  await until("the new one answers", () => load.answered > before + 50);
  held.socket.end();
  await held.closed;
  t.is(held.error, null);
  t.is(await old.child.exited, 0);
  t.true(existsSync(`${now.folder}/region`) && existsSync(`${now.folder}/control`));
  // And again, several times in a row.
  for (let i = 0; i < 3; i++) {
    const next = await Dp.run(command, old.folder);
    t.is(await now.child.exited, 0);
    now = next;
    await until(
      "load runs on",
      (
        (n) => () =>
          load.answered > n
      )(load.answered + 20),
    );
  }
  await load.stop();
  t.deepEqual(load.failures, []);
  t.is((await now.statsWhen("all closed", (s) => s.connections === 0)).recountDiff, 0);
  t.is(await now.stop(), 0);
  await Promise.all(servers.map(closeOrigin));
});

test("a takeover by fewer threads keeps every listener", async (t) => {
  const server = await origin(named("a"));
  const lines = Array.from({ length: 24 }, (_, i) => [`vip v${i} 127.0.0.1:0`, `server vip v${i} ${addressOf(server)}`]).flat();
  const old = await Dp.start({ servers: [server], lines, threads: 16 });
  const command = [binary, "--config", `${old.folder}/dp.conf`, "--stop-with-stdin", "--takeover", "--threads", "1"];
  const now = await Dp.run(command, old.folder);
  t.is(await old.child.exited, 0);
  t.notRegex(now.child.stderr, /listener/);
  // The kernel spreads connections over a VIP's 16 listeners: one that nobody watches would leave some without an answer.
  for (const port of now.ports.values())
    t.deepEqual(new Set(await Promise.all(Array.from({ length: 32 }, () => ask(port)))), new Set(["a"]));
  t.is(await now.stop(), 0);
  await closeOrigin(server);
});

test("a takeover that fails leaves the old one its region, its control socket and its clients", async (t) => {
  const server = await origin(named("a"));
  const other = await origin(echo);
  const old = await Dp.start({ servers: [server] });
  const region = statSync(`${old.folder}/region`).ino;
  const command = [binary, "--config", `${old.folder}/dp.conf`, "--stop-with-stdin", "--takeover"];
  await t.throwsAsync(Dp.run([...command, "--vip", `extra ${addressOf(other)}`], old.folder));
  t.is(statSync(`${old.folder}/region`).ino, region);
  t.deepEqual(readdirSync(old.folder).sort(), ["control", "dp.conf", "region"]);
  t.is(await ask(old.port), "a");
  t.is((await old.stats()).name, "web");
  t.is(await old.stop(), 0);
  await closeOrigin(server);
  await closeOrigin(other);
});

test("--takeover starts alone where nobody serves", async (t) => {
  const dp = await Dp.start({ args: ["--takeover"] });
  t.true(dp.port > 0);
  t.is(await dp.stop(), 0);
});

test("servers added and removed 50 times a second under load: no reset, every count right", async (t) => {
  const fixed = await origin(named("fixed"));
  const extra = await Promise.all(["x", "y", "z"].map((n) => origin(named(n))));
  const dp = await Dp.start({ servers: [fixed], threads: 3 });
  const load = new Load(dp.port, 12);
  const present = new Set<number>();
  const rnd = random(5);
  for (let i = 0; i < 250; i++) {
    const k = Math.floor(rnd() * extra.length);
    const address = addressOf(extra[k] as net.Server);
    if (present.delete(k)) await dp.control(`no server vip web ${address}`);
    else {
      present.add(k);
      await dp.control(`server vip web ${address} weight ${1 + Math.floor(rnd() * 3)}`);
    }
    if (i % 10 === 0) await dp.control(`set-mode vip web ${["sed", "p2c", "alias", "hash"][(i / 10) % 4]}`);
    await sleep(20);
  }
  await load.stop();
  t.deepEqual(load.failures, []);
  t.true(load.answered > 100, `${load.answered} answered`);
  const s = await dp.statsWhen(
    "all closed",
    (v) => v.connections === 0 && v.servers.every((x) => x.flows === 0 && x.waiting === 0),
  );
  t.is(s.recountDiff, 0);
  t.is(await dp.stop(), 0);
  await Promise.all([fixed, ...extra].map(closeOrigin));
});

test("a server killed under load: its flows are cut, all others and all new ones are answered", async (t) => {
  const good = await origin(named("good"));
  const victim = await origin(named("victim"));
  const dp = await Dp.start({ servers: [good, victim] });
  const load = new Load(dp.port);
  await until("both answer", async () => (await dp.stats()).servers.every((s) => s.answers > 20));
  await closeOrigin(victim);
  const cut = load.failures.length;
  const n = load.answered;
  await until("load runs on", () => load.answered > n + 200);
  await load.stop();
  // At most what each client had in hand; a refused connect is never one of them.
  t.true(load.failures.length - cut <= 8, load.failures.join(" "));
  t.deepEqual(
    load.failures.filter((f) => f !== "ECONNRESET" && f !== "ended early"),
    [],
  );
  const s = await dp.statsWhen("counted", (v) => v.connections === 0);
  t.is(s.recountDiff, 0);
  t.is(await dp.stop(), 0);
  await closeOrigin(good);
});

test("the recount runs every second and its difference stays zero", async (t) => {
  const servers = await Promise.all(["a", "b", "c"].map((n) => origin(named(n))));
  const dp = await Dp.start({ servers, threads: 4 });
  const load = new Load(dp.port, 16);
  for (let i = 0; i < 12; i++) {
    await sleep(250);
    t.is((await dp.stats()).recountDiff, 0);
  }
  await load.stop();
  t.deepEqual(load.failures, []);
  t.is(await dp.stop(), 0);
  await Promise.all(servers.map(closeOrigin));
});

test("no signal but SIGTERM, SIGINT and SIGKILL ends it", async (t) => {
  const server = await origin(named("a"));
  const dp = await Dp.start({ servers: [server] });
  const signals = [
    "SIGUSR1",
    "SIGUSR2",
    "SIGALRM",
    "SIGVTALRM",
    "SIGPROF",
    "SIGQUIT",
    "SIGIO",
    "SIGPIPE",
    "SIGHUP",
    "SIGPWR",
  ] as const;
  for (const signal of [...signals, 34, 40, 64]) {
    t.true(process.kill(dp.child.pid, signal as NodeJS.Signals), String(signal));
    t.is(await ask(dp.port), "a", String(signal));
  }
  await until("SIGHUP was a reload", () => /configuration read again/.test(dp.child.stderr));
  t.is(await dp.stop(), 0);
  await closeOrigin(server);
});
