// SPDX-License-Identifier: Apache-2.0
// --supervise: whatever dies, the listeners are held, and clients wait a moment instead of being refused.
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { freePort, START_MS } from "../../../testbed/process.js";
import { addressOf, ask, closeOrigin, Dp, dial, echo, named, origin, until } from "./bed.js";

/** The pid of the next data plane, once it serves. */
async function nextReady(dp: Dp): Promise<number> {
  for (;;) {
    const line = JSON.parse(await dp.child.line(START_MS)) as { ready: boolean; pid: number };
    if (line.ready) return line.pid;
  }
}

/** How many sockets a process has open. */
const socketsOf = (pid: number): number =>
  readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:");
    } catch {
      return false; // closed since
    }
  }).length;

/** One that outlives its supervisor: it is ended at the test's end, whatever happens. */
async function lasting(t: ExecutionContext, run: () => Promise<Dp>): Promise<Dp> {
  const dp = await run();
  t.teardown(() => {
    for (const pid of [dp.child.pid, dp.servingPid]) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
    rmSync(dp.folder, { recursive: true, force: true });
  });
  return dp;
}

/** Asks one after the other until told to stop; connections that were refused, and all others that failed. */
interface Asked {
  answered: number;
  refused: number;
  failed: number;
}

function asking(port: number): { seen: Asked; stop(): Promise<Asked> } {
  let on = true;
  const seen: Asked = { answered: 0, refused: 0, failed: 0 };
  const one = async (): Promise<void> => {
    while (on) {
      try {
        await ask(port);
        seen.answered++;
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code === "ECONNREFUSED") seen.refused++;
        else seen.failed++;
      }
    }
  };
  const all = Promise.all([one(), one(), one(), one()]);
  return {
    seen,
    async stop() {
      on = false;
      await all;
      return seen;
    },
  };
}

test("kill -9 of the data plane, five times: the next one serves the same sockets, and no client is refused", async (t) => {
  const server = await origin(named("a"));
  const dp = await Dp.start({ servers: [server], args: ["--supervise"] });
  t.not(dp.servingPid, dp.child.pid);
  const clients = asking(dp.port);
  let pid = dp.servingPid;
  for (let i = 0; i < 5; i++) {
    process.kill(pid, "SIGKILL");
    pid = await nextReady(dp);
    const before = clients.seen.answered;
    await until("it serves", () => clients.seen.answered > before);
  }
  const seen = await clients.stop();
  t.is(seen.refused, 0);
  // Only those that the dead one had accepted: at most the four that ask, each time.
  t.true(seen.failed <= 20, JSON.stringify(seen));
  t.is(await dp.stop(), 0);
  await closeOrigin(server);
});

test("a VIP that is removed is let go, one that is added is held", async (t) => {
  const servers = await Promise.all(["a", "b"].map((n) => origin(named(n))));
  const dp = await Dp.start({ servers: servers.slice(0, 1), args: ["--supervise"] });
  const held = (): number => socketsOf(dp.child.pid);
  const before = held();
  // It has the port by itself: the next data plane does not know this VIP, and lets it go.
  await dp.control("vip more 127.0.0.1:0");
  const [, port] = /vip more 127\.0\.0\.1:(\d+)/.exec(await dp.control("show config")) ?? [];
  await dp.control(`server vip more ${addressOf(servers[1] as Server)}`);
  t.is(await ask(Number(port)), "b");
  await until("the supervisor holds it", () => held() > before);
  await dp.control("no vip more");
  // While the listener parts SYNs are dropped: a client sends again after one, three, seven seconds.
  await until(
    "nobody listens there",
    async () =>
      ask(Number(port)).then(
        () => false,
        (e: NodeJS.ErrnoException) => e.code === "ECONNREFUSED",
      ),
    60_000,
  );
  process.kill(dp.servingPid, "SIGKILL");
  await nextReady(dp);
  t.is(await ask(dp.port), "a");
  t.is(await dp.stop(), 0);
  await Promise.all(servers.map(closeOrigin));
});

test("SIGUSR2: the supervisor ends, the next one takes over from the data plane that serves on; no connection is lost", async (t) => {
  const server = await origin(echo);
  const dp = await lasting(t, () => Dp.start({ servers: [server], args: ["--supervise"], alone: true }));
  const open = await dial(dp.port);
  open.socket.write("before ");
  await open.heard("before ");
  const clients = asking(dp.port);
  dp.child.process.kill("SIGUSR2");
  t.is(await dp.child.exited, 0);
  const next = await lasting(t, () => Dp.run([...dp.command, "--takeover"], dp.folder));
  t.not(next.servingPid, dp.servingPid);
  const seen = await clients.stop();
  t.deepEqual([seen.refused, seen.failed], [0, 0]);
  open.socket.end("after");
  await open.closed;
  t.is(open.text, "before after");
  next.child.process.kill("SIGTERM");
  t.is(await next.child.exited, 0);
  await closeOrigin(server);
});

test("kill -9 of the supervisor: the data plane serves on, and the next supervisor takes over", async (t) => {
  const server = await origin(named("a"));
  const dp = await lasting(t, () => Dp.start({ servers: [server], args: ["--supervise"], alone: true }));
  const clients = asking(dp.port);
  dp.child.process.kill("SIGKILL");
  await dp.child.exited;
  t.is(await ask(dp.port), "a");
  const next = await lasting(t, () => Dp.run([...dp.command, "--takeover"], dp.folder));
  const pid = next.servingPid;
  process.kill(pid, "SIGKILL");
  next.servingPid = await nextReady(next);
  t.not(next.servingPid, pid);
  t.is((await clients.stop()).refused, 0);
  next.child.process.kill("SIGTERM");
  t.is(await next.child.exited, 0);
  await closeOrigin(server);
});

test("SIGTERM drains and ends both; one that cannot start ends the supervisor with its reason", async (t) => {
  const server = await origin(echo);
  const dp = await Dp.start({ servers: [server], args: ["--supervise"] });
  const open = await dial(dp.port);
  open.socket.write("x");
  await open.heard("x");
  dp.child.process.kill("SIGTERM");
  await until("new clients are turned away", async () =>
    ask(dp.port).then(
      () => false,
      () => true,
    ),
  );
  open.socket.end("y");
  await open.closed;
  t.is(open.text, "xy");
  t.is(await dp.child.exited, 0);

  const e = await t.throwsAsync(Dp.start({ servers: [server], args: ["--supervise"], lines: ["vip more 127.0.0.1:1"], port: 1 }));
  t.regex(e?.message ?? "", /ended with 1|127\.0\.0\.1:1/);
  await closeOrigin(server);
});

test("a second supervisor takes over: the first one ends when its data plane has drained, whatever ends that", async (t) => {
  const server = await origin(echo);
  const first = await lasting(t, () => Dp.start({ servers: [server], args: ["--supervise"], alone: true }));
  const open = await dial(first.port);
  open.socket.write("x");
  await open.heard("x");
  const clients = asking(first.port);
  const second = await lasting(t, () => Dp.run([...first.command, "--takeover"], first.folder));
  // It drains, for the open connection. A death now must not bring the next one, which would take the listeners back.
  process.kill(first.servingPid, "SIGKILL");
  t.is(await first.child.exited, 0);
  const before = clients.seen.answered;
  await until("the second one serves", () => clients.seen.answered > before);
  const pid = second.servingPid;
  process.kill(pid, 0);
  process.kill(pid, "SIGKILL");
  second.servingPid = await nextReady(second);
  t.not(second.servingPid, pid);
  t.is((await clients.stop()).refused, 0);
  second.child.process.kill("SIGTERM");
  t.is(await second.child.exited, 0);
  await closeOrigin(server);
});

test("two supervisors started at once with --takeover: one of them serves, the other one ends", async (t) => {
  const server = await origin(named("a"));
  const { folder, command } = Dp.command({
    servers: [server],
    port: await freePort(),
    args: ["--supervise", "--takeover"],
    alone: true,
  });
  const both = await Promise.all([1, 2].map(() => lasting(t, () => Dp.run(command, folder))));
  const loser = await Promise.race(both.map((dp) => dp.child.exited.then((code) => ({ dp, code }))));
  t.is(loser.code, 0);
  const winner = both.find((dp) => dp !== loser.dp) as Dp;
  t.is(await ask(winner.port), "a");
  const pid = winner.servingPid;
  process.kill(pid, "SIGKILL");
  winner.servingPid = await nextReady(winner);
  t.is(await ask(winner.port), "a");
  winner.child.process.kill("SIGTERM");
  t.is(await winner.child.exited, 0);
  await closeOrigin(server);
});

test("without --takeover a second supervisor is refused, also beside a data plane whose supervisor died", async (t) => {
  const server = await origin(named("a"));
  const dp = await lasting(t, () => Dp.start({ servers: [server], args: ["--supervise"], alone: true }));
  for (const signal of [0, "SIGKILL"] as const) {
    process.kill(dp.child.pid, signal);
    if (signal) await dp.child.exited;
    const e = await t.throwsAsync(Dp.run(dp.command, dp.folder));
    t.regex(e?.message ?? "", /another marllb-dp serves it; use --takeover/);
    t.is(await ask(dp.port), "a");
  }
  await closeOrigin(server);
});

test("who takes over without a supervisor is followed by the next one of the supervisor", async (t) => {
  const server = await origin(named("a"));
  const dp = await lasting(t, () => Dp.start({ servers: [server], args: ["--supervise"], alone: true }));
  const clients = asking(dp.port);
  const plain = dp.command.filter((a) => a !== "--supervise");
  const byHand = await lasting(t, () => Dp.run([...plain, "--takeover"], dp.folder));
  dp.servingPid = await nextReady(dp);
  t.is(await byHand.child.exited, 0);
  const seen = await clients.stop();
  t.deepEqual([seen.refused, seen.failed], [0, 0]);
  dp.child.process.kill("SIGTERM");
  t.is(await dp.child.exited, 0);
  await closeOrigin(server);
});

test("a file that has become wrong does not keep the next data plane from serving, in whichever way it is wrong", async (t) => {
  const server = await origin(named("a"));
  const dp = await Dp.start({ servers: [server], args: ["--supervise"] });
  const file = path.join(dp.folder, "dp.conf");
  const right = readFileSync(file, "utf8");
  const used = await origin(named("b"));
  let pid = dp.servingPid;
  for (const wrong of ["vip web nonsense\n", `${right}vip other ${addressOf(used)}\n`, ""]) {
    writeFileSync(file, wrong);
    for (let i = 0; i < 2; i++) {
      process.kill(pid, "SIGKILL");
      pid = await nextReady(dp);
      t.is(await ask(dp.port), "a");
    }
  }
  t.regex(dp.child.stderr, /the configuration that ran last holds, until SIGHUP finds the file right: .*dp\.conf/);
  // It is read again like any other.
  writeFileSync(file, `${right}idle-timeout 77s\n`);
  t.is(await dp.control("reload"), "");
  process.kill(pid, "SIGKILL");
  await nextReady(dp);
  t.regex(await dp.control("show config"), /^idle-timeout 77s$/m);
  t.is(await dp.stop(), 0);
  await Promise.all([server, used].map(closeOrigin));
});
