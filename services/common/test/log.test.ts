// SPDX-License-Identifier: Apache-2.0
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { createLog, type LogSettings } from "../log.js";

/** A log into a file, and its lines as text. */
function logTo(t: ExecutionContext, settings: Partial<LogSettings> = {}, now: () => number = () => 0) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-log-"));
  const file = path.join(folder, "log");
  const fd = openSync(file, "a");
  t.teardown(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  const it = createLog("test", "x", { level: "info", time: "unix", ...settings }, fd, now);
  const lines = async (): Promise<string[]> => {
    await it.writer.flush(5000);
    return readFileSync(file, "utf8").split("\n").filter(Boolean);
  };
  return { ...it, written: lines };
}

const keys = (line: string): string[] => [...line.matchAll(/[{,]"([^"]+)":/g)].map((m) => m[1] as string);

test("a line has one schema, and no key twice whatever is said", async (t) => {
  const { log, written } = logTo(t);
  log.warn({ instance: "other", level: "mine", msg: "inner", vip: "web" }, "a message");
  const [line = ""] = await written();
  t.deepEqual([...new Set(keys(line))].sort(), keys(line).sort());
  const it = JSON.parse(line) as Record<string, unknown>;
  t.deepEqual(
    [it.level, it.service, it.instance, it.msg, it.instance_, it.level_, it.vip],
    ["warn", "test", "x", "a message", "other", "mine", "web"],
  );
  t.is(typeof it.time, "number");
});

test("time as people write it, where it is wanted", async (t) => {
  const { log, written } = logTo(t, { time: "iso" });
  log.info("x");
  t.regex((JSON.parse((await written())[0] as string) as { time: string }).time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test("a message that comes too often is left out and counted; what was asked for by level is not", async (t) => {
  let now = 0;
  const { log, lines, written } = logTo(t, { level: "debug" }, () => now);
  for (let i = 0; i < 50; i++) log.warn({ i }, "again");
  log.warn("another");
  for (let i = 0; i < 50; i++) log.debug({ i }, "detail");
  t.is(lines.suppressed, 30);
  now = 10_000;
  log.warn({ i: 99 }, "again");
  const all = (await written()).map((l) => JSON.parse(l) as { msg: string; suppressed?: number });
  t.is(all.filter((l) => l.msg === "again").length, 21);
  t.is(all.filter((l) => l.msg === "detail").length, 50);
  t.is(all.at(-1)?.suppressed, 30);
});
