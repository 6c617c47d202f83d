// SPDX-License-Identifier: Apache-2.0
// A log that nobody reads stops nothing: lines are lost, counted, and told of once the reader is back.
import { execFileSync, spawn } from "node:child_process";
import { closeSync, constants, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { StringDecoder } from "node:string_decoder";
import * as grpc from "@grpc/grpc-js";
import test from "ava";
import { scratch } from "../../../testbed/service.js";
import { v1 } from "../grpc/protos.js";
import { createLog } from "../log.js";
import { LogWriter } from "../log-writer.js";
import { programFile } from "../root.js";

/** A pipe: its reading end does not wait, its writing end does, as an inherited stderr. */
function pipe(dir: string): { read(): string; writeEnd: number; readEnd: number } {
  const file = join(dir, "pipe");
  execFileSync("mkfifo", [file]);
  const readEnd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeEnd = openSync(file, constants.O_WRONLY);
  const buffer = Buffer.alloc(1 << 16);
  // A read may end within a character.
  const decoder = new StringDecoder("utf8");
  return {
    readEnd,
    writeEnd,
    read() {
      try {
        return decoder.write(buffer.subarray(0, readSync(readEnd, buffer)));
      } catch {
        return "";
      }
    },
  };
}

async function until<T>(look: () => T | Promise<T>, ms = 30_000): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found || Date.now() > end) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("lines beyond a full pipe and a full queue are lost and counted; once they are read, one line says how many", async (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const p = pipe(s.dir);
  const told: number[] = [];
  const writer = new LogWriter(p.writeEnd, (lost) => told.push(lost), 100_000);
  const line = (i: number): string => `${JSON.stringify({ i, text: "ä".repeat(200) })}\n`;
  const wrote = 2000;
  for (let i = 0; i < wrote; i++) writer.write(line(i));
  const lost = writer.lost;
  t.true(lost > 0);
  t.deepEqual(told, []);

  let text = "";
  await until(() => {
    text += p.read();
    return told.length > 0;
  });
  t.deepEqual(told, [lost]);
  text += p.read();
  const got = text.split("\n").filter((l) => l !== "");
  t.is(got.length + lost, wrote);
  t.deepEqual(
    got,
    got.map((_, i) => line(i).trim()),
    "what was kept is whole and in order",
  );
  writer.write(line(0));
  t.is(writer.lost, lost);
  writer.close();
  closeSync(p.writeEnd);
  closeSync(p.readEnd);
});

test("a reader that is gone costs its lines and nothing else", (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const p = pipe(s.dir);
  const writer = new LogWriter(p.writeEnd, () => t.fail("there is nobody to tell"));
  closeSync(p.readEnd);
  for (let i = 0; i < 10; i++) writer.write("line\n");
  t.is(writer.lost, 10);
  writer.close();
  closeSync(p.writeEnd);
});

test("a file has every line, the last ones of an end too", async (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const file = join(s.dir, "log");
  const fd = openSync(file, "a");
  const { log, writer } = createLog("test", "x", { level: "debug", time: "unix" }, fd);
  for (let i = 0; i < 100; i++) log.debug({ i }, "line");
  writer.last();
  await until(() => readFileSync(file, "utf8").split("\n").length > 100);
  const lines = readFileSync(file, "utf8").trim().split("\n");
  t.deepEqual(
    lines.map((l) => (JSON.parse(l) as { i: number }).i).sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, i) => i),
  );
  await writer.flush(1000);
  closeSync(fd);
});

const CONFIG = `
instance: log-${process.pid}
health: { kind: none }
log: { level: trace }
`;

for (const kind of ["pipe", "socket"] as const) {
  test(`a service whose stderr is a ${kind} that nobody reads serves on, counts what is lost, and ends when it is told to`, async (t) => {
    const s = scratch();
    t.teardown(s.remove);
    const p = pipe(s.dir);
    // Node's own "pipe" is a pair of sockets, and it reads nothing before somebody listens.
    const args = ["--config", s.config(CONFIG), "--port", "0", "--metrics-port", "0"];
    const child = spawn(process.execPath, [programFile("health"), ...args], {
      stdio: ["ignore", "pipe", kind === "pipe" ? p.writeEnd : "pipe"],
    });
    t.teardown(() => child.kill("SIGKILL"));
    const exited = new Promise<number | null>((resolve) => child.on("exit", resolve));
    const out = child.stdout as NonNullable<typeof child.stdout>;
    const [ready] = await new Promise<string[]>((resolve) => createInterface({ input: out }).once("line", (l) => resolve([l])));
    const { grpc: address, metrics } = JSON.parse(ready as string) as { grpc: string; metrics: string };

    const client = new v1.Health(address, grpc.credentials.createInsecure());
    t.teardown(() => client.close());
    const report = client.Report(() => {});
    report.on("error", () => {});
    const lost = async (): Promise<number> => {
      const text = await (await fetch(`http://${metrics}/metrics`, { signal: AbortSignal.timeout(30_000) })).text();
      return Number(/^marllb_log_lines_lost_total\{[^}]*\} (\d+)$/m.exec(text)?.[1]);
    };
    // Each message without a frame is a line of the log with a stack in it.
    const found = await until(async () => {
      for (let i = 0; i < 500; i++) report.write({});
      return (await lost()) > 0;
    }, 180_000);
    t.true(found, "no line was lost: the test did not fill the queue");
    report.cancel();
    child.kill("SIGTERM");
    t.is(await exited, 0);
    closeSync(p.writeEnd);
    closeSync(p.readEnd);
  });
}
