// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "ava";
import { Child, type Ready } from "../up/child.js";

const ready = "console.log(JSON.stringify({ ready: true, pid: process.pid, n: 1 }));";
const untilStdinEnds = "process.stdin.on('end', () => process.exit(0)).resume();";

function child(t: { teardown(fn: () => void): void }, script: string, readyMs = 20_000): Child {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-child-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const c = new Child(
    { name: "it", command: process.execPath, args: ["-e", script], readyMs, stopMs: 10_000 },
    path.join(folder, "it.log"),
  );
  t.teardown(() => c.kill());
  return c;
}

const gone = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
};

test("a ready line starts it, the end of its stdin stops it, and what it printed is in the log", async (t) => {
  const c = child(t, `${ready} console.log('hello'); console.error('oops'); ${untilStdinEnds}`);
  const line = new Promise<void>((resolve) => c.once("line", () => resolve()));
  const r = await c.start();
  t.is(r.n, 1);
  await line;
  await c.stop();
  t.true(gone(r.pid));
  const log = readFileSync(c.logFile, "utf8");
  t.regex(log, /hello/);
});

test("a full disk costs its log, nothing else", async (t) => {
  const c = new Child(
    { name: "it", command: process.execPath, args: ["-e", `${ready} console.log('a'); console.error('b'); ${untilStdinEnds}`] },
    "/dev/full",
  );
  t.teardown(() => c.kill());
  const line = new Promise<void>((resolve) => c.once("line", () => resolve()));
  const r = await c.start();
  await line;
  t.is(c.state, "ready");
  await c.stop();
  t.true(gone(r.pid));
});

test("killed, it is started again under a new pid; stopped, it stays down", async (t) => {
  const c = child(t, `${ready} ${untilStdinEnds}`);
  const first = await c.start();
  const deaths: string[] = [];
  c.on("died", (why) => deaths.push(why));
  const again = new Promise<Ready>((resolve) => c.once("ready", resolve));
  process.kill(first.pid, "SIGKILL");
  const second = await again;
  t.not(second.pid, first.pid);
  t.deepEqual(deaths, ["was killed by SIGKILL"]);
  t.is(c.restarts, 1);
  await c.stop();
  t.true(gone(second.pid));
  t.is(c.restarts, 1);
});

test("a supervisor tells the death and the return of what it supervises, and is not started again", async (t) => {
  const says = (line: object) => `console.log(${JSON.stringify(JSON.stringify(line))});`;
  const script = `${ready} ${says({ ready: false, why: "was killed by signal 9" })} ${says({ ready: true, pid: 7 })} ${untilStdinEnds}`;
  const c = child(t, script);
  const events: unknown[] = [];
  c.on("died", (why) => events.push(why)).on("ready", ({ pid }) => events.push(pid));
  const back = new Promise<void>((resolve) => c.on("ready", (r) => r.pid === 7 && resolve()));
  const first = await c.start();
  await back;
  t.deepEqual(events, [first.pid, "was killed by signal 9", 7]);
  t.is(c.restarts, 0);
  await c.stop();
});

test("ended before it was ready: an error that says how, and no restart", async (t) => {
  const c = child(t, "console.error('no such file'); process.exit(3);");
  await t.throwsAsync(c.start(), { message: "it ended with exit code 3" });
  await c.stop();
  t.is(c.restarts, 0);
});

test("its last words are in the log, however late they come", async (t) => {
  // A child of its own that says them after it: its pipe is still open then.
  const c = child(
    t,
    `require('child_process').spawn('sh', ['-c', 'sleep 0.1; echo the reason >&2'], { stdio: 'inherit' }); process.exit(3);`,
  );
  await t.throwsAsync(c.start(), { message: "it ended with exit code 3" });
  await c.stop();
  t.regex(readFileSync(c.logFile, "utf8"), /the reason/);
  t.false(c.served);
});

test("a silent process is given up after its time", async (t) => {
  const c = child(t, untilStdinEnds, 300);
  await t.throwsAsync(c.start(), { message: /was not ready after 0.3 s/ });
  await c.stop();
});

test("a command that does not exist is an error, not a crash", async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-child-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const c = new Child({ name: "it", command: "/nonexistent/marllb", args: [] }, path.join(folder, "log"));
  await t.throwsAsync(c.start(), { message: /could not be started: .*ENOENT/ });
  await c.stop();
});

test("a process that ignores its stdin is ended by signals", async (t) => {
  const c = child(t, `${ready} setInterval(() => {}, 1000);`);
  const r = await c.start();
  (c.spec as { stopMs: number }).stopMs = 50;
  await c.stop();
  t.true(gone(r.pid));
});
