// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "ava";
import { needs } from "../../../testbed/needs.js";
import { which } from "../../../testbed/process.js";
import { scratch, serviceCommand } from "../../../testbed/service.js";
import { ServiceManager } from "../service-manager.js";

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test("what is said goes to the socket that systemd named, and to nobody without one", async (t) => {
  const said: string[] = [];
  const send = (socket: string, text: string): boolean => said.push(`${socket} ${text}`) > 0;
  const env: Record<string, string | undefined> = {
    NOTIFY_SOCKET: "/run/x",
    WATCHDOG_USEC: "30000",
    WATCHDOG_PID: "7",
    OTHER: "1",
  };
  const manager = new ServiceManager(env, 7, send);
  t.deepEqual(env, { OTHER: "1" });
  manager.status("waits for\nothers");
  manager.serving();
  while (said.filter((s) => s.endsWith("WATCHDOG=1")).length < 2) await later(5);
  manager.stopping();
  t.is(said[0], "/run/x STATUS=waits for others");
  t.is(said[1], "/run/x READY=1");
  t.is(said.at(-1), "/run/x STOPPING=1");
  const before = said.length;
  await later(40);
  t.is(said.length, before, "a service that stops is not watched any more");
  new ServiceManager({}, 7, send).serving();
  t.is(said.length, before);
});

test("a watchdog of another process is not fed", async (t) => {
  const said: string[] = [];
  const env = { NOTIFY_SOCKET: "/run/x", WATCHDOG_USEC: "3000", WATCHDOG_PID: "8" };
  new ServiceManager(env, 7, (_, text) => said.push(text) > 0).serving();
  await later(30);
  t.deepEqual(said, ["READY=1"]);
});

const python = which("python3");
needs(python, "needs python3, which can read a datagram socket")(
  "a service says over a real socket that it serves and that it stops",
  async (t) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-notify-"));
    const s = scratch();
    t.teardown(() => {
      rmSync(folder, { recursive: true });
      s.remove();
    });
    const socket = path.join(folder, "notify");
    const reader = spawn(python as string, [
      "-c",
      "import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.bind(sys.argv[1])\nprint('bound',flush=True)\nwhile True:\n  m=s.recv(4096).decode()\n  print(m,flush=True)\n  if m=='STOPPING=1': break",
      socket,
    ]);
    t.teardown(() => reader.kill("SIGKILL"));
    let heard = "";
    reader.stdout.setEncoding("utf8").on("data", (text: string) => (heard += text));
    const until = async (what: RegExp): Promise<void> => {
      for (let i = 0; i < 6000 && !what.test(heard); i++) await later(10);
      t.regex(heard, what);
    };
    await until(/bound/);
    const [program = "", ...args] = serviceCommand("failover", [
      "--config",
      s.config("failover: { store: { kind: memory } }\n"),
      "--port",
      "0",
      "--metrics-port",
      "0",
    ]);
    const child = spawn(program, args, { env: { ...process.env, NOTIFY_SOCKET: socket }, stdio: "ignore" });
    t.teardown(() => child.kill("SIGKILL"));
    await until(/READY=1/);
    await until(/STATUS=/);
    child.kill("SIGTERM");
    await until(/STOPPING=1/);
  },
);
