// SPDX-License-Identifier: Apache-2.0
// What becomes of the flows of a server that is drained to a deadline, down, or gone from the list, on connections through the VIP.
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { marllbctl, type Said } from "../../../testbed/ctl.js";
import { Stack } from "../../../testbed/stack.js";
import { eventually } from "../../../testbed/wait.js";

/** Says its number to whoever connects, and keeps the connection. */
class Keepers {
  readonly sockets = new Set<Socket>();
  private constructor(readonly servers: readonly Server[]) {
    for (const s of servers) s.on("connection", (c) => this.sockets.add(c.on("error", () => {})));
  }

  static async start(t: ExecutionContext, n: number): Promise<Keepers> {
    const servers = Array.from({ length: n }, (_, i) => createServer((c) => c.write(`${i}`)));
    for (const s of servers) await once(s.listen(0, "127.0.0.1"), "listening");
    const it = new Keepers(servers);
    t.teardown(() => {
      for (const c of it.sockets) c.destroy();
      for (const s of servers) s.close();
    });
    return it;
  }

  get addresses(): string[] {
    return this.servers.map((s) => `127.0.0.1:${(s.address() as { port: number }).port}`);
  }
}

interface Flow {
  server: number;
  /** "open", or how it ended. */
  state: string;
}

/** A connection through the VIP whose server has answered. */
async function flow(t: ExecutionContext, stack: Stack): Promise<Flow> {
  const [, port = ""] = stack.vip.split(":");
  const c = connect(Number(port), "127.0.0.1");
  t.teardown(() => c.destroy());
  const it: Flow = { server: -1, state: "open" };
  c.on("error", (e: NodeJS.ErrnoException) => {
    it.state = e.code ?? "error";
  });
  c.on("end", () => {
    it.state = "end";
  });
  await new Promise<void>((resolve) => {
    c.once("data", (d) => {
      it.server = Number(d.toString());
      resolve();
    });
    c.once("close", () => resolve());
  });
  return it;
}

/** Some flows on every server. */
async function flowsOn(t: ExecutionContext, stack: Stack, servers: number): Promise<Flow[]> {
  const all: Flow[] = [];
  await eventually("flows on every server", async () => {
    all.push(await flow(t, stack));
    return new Set(all.filter((f) => f.state === "open").map((f) => f.server)).size >= servers;
  });
  return all.filter((f) => f.state === "open");
}

const ctl = (stack: Stack, ...args: string[]): Promise<Said> =>
  marllbctl([...args, "--config", path.join(stack.folder, "marllb.yaml")]);

const of = (flows: readonly Flow[], server: number): string[] => [
  ...new Set(flows.filter((f) => f.server === server).map((f) => f.state)),
];

/** The flows of one server end by a reset, and those of the other one do not. */
async function closed(t: ExecutionContext, flows: readonly Flow[], server: number): Promise<void> {
  await eventually(`flows of server ${server} are closed`, async () => of(flows, server).join() === "ECONNRESET");
  t.deepEqual(of(flows, 1 - server), ["open"]);
}

async function closedTotal(stack: Stack): Promise<number> {
  const text = await stack.scrape("shm-agent");
  return [...text.matchAll(/^marllb_server_closed_total\{.*\} (\d+)/gm)].reduce((sum, m) => sum + Number(m[1]), 0);
}

test.serial("flows that are left at a drain's deadline are closed where that was ordered, and counted", async (t) => {
  const keepers = await Keepers.start(t, 2);
  const [a = ""] = keepers.addresses;
  const stack = await Stack.whole({ servers: keepers.addresses.map((address) => ({ address })) });
  t.teardown(() => stack.stop());
  const flows = await flowsOn(t, stack, 2);
  const drain = ctl(stack, "drain", a, "--deadline", "2", "--then", "close", "--wait", "--reason", "disk");
  await closed(t, flows, 0);
  const { code, errors } = await drain;
  t.is(code, 0, errors);
  const n = flows.filter((f) => f.server === 0).length;
  await eventually("they are counted", async () => (await closedTotal(stack)) === n);
  for (let k = 0; k < 4; k++) t.is((await flow(t, stack)).server, 1);
});

test.serial("flows of a server that left the list are closed where the VIP says so", async (t) => {
  const keepers = await Keepers.start(t, 2);
  const [a = "", b = ""] = keepers.addresses;
  const stack = await Stack.whole({ servers: [{ address: a }, { address: b }], vip: { on_removed: "close" } });
  t.teardown(() => stack.stop());
  const flows = await flowsOn(t, stack, 2);
  const file = path.join(stack.folder, "pool.json");
  writeFileSync(file, JSON.stringify({ servers: [{ address: a }] }));
  t.is((await ctl(stack, "pool", "apply", file)).code, 0);
  await closed(t, flows, 1);
});

test.serial("flows of a server that is down are closed where the VIP says so", async (t) => {
  const keepers = await Keepers.start(t, 2);
  const stack = await Stack.whole({ servers: keepers.addresses.map((address) => ({ address })), vip: { on_down: "close" } });
  t.teardown(() => stack.stop());
  const flows = await flowsOn(t, stack, 2);
  // It takes no new connections, and answers on the old ones.
  keepers.servers[0]?.close();
  await closed(t, flows, 0);
});
