// SPDX-License-Identifier: Apache-2.0
// Servers of the user's, as written, behind the launcher's own VPP: each has an address in the namespace on the servers' side, where a
// socket listens for it (vpp-listen.ts makes it there), and this process, in the user's own namespace, connects on to the server. A
// server that cannot be reached is not listened for, so that connects to it are refused as the server itself would.
// usage: vpp-relay.js JOB.json
import { type ChildProcess, spawn } from "node:child_process";
import dgram from "node:dgram";
import { readFileSync } from "node:fs";
import net from "node:net";
import { parseHostPort } from "../../common/config/address.js";
import { programFile } from "../../common/root.js";
import type { Listened, Listening } from "./vpp-listen.js";

export interface RelayJob {
  netns: string;
  relayed: { protocol: "tcp" | "udp"; at: string; to: string }[];
}

const lookMs = 500;
const idleMs = 60_000;
const bare = (host: string): string => host.replace(/^\[|\]$/g, "");
const target = (address: string): { host: string; port: number } => {
  const hp = parseHostPort(address);
  if (!hp) throw new Error(`${address} is not IP:PORT`);
  return { host: bare(hp.host), port: hp.port };
};

const job = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as RelayJob;
const inside: ChildProcess = spawn("ip", ["netns", "exec", job.netns, process.execPath, programFile("vpp-listen")], {
  stdio: ["ignore", "inherit", "inherit", "ipc"],
});
inside.on("error", (e) => end(`ip netns exec: ${e.message}`));
inside.on("exit", () => end(`the listener in ${job.netns} ended`));

let stopping = false;
function end(why?: string): void {
  if (stopping) return;
  stopping = true;
  if (why !== undefined) process.stderr.write(`${why}\n`);
  inside.kill();
  process.exit(why === undefined ? 0 : 1);
}
process.stdin
  .on("end", () => end())
  .on("error", () => end())
  .resume();
process.on("SIGTERM", () => end());
process.on("SIGINT", () => {}); // Ctrl-C is the launcher's to act on

const waiting = new Map<number, (handle: net.Server | dgram.Socket | undefined, error?: string) => void>();
inside.on("message", (m: Listened, handle) => {
  waiting.get(m.id)?.(handle as net.Server | dgram.Socket | undefined, m.error);
  waiting.delete(m.id);
});
let asked = 0;

/** A socket that listens in the namespace. */
function listening(protocol: "tcp" | "udp", at: string): Promise<net.Server | dgram.Socket> {
  return new Promise((resolve, reject) => {
    const id = ++asked;
    waiting.set(id, (handle, error) => (handle ? resolve(handle) : reject(new Error(`${at}: ${error ?? "no socket came"}`))));
    inside.send({ id, protocol, ...target(at) } satisfies Listening);
  });
}

function reachable(to: string): Promise<boolean> {
  return new Promise((resolve) => {
    const s = net.connect({ ...target(to), timeout: 2000 });
    const over = (yes: boolean): void => {
      s.destroy();
      resolve(yes);
    };
    s.on("connect", () => over(true))
      .on("error", () => over(false))
      .on("timeout", () => over(false));
  });
}

function join(client: net.Socket, to: string, unreachable: () => void): void {
  let connected = false;
  const server = net.connect({ ...target(to), allowHalfOpen: true });
  const both = (): void => {
    client.resetAndDestroy();
    server.resetAndDestroy();
  };
  client.setNoDelay(true).on("error", both);
  server.setNoDelay(true).on("connect", () => {
    connected = true;
    client.pipe(server).pipe(client);
  });
  server.on("error", () => {
    both();
    if (!connected) unreachable();
  });
}

/** Listens for as long as the server can be reached. */
async function relayTcp(at: string, to: string): Promise<void> {
  if (!(await reachable(to))) {
    setTimeout(() => void relayTcp(at, to), lookMs);
    return;
  }
  const handle = await listening("tcp", at);
  const server = net.createServer({ allowHalfOpen: true });
  const away = (): void => {
    if (!server.listening) return;
    server.close();
    setTimeout(() => void relayTcp(at, to), lookMs);
  };
  server.on("connection", (client) => join(client, to, away)).listen(handle);
}

async function relayUdp(at: string, to: string): Promise<void> {
  const socket = (await listening("udp", at)) as dgram.Socket;
  const { host, port } = target(to);
  const flows = new Map<string, dgram.Socket>();
  socket.on("message", (data, from) => {
    const key = `${from.address} ${from.port}`;
    let flow = flows.get(key);
    if (!flow) {
      flow = dgram.createSocket(net.isIPv6(host) ? "udp6" : "udp4");
      flows.set(key, flow);
      const over = (): void => {
        if (flows.get(key) !== flow) return;
        flows.delete(key);
        flow?.close();
      };
      const idle = setTimeout(over, idleMs);
      flow.on("error", over).on("message", (answer) => {
        idle.refresh();
        socket.send(answer, from.port, from.address);
      });
      flow.on("close", () => clearTimeout(idle));
    }
    flow.send(data, port, host, () => {});
  });
}

Promise.all(job.relayed.map((r) => (r.protocol === "udp" ? relayUdp(r.at, r.to) : relayTcp(r.at, r.to)))).then(
  () => process.stdout.write(`${JSON.stringify({ ready: true, pid: process.pid })}\n`),
  (e: unknown) => end((e as Error).message),
);
