// SPDX-License-Identifier: Apache-2.0
// A takeover ends with exactly one data plane, whoever comes at the same time and whatever ends meanwhile.
import { readdirSync, readFileSync, statSync } from "node:fs";
import net from "node:net";
import test from "ava";
import { addressOf, ask, binary, closeOrigin, Dp, named, origin, until } from "./bed.js";

const alive = (dp: Dp): boolean => dp.child.process.exitCode === null && dp.child.process.signalCode === null;

/** Has the process mapped the file that has this name now? */
function maps(pid: number, file: string): boolean {
  const { ino } = statSync(file);
  return readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .some((l) => l.endsWith(file) && Number(l.split(/\s+/)[4]) === ino);
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
  await first.say("takeover", /^listener web [\s\S]*\nok\n$/);
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
