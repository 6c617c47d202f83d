// SPDX-License-Identifier: Apache-2.0
// A takeover ends with exactly one data plane, whoever comes at the same time and whatever ends meanwhile.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import test from "ava";
import { addressOf, ask, binary, closeOrigin, Dp, dial, echo, named, origin, type Peer, until } from "./bed.js";

const alive = (dp: Dp): boolean => dp.child.process.exitCode === null && dp.child.process.signalCode === null;

/** Has the process mapped the file that has this name now? */
function maps(pid: number, file: string): boolean {
  const { ino } = statSync(file);
  return readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .some((l) => l.includes(file) && Number(l.split(/\s+/)[4]) === ino);
}

const takeover = (folder: string): string[] => [binary, "--config", `${folder}/dp.conf`, "--stop-with-stdin", "--takeover"];

test("two takeovers at once, 20 times: one data plane is left, and region and control socket are its own", async (t) => {
  const servers = await Promise.all(["a", "b"].map((n) => origin(named(n))));
  let now = await Dp.start({ servers });
  const { folder, port } = now;
  for (let round = 0; round < 20; round++) {
    const started = await Promise.allSettled([1, 2].map(() => Dp.run(takeover(folder), folder)));
    const all = [now, ...started.flatMap((s) => (s.status === "fulfilled" ? [s.value] : []))];
    await until("all but one have ended", () => all.filter(alive).length <= 1);
    now = all.find(alive) as Dp;
    t.truthy(now, `round ${round}: nobody serves`);
    t.true(maps(now.child.pid, `${folder}/region`), `round ${round}`);
    const only = servers[round % 2] as net.Server;
    await now.control(`set-servers vip web ${addressOf(only)}`);
    const answers = await Promise.all(Array.from({ length: 16 }, () => ask(port)));
    t.deepEqual(new Set(answers), new Set([round % 2 ? "b" : "a"]), `round ${round}`);
  }
  t.deepEqual(readdirSync(folder).sort(), ["control", "dp.conf", "region"]);
  t.is(await now.stop(), 0);
  await Promise.all(servers.map(closeOrigin));
});

/** A client of the control socket that stays. */
async function client(file: string): Promise<{ socket: net.Socket; say: (line: string, answer: RegExp) => Promise<void> }> {
  let heard = "";
  const socket = net.connect(file);
  socket.setEncoding("utf8");
  socket.on("data", (d) => {
    heard += d;
  });
  socket.on("error", () => {});
  const say = async (line: string, answer: RegExp): Promise<void> => {
    heard = "";
    socket.write(`${line}\n`);
    await until(
      `${line}: ${answer}`,
      () => answer.test(heard),
      15_000,
      () => heard,
    );
  };
  return { socket, say };
}

test("the listeners go to one client at a time, and only that one can release", async (t) => {
  const server = await origin(named("a"));
  const dp = await Dp.start({ servers: [server] });
  const [first, second] = [await client(`${dp.folder}/control`), await client(`${dp.folder}/control`)];
  await second.say("release", /^error: release: expected `takeover`/);
  await first.say("takeover", /^state \d+\nlistener web [\s\S]*\nok\n$/);
  await second.say("takeover", /^error: another marllb-dp is taking over/);
  await second.say("release", /^error: release: expected/);
  await t.throwsAsync(Dp.run(takeover(dp.folder), dp.folder), { message: /another marllb-dp is taking over/ });
  t.is(await ask(dp.port), "a");
  // The taker goes without a release: the old one serves on and may be asked again.
  first.socket.destroy();
  await until("the taker is forgotten", () => /the new data plane is gone/.test(dp.child.stderr));
  const now = await Dp.run(takeover(dp.folder), dp.folder);
  t.is(await dp.child.exited, 0);
  t.is(await ask(now.port), "a");
  second.socket.destroy();
  t.is(await now.stop(), 0);
  await closeOrigin(server);
});

test("an old data plane that does not answer is left as it was, and one that is dead is followed", async (t) => {
  const server = await origin(named("a"));
  // In its place: gives nothing away, and then does not answer, refuses, or ends.
  const folder = (await Dp.command({ servers: [server] })).folder;
  for (const [what, expected] of [
    ["drop", /refused to be released, and serves on/],
    ["end", null],
  ] as const) {
    const fake = net.createServer((s) => {
      s.on("error", () => {});
      s.on("data", (d) => {
        if (String(d) === "takeover\n") s.write(`vip web 127.0.0.1:0\nserver vip web ${addressOf(server)}\nok\n`);
        else {
          if (what === "end") fake.close();
          s.destroy();
        }
      });
    });
    await new Promise<void>((resolve) => fake.listen(`${folder}/control`, resolve));
    if (expected) {
      await t.throwsAsync(Dp.run(takeover(folder), folder), { message: expected });
      t.deepEqual(readdirSync(folder).sort(), ["control", "dp.conf"]);
      await new Promise((resolve) => fake.close(resolve));
    } else {
      const dp = await Dp.run(takeover(folder), folder);
      await until("it says so", () => /the old data plane ended meanwhile/.test(dp.child.stderr));
      t.is(await ask(dp.port), "a");
      t.is(await dp.stop(), 0);
    }
  }
  await closeOrigin(server);
});

test("a takeover hands over what was changed at run time, and takes from the file what was changed there", async (t) => {
  const servers = await Promise.all(["a", "b", "c"].map((n) => origin(named(n))));
  const [a, b, c] = servers.map(addressOf);
  const old = await Dp.start({
    servers: [servers[0] as net.Server, servers[1] as net.Server],
    lines: ["vip gone 127.0.0.1:0", `server vip gone ${a}`, "vip filed 127.0.0.1:0", `server vip filed ${a}`, "retries 1"],
  });
  for (const line of [
    "vip api 127.0.0.1:0 max-connections 9",
    `server vip api ${c} weight 3 max-connections 7`,
    "no vip gone",
    "set-mode vip web p2c",
    "idle-timeout 33s",
    `server vip web ${b} max-connections 5`,
    `drain vip web ${a}`,
  ])
    await old.control(line);
  const before = (await old.control("show config")).split("\n");
  const api = Number(/vip api 127\.0\.0\.1:(\d+)/.exec(before.join("\n"))?.[1]);
  // Meanwhile the file: another retries, another VIP, one server less in a VIP.
  const file = `${old.folder}/dp.conf`;
  const text = readFileSync(file, "utf8").replace("retries 1", "retries 2").replace(`server vip filed ${a}\n`, "");
  writeFileSync(file, `${text}vip new 127.0.0.1:0\nserver vip new ${b}\n`);
  const now = await Dp.run(takeover(old.folder), old.folder);
  t.is(await old.child.exited, 0);
  const after = (await now.control("show config")).split("\n");
  const only = (x: string[], y: string[]): string[] => x.filter((l) => !y.includes(l));
  t.deepEqual(only(before, after), ["retries 1", `server vip filed ${a} weight 1 max-connections 0`]);
  t.regex(
    only(after, before).join("\n"),
    new RegExp(`^retries 2\nvip new 127.0.0.1:\\d+ .*\nserver vip new ${b} weight 1 max-connections 0$`),
  );
  t.is(await ask(api), "c");
  t.is(await ask(now.port), "b"); // a drains
  t.is(await ask(now.ports.get("new") as number), "b");
  // SIGHUP makes the file's the whole truth again.
  await now.control("reload");
  t.notRegex(await now.control("show config"), /vip api|idle-timeout 33s|p2c/);
  t.is(await now.stop(), 0);
  await Promise.all(servers.map(closeOrigin));
});

test("a reload that cannot be applied as a whole takes nothing from the next takeover; a file without a vip changes nothing", async (t) => {
  const server = await origin(named("a"));
  const busy = await origin(echo);
  const old = await Dp.start({ servers: [server] });
  const file = `${old.folder}/dp.conf`;
  const text = readFileSync(file, "utf8");
  writeFileSync(file, `${text}vip late ${addressOf(busy)}\nserver vip late ${addressOf(server)}\n`);
  await t.throwsAsync(old.control("reload"), { message: /nothing was changed: .*in use by another process/ });
  const port = Number(addressOf(busy).split(":")[1]);
  await closeOrigin(busy);
  const now = await Dp.run(takeover(old.folder), old.folder);
  t.is(await ask(port), "a");
  writeFileSync(file, "threads 2\n");
  await t.throwsAsync(now.control("reload"), { message: /has no vip any more: nothing was changed/ });
  t.is(await ask(now.port), "a");
  await t.throwsAsync(
    Dp.run([binary, "--region", `${old.folder}/region`, "--control", `${old.folder}/control`, "--takeover"], old.folder),
    {
      message: /this configuration has no vip/,
    },
  );
  t.is(await ask(now.port), "a");
  t.is(await now.stop(), 0);
  await closeOrigin(server);
});

test("connections of the one that drains count against the limits of the new one, over two takeovers", async (t) => {
  const server = await origin(echo);
  const dp = await Dp.start({
    vip: "max-connections 12",
    lines: [`server vip web ${addressOf(server)} max-connections 10`, "drain-timeout 60s"],
  });
  const held: Peer[] = [];
  /** Opens until one is turned away; how many the server has then. */
  const fill = async (port: number): Promise<number> => {
    for (;;) {
      const p = await dial(port);
      p.socket.write("x");
      await until("an answer or an end", () => p.text !== "" || p.error !== null || p.ended);
      if (p.text === "") return held.length;
      held.push(p);
    }
  };
  t.is(await fill(dp.port), 10);
  let now = await Dp.run(takeover(dp.folder), dp.folder);
  t.is(await fill(now.port), 10);
  const shown = JSON.parse(await now.control("show servers json")) as { servers: { connections: number; previous: number }[] };
  t.like(shown.servers[0], { connections: 0, previous: 10 });
  const second = now;
  for (const p of held.splice(0, 4)) p.socket.destroy();
  await until("the places of those that went are free", async () => {
    const s = JSON.parse(await now.control("show servers json")) as { servers: { previous: number }[] };
    return s.servers[0]?.previous === 6;
  });
  t.is(await fill(now.port), 10);
  now = await Dp.run(takeover(dp.folder), dp.folder);
  t.is(await fill(now.port), 10);
  for (const p of held.splice(0)) p.socket.destroy();
  t.is(await dp.child.exited, 0);
  t.is(await second.child.exited, 0);
  await until("all places are free", async () => {
    const s = JSON.parse(await now.control("show servers json")) as { servers: { previous: number }[] };
    return s.servers[0]?.previous === 0;
  });
  t.is(await fill(now.port), 10);
  for (const p of held) p.socket.destroy();
  t.is(await now.stop(), 0);
  await closeOrigin(server);
});

test("region and control socket that somebody removed are made again, and a takeover finds the running one", async (t) => {
  const server = await origin(named("a"));
  const dp = await Dp.start({ servers: [server] });
  for (const f of ["region", "control"]) rmSync(`${dp.folder}/${f}`);
  await until("both are there", () => ["region", "control"].every((f) => readdirSync(dp.folder).includes(f)));
  await until("the region is its own", () => maps(dp.child.pid, `${dp.folder}/region`));
  t.is((await dp.stats()).name, "web");
  rmSync(`${dp.folder}/control`);
  await until("it is there again", () => readdirSync(dp.folder).includes("control"));
  const now = await Dp.run(takeover(dp.folder), dp.folder);
  t.is(await dp.child.exited, 0);
  t.is(await ask(now.port), "a");
  t.is(await now.stop(), 0);
  await closeOrigin(server);
});
