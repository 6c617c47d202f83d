// SPDX-License-Identifier: Apache-2.0
import { type AddressInfo, createServer, type Server } from "node:net";
import test from "ava";
import { type Check, CheckFailed } from "../../common/checks/check.js";
import { findCheck } from "../../common/checks/index.js";
import { probe } from "../probe.js";

const now = (): number => performance.now();
const listen = (s: Server): Promise<number> =>
  new Promise((r) => s.listen(0, "127.0.0.1", () => r((s.address() as AddressInfo).port)));
const close = (s: Server): Promise<void> => new Promise((r) => s.close(() => r()));
const of = (run: Check["run"]): Check => ({ kind: "try", help: "", schema: {}, run });
const ask = (check: Check, address = "127.0.0.1:1", timeoutMs = 2000) => probe({ check, address, timeoutMs, options: {} }, now);

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

test("what failed here is told from what failed there", async (t) => {
  const fails = (e: Error) => ask(of(async () => Promise.reject(e)));
  t.deepEqual(await fails(new CheckFailed("status 503")), { ok: false, reason: "try: status 503", rttMs: 0 });
  t.true((await fails(new CheckFailed("no program", true))).local);
  t.true((await fails(Object.assign(new Error("x"), { code: "EMFILE" }))).local);
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
