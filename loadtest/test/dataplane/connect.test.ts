// SPDX-License-Identifier: Apache-2.0
// From accept to an open flow: servers that refuse or do not answer, limits, source addresses, ejection.
import { spawn } from "node:child_process";
import net from "node:net";
import test, { type ExecutionContext } from "ava";
import { freePort } from "../../../testbed/process.js";
import { sleep } from "../../../testbed/wait.js";
import { addressOf, ask, closeOrigin, Dp, dial, named, origin, until } from "./bed.js";

/** Refuses: of an address where no test listens, so that none running beside this one takes the port. */
const refusing = async (): Promise<string> => `127.0.0.77:${await freePort()}`;

test("a refused connect is tried on another server before a byte is lost", async (t) => {
  const good = await origin(named("good"));
  const dead = [await refusing(), await refusing()];
  const dp = await Dp.start({ vip: "mode alias eject off", servers: [...dead.map((a) => `${a} weight 10`), good] });
  // Many at once, so that one batch of events holds several of one connection.
  for (let i = 0; i < 20; i++)
    t.deepEqual(new Set(await Promise.all(Array.from({ length: 10 }, () => ask(dp.port)))), new Set(["good"]));
  const s = await dp.statsWhen("counted", (v) => v.servers.reduce((a, x) => a + x.completions, 0) === 200);
  const refused = s.servers.filter((x) => x.address !== addressOf(good)).reduce((a, x) => a + x.refusals, 0);
  t.true(refused > 50, `${refused} refusals`);
  t.is(s.retries, refused);
  t.is(s.recountDiff, 0);
  t.is(await dp.stop(), 0);
  await closeOrigin(good);
});

/** A server that completes no handshake: stopped, its short queue of connections full. */
async function deaf(t: ExecutionContext): Promise<number> {
  const code = `const s=require("net").createServer(()=>{});s.listen({port:0,host:"127.0.0.1",backlog:1},()=>console.log(s.address().port));process.stdin.on("end",()=>process.exit()).resume();`;
  const child = spawn(process.execPath, ["-e", code], { stdio: ["pipe", "pipe", "inherit"] });
  const fillers: net.Socket[] = [];
  t.teardown(async () => {
    for (const s of fillers) s.destroy();
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL"); // it is stopped: nothing less ends it
    await gone;
  });
  const port = await new Promise<number>((resolve) => child.stdout.once("data", (d: Buffer) => resolve(Number(d.toString()))));
  child.kill("SIGSTOP");
  let full = false;
  while (!full && fillers.length < 20) {
    const s = net.connect(port, "127.0.0.1");
    s.on("error", () => {});
    fillers.push(s);
    full = await Promise.race([
      new Promise<false>((resolve) => s.once("connect", () => resolve(false))),
      sleep(500).then(() => true as const),
    ]);
  }
  return port;
}

test("a connect without an answer is tried on another server after the time-out", async (t) => {
  const good = await origin(named("good"));
  const silent = await deaf(t);
  const dp = await Dp.start({
    vip: "mode alias eject off",
    servers: [`127.0.0.1:${silent} weight 30`, good],
    lines: ["connect-timeout 100ms"],
  });
  t.deepEqual(new Set(await Promise.all(Array.from({ length: 8 }, () => ask(dp.port)))), new Set(["good"]));
  const s = await dp.statsWhen("counted", (v) => v.servers.reduce((a, x) => a + x.completions, 0) === 8);
  const unanswered = s.servers.find((x) => x.address !== addressOf(good))?.unanswered as number;
  t.true(unanswered > 0);
  t.is(s.retries, unanswered);
  t.is(await dp.stop(), 0);
  await closeOrigin(good);
});

test("nobody left to try: the client is reset", async (t) => {
  const dp = await Dp.start({ vip: "eject off", servers: [`${await refusing()}`, `${await refusing()}`] });
  const p = await dial(dp.port);
  await p.closed;
  t.is(p.error?.code, "ECONNRESET");
  const s = await dp.statsWhen("counted", (v) => v.servers.every((x) => x.refusals === 1));
  t.is(s.retries, 1);
  t.is(s.connections, 0);
  await dp.control("set-servers");
  const q = await dial(dp.port);
  await q.closed;
  t.is(q.error?.code, "ECONNRESET");
  await dp.statsWhen("counted", (v) => v.noServer === 1);
  t.is(await dp.stop(), 0);
});

test("what the client said while connecting reaches the next server", async (t) => {
  const good = await origin((s) => {
    s.on("data", () => {});
    let n = 0;
    s.on("data", (d) => {
      n += d.length;
    });
    s.on("end", () => s.end(`got ${n}`));
  });
  const silent = await deaf(t);
  const dp = await Dp.start({
    vip: "mode alias eject off",
    servers: [`127.0.0.1:${silent} weight 1000`, good],
    lines: ["connect-timeout 200ms"],
  });
  const p = await dial(dp.port);
  p.socket.end(Buffer.alloc(500_000, 1));
  await p.closed;
  t.is(p.text, "got 500000");
  t.is(await dp.stop(), 0);
  await closeOrigin(good);
});

test("connection limits of a VIP and of a server hold exactly, over all threads", async (t) => {
  const a = await origin(named("a"));
  const b = await origin(named("b"));
  const dp = await Dp.start({
    threads: 3,
    vip: "max-connections 9",
    servers: [`${addressOf(a)} max-connections 2`, `${addressOf(b)} max-connections 5`],
  });
  const all = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const p = await dial(dp.port);
      p.socket.write("?\n");
      return p;
    }),
  );
  await until("each is answered or reset", () => all.every((p) => p.text !== "" || p.error));
  const answered = all.filter((p) => p.text !== "");
  t.is(answered.length, 7);
  t.is(answered.filter((p) => p.text === "a\n").length, 2);
  t.true(all.filter((p) => p.error).every((p) => p.error?.code === "ECONNRESET"));
  t.is((await dp.statsWhen("counted", (v) => v.limited > 0)).limited, 13);
  // A place that is given back is taken again.
  answered[0]?.socket.destroy();
  await dp.statsWhen("one left", (v) => v.connections === 6);
  const again = await dial(dp.port);
  again.socket.write("?\n");
  await again.heard("\n");
  // Limits change while connections are open.
  await dp.control("vip web 127.0.0.1:0 max-connections 100");
  await dp.control(`server vip web ${addressOf(b)} max-connections 6`);
  const more = await dial(dp.port);
  more.socket.write("?\n");
  await more.heard("b\n");
  const over = await dial(dp.port);
  await over.closed;
  t.is(over.error?.code, "ECONNRESET");
  for (const p of [...all, again, more]) p.socket.destroy();
  await dp.statsWhen("all gone", (v) => v.connections === 0);
  t.is(await dp.stop(), 0);
  await closeOrigin(a);
  await closeOrigin(b);
});

test("several source addresses are used in turn, and change while it runs", async (t) => {
  const seen: string[] = [];
  const server = await origin((s) => {
    seen.push(s.remoteAddress as string);
    s.end("x");
  });
  const dp = await Dp.start({ threads: 1, servers: [server], lines: ["sources 127.0.0.5 127.0.0.6 ::1"] });
  for (let i = 0; i < 6; i++) await ask(dp.port);
  t.deepEqual([...new Set(seen)].sort(), ["127.0.0.5", "127.0.0.6"]);
  await dp.control("sources 127.0.0.7");
  seen.length = 0;
  // The workers take the change at their next loop.
  await until("the new address", async () => {
    await ask(dp.port);
    return seen.at(-1) === "127.0.0.7";
  });
  await dp.control("sources none");
  await until("the kernel's choice", async () => {
    await ask(dp.port);
    return seen.at(-1) === "127.0.0.1";
  });
  t.is(await dp.stop(), 0);
  await closeOrigin(server);
});

test("a source address that this machine lacks is said in the log, and not held against the server", async (t) => {
  const server = await origin(named("a"));
  const dp = await Dp.start({ servers: [server], lines: ["sources 192.0.2.7"] });
  for (let i = 0; i < 4; i++) {
    const p = await dial(dp.port);
    await p.closed;
    t.is(p.error?.code, "ECONNRESET");
  }
  await until("a line in the log", () => /cannot connect from source/.test(dp.child.stderr));
  const s = (await dp.statsWhen("counted", (v) => v.servers[0]?.unmade === 4)).servers[0];
  t.is(s?.refusals, 0);
  t.is(s?.ejections, 0);
  await dp.control("sources none");
  t.is(await ask(dp.port), "a");
  t.is(await dp.stop(), 0);
  await closeOrigin(server);
});

test("after one connect that timed out one flow at a time tries the server, however many come", async (t) => {
  const good = await origin(named("good"));
  const silent = await deaf(t);
  const address = `127.0.0.1:${silent}`;
  const dp = await Dp.start({
    vip: "mode alias",
    servers: [`${address} weight 20`, good],
    lines: ["connect-timeout 1s"],
  });
  const unanswered = async () => (await dp.stats()).servers.find((s) => s.address === address)?.unanswered ?? 0;
  await until("a time-out", async () => {
    t.is(await ask(dp.port), "good");
    return (await unanswered()) > 0;
  });
  const before = await unanswered();
  for (let round = 0; round < 2; round++)
    t.deepEqual(new Set(await Promise.all(Array.from({ length: 20 }, () => ask(dp.port)))), new Set(["good"]));
  const n = (await unanswered()) - before;
  t.true(n <= 3, `${n} of 40 flows waited for a server that answers nobody`);
  t.is(await dp.stop(), 0);
  await closeOrigin(good);
});

test("a server that refuses three times in a row is put out, and taken back by a probe", async (t) => {
  const good = await origin(named("good"));
  const address = await refusing();
  const port = Number(address.split(":")[1]);
  const dp = await Dp.start({ vip: "mode alias", servers: [`${address} weight 20`, good] });
  const bad = async () => (await dp.stats()).servers.find((s) => s.address === address);
  await until("ejected", async () => {
    t.is(await ask(dp.port), "good");
    return (await bad())?.ejections === 1;
  });
  // Each of the first two held it back for a moment; a probe may have come since.
  const refusals = (await bad())?.refusals as number;
  t.true(refusals >= 3 && refusals <= 5, `${refusals} refusals`);
  const back = await origin(named("back"), "127.0.0.77", port);
  await until("chosen again", async () => (await ask(dp.port)) === "back", 30_000);
  t.is(await dp.stop(), 0);
  await closeOrigin(good);
  await closeOrigin(back);
});
