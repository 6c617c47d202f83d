// SPDX-License-Identifier: Apache-2.0
import { type AddressInfo, createServer, type Server } from "node:net";
import test from "ava";
import { type Check, CheckFailed, defineCheck, type RunCheck } from "../../common/checks/check.js";
import { findCheck } from "../../common/checks/index.js";
import { type Probe, type ProbeClock, probe } from "../probe.js";
import type { CheckResult } from "../verdict.js";
import { Wheel } from "../wheel.js";

const now = (): number => performance.now();
const clock: ProbeClock = { now, still: () => 0, wheel: new Wheel(now) };
const listen = (s: Server): Promise<number> =>
  new Promise((r) => s.listen(0, "127.0.0.1", () => r((s.address() as AddressInfo).port)));
const close = (s: Server): Promise<void> => new Promise((r) => s.close(() => r()));
const of = (run: RunCheck<object>): Check => defineCheck({ kind: "try", help: "", schema: {}, run });
const result = (p: Probe, c = clock): Promise<CheckResult> => new Promise((resolve) => void probe(p, c, resolve));
const ask = (check: Check, address = "127.0.0.1:1", timeoutMs = 2000): Promise<CheckResult> =>
  result({ check, address, timeoutMs, options: { send_proxy: "off" } });

test("a listener is up, a closed port is refused", async (t) => {
  const server = createServer((s) => s.on("error", () => {}));
  const address = `127.0.0.1:${await listen(server)}`;
  const good = await ask(findCheck("tcp"), address);
  t.true(good.ok, good.reason);
  await close(server);
  const bad = await ask(findCheck("tcp"), address);
  t.deepEqual([bad.ok, bad.reason], [false, "tcp: connection refused"]);
});

test("a check without an answer ends at its deadline, and hears of it", async (t) => {
  let aborted = false;
  const silent = of(
    (_target, _options, signal) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => {
          aborted = true;
          reject(new Error("aborted"));
        }),
      ),
  );
  t.deepEqual(await ask(silent, "127.0.0.1:1", 50), { ok: false, reason: "try: no answer in 50 ms", rttMs: 0 });
  t.true(aborted);
});

test("a check that is stopped closes what it opened, and has no result", async (t) => {
  let aborted = 0;
  const silent = of((_target, _options, signal) => new Promise(() => signal.addEventListener("abort", () => aborted++)));
  const { wheel } = clock;
  const before = wheel.waiting;
  const stop = probe({ check: silent, address: "127.0.0.1:1", timeoutMs: 50, options: {} }, clock, () => t.fail());
  t.is(wheel.waiting, before + 1);
  stop();
  stop();
  t.deepEqual([aborted, wheel.waiting], [1, before]);
});

test("a check that ends before it has begun has its result, and closes what it opened", async (t) => {
  let closed = 0;
  const check: Check = {
    ...findCheck("tcp"),
    start(_target, _options, end) {
      end(null, "seen", 7);
      end(new Error("again"), "", null);
      return () => void closed++;
    },
  };
  t.deepEqual(await ask(check), { ok: true, reason: "tcp: seen", rttMs: 7 });
  t.is(closed, 1);
});

test("time for which the checker stood still is given again; a check that stood still for its whole time is none", async (t) => {
  // Of a process that was stopped while the check ran: its deadline passes, the answer comes after it.
  const after = (ms: number) => of(() => new Promise((resolve) => setTimeout(resolve, ms, "answered")));
  const stopped = (by: number): ProbeClock => {
    let calls = 0;
    return { ...clock, still: () => (calls++ === 0 ? 0 : by) };
  };
  const of5 = { address: "127.0.0.1:1", timeoutMs: 500, options: {} };
  t.true((await result({ ...of5, check: after(700) }, stopped(400))).ok);
  t.deepEqual(await result({ ...of5, check: after(60_000), timeoutMs: 50 }, stopped(5000)), {
    ok: false,
    reason: "try: this checker stood still for 5000 ms",
    rttMs: 0,
    local: true,
  });
  t.is((await result({ ...of5, check: after(60_000), timeoutMs: 50 }, stopped(20))).local, undefined);
  const expired = of(() => Promise.reject(new CheckFailed("certificate has expired")));
  t.deepEqual(await result({ ...of5, check: expired }, stopped(5000)), {
    ok: false,
    reason: "try: certificate has expired, while this checker stood still for 5000 ms",
    rttMs: 0,
    local: true,
  });
  const reset = of(async () => Promise.reject(Object.assign(new Error("x"), { code: "ECONNRESET" })));
  t.true((await result({ ...of5, check: reset }, stopped(501))).local);
  t.is((await result({ ...of5, check: reset }, stopped(499))).local, undefined);
});

test("what failed here is told from what failed there", async (t) => {
  const fails = (e: Error) => ask(of(async () => Promise.reject(e)));
  t.deepEqual(await fails(new CheckFailed("status 503")), { ok: false, reason: "try: status 503", rttMs: 0 });
  t.true((await fails(new CheckFailed("no program", true))).local);
  // EAGAIN: no thread for the connects.
  for (const code of ["EMFILE", "EAGAIN"]) t.true((await fails(Object.assign(new Error("x"), { code }))).local);
  t.is((await fails(Object.assign(new Error("x"), { code: "ECONNREFUSED" }))).local, undefined);
});

test("an address that is none is a result, not an error", async (t) => {
  t.false((await ask(findCheck("tcp"), "nonsense")).ok);
});

test("a kind that checks nothing says nothing of the server", async (t) => {
  t.true((await ask(findCheck("none"))).local);
});

test.serial("ping: without the program it is the check that failed, not the server", async (t) => {
  const { PATH } = process.env;
  process.env.PATH = "/nonexistent";
  t.teardown(() => {
    process.env.PATH = PATH;
  });
  t.deepEqual(await ask(findCheck("ping")), {
    ok: false,
    reason: "ping: the program ping is not installed",
    rttMs: 0,
    local: true,
  });
});
