// SPDX-License-Identifier: Apache-2.0
// UDP through marllb-dp, with real sockets: flows, answers, refusals, limits, trains, time-outs, drains and takeovers.
import dgram from "node:dgram";
import test from "ava";
import { sleep } from "../../../testbed/wait.js";
import { binary, closeOrigin, Dp, type DpOptions, dial, echo, type Peer, origin as tcpOrigin, until } from "./bed.js";

interface Origin {
  address: string;
  heard: string[];
  close(): Promise<void>;
}

/** Answers `answers(text)`, each element a datagram. */
async function origin(answers: (text: string) => string[], host = "127.0.0.1"): Promise<Origin> {
  const s = dgram.createSocket(host.includes(":") ? "udp6" : "udp4");
  const heard: string[] = [];
  s.on("message", (data, from) => {
    heard.push(data.toString());
    for (const a of answers(data.toString())) s.send(a, from.port, from.address);
  });
  await new Promise<void>((resolve) => s.bind(0, host, resolve));
  const at = s.address();
  return {
    address: host.includes(":") ? `[${host}]:${at.port}` : `${host}:${at.port}`,
    heard,
    close: () => new Promise((resolve) => s.close(() => resolve())),
  };
}

class Client {
  readonly heard: string[] = [];
  readonly from: string[] = [];
  constructor(
    readonly socket: dgram.Socket,
    readonly port: number,
    readonly host: string,
  ) {
    socket.on("message", (d, from) => {
      this.heard.push(d.toString());
      this.from.push(`${from.address}:${from.port}`);
    });
    socket.on("error", () => {});
  }
  static async open(port: number, host = "127.0.0.1"): Promise<Client> {
    const s = dgram.createSocket(host.includes(":") ? "udp6" : "udp4");
    await new Promise<void>((resolve) => s.bind(0, () => resolve()));
    return new Client(s, port, host);
  }
  say(text: string): void {
    this.socket.send(text, this.port, this.host);
  }
  /** Sends until an answer comes, as a UDP client does. */
  async ask(text: string): Promise<string> {
    const before = this.heard.length;
    let tries = 0;
    await until(
      `an answer to ${text}`,
      async () => {
        if (tries++ % 50 === 0) this.say(text);
        return this.heard.length > before;
      },
      20_000,
    );
    return this.heard[before] as string;
  }
  close(): void {
    this.socket.close();
  }
}

const start = (o: DpOptions): Promise<Dp> => Dp.start({ ...o, vip: `protocol udp ${o.vip ?? ""}` });
/** A data plane whose UDP port is a TCP VIP too: the system gives a port that is free for one of them only. */
async function withTcpToo(make: () => Promise<Dp>): Promise<Dp> {
  for (let left = 20; ; left--) {
    const dp = await make();
    try {
      await dp.control(`vip tcp 127.0.0.1:${dp.port}`);
      return dp;
    } catch (e) {
      await dp.stop();
      if (left === 0 || !/in use by another process/.test(String(e))) throw e;
    }
  }
}
const named = (name: string) => (text: string) => [`${name} ${text}`];

test("datagrams of a client go to one server, and its answers come back from the VIP", async (t) => {
  const a = await origin(named("a"));
  const b = await origin(named("b"));
  const dp = await start({ servers: [a.address, b.address] });
  const names = new Set<string>();
  // All stay open: the system gives the port of one that is closed to the next, which goes on with its flow.
  const clients: Client[] = [];
  for (let i = 0; i < 20; i++) {
    const c = await Client.open(dp.port);
    clients.push(c);
    const first = (await c.ask("1")).split(" ")[0] as string;
    for (let k = 2; k < 5; k++) t.is(await c.ask(String(k)), `${first} ${k}`);
    t.true(c.from.every((from) => from === `127.0.0.1:${dp.port}`));
    names.add(first);
  }
  t.is(names.size, 2);
  const s = await dp.statsWhen("80 answers", (x) => x.servers.reduce((n, v) => n + v.answers, 0) >= 80);
  t.true(s.servers.reduce((n, v) => n + v.newFlows, 0) >= 20);
  t.is(s.recountDiff, 0);
  t.is(await dp.stop(), 0);
  for (const c of clients) c.close();
  await Promise.all([a.close(), b.close()]);
});

test("a flow ends after its number of responses, as completed", async (t) => {
  const a = await origin(named("a"));
  const dp = await start({ servers: [a.address], vip: "responses 1", threads: 1 });
  const c = await Client.open(dp.port);
  for (let i = 0; i < 5; i++) await c.ask(String(i));
  const s = await dp.statsWhen("5 completed", (x) => (x.servers[0]?.completions ?? 0) >= 5);
  t.is(s.connections, 0);
  t.is(s.servers[0]?.flows, 0);
  t.regex(await dp.control("show config"), /vip web .* protocol udp responses 1/);
  c.close();
  t.is(await dp.stop(), 0);
  await a.close();
});

test("a flow is over when nothing passed for udp-timeout", async (t) => {
  const a = await origin(named("a"));
  const dp = await start({ servers: [a.address], lines: ["udp-timeout 200ms"] });
  const c = await Client.open(dp.port);
  await c.ask("1");
  await dp.statsWhen("no flow", (x) => x.servers[0]?.flows === 0 && x.servers[0].newFlows >= 1);
  t.is(await c.ask("2"), "a 2");
  c.close();
  t.is(await dp.stop(), 0);
  await a.close();
});

test("a datagram that its server refuses is sent to another one, and the server is put out", async (t) => {
  const gone = await origin(named("gone"));
  await gone.close();
  const a = await origin(named("a"));
  const dp = await start({ servers: [gone.address, a.address], vip: "mode alias", threads: 1 });
  await until("ejected", async () => {
    const c = await Client.open(dp.port);
    t.is(await c.ask("x"), "a x");
    c.close();
    return ((await dp.stats()).servers.find((v) => v.address === gone.address)?.ejections ?? 0) >= 1;
  });
  t.is(await dp.stop(), 0);
  await a.close();
});

test("where all servers refuse, flows count as failed", async (t) => {
  const gone = await Promise.all([origin(named("a")), origin(named("b"))]);
  for (const g of gone) await g.close();
  const dp = await start({ servers: gone.map((g) => g.address), vip: "eject off", threads: 1 });
  const c = await Client.open(dp.port);
  c.say("1");
  const s = await dp.statsWhen("a failed flow", (x) => x.failed >= 1);
  t.is(s.connections, 0);
  t.true(s.servers.reduce((n, x) => n + x.refusals, 0) >= 1);
  const none = await Client.open(dp.port);
  await dp.control("set-servers vip web");
  await dp.statsWhen("no servers", (x) => x.servers.length === 0);
  none.say("1");
  t.is((await dp.statsWhen("no server", (x) => x.noServer >= 1)).failed, s.failed, "there was no try");
  for (const x of [c, none]) x.close();
  t.is(await dp.stop(), 0);
});

test("datagrams that wait for others are all answered, at the wait's longest", async (t) => {
  const a = await origin(named("a"));
  const dp = await start({ servers: [a.address], lines: ["udp-coalesce 10000"], threads: 1 });
  t.regex(await dp.control("show config"), /^udp-coalesce 10000$/m);
  const c = await Client.open(dp.port);
  await c.ask("first");
  for (let round = 0; round < 20; round++) {
    const before = c.heard.length;
    for (let i = 0; i < 8; i++) c.say(`${round}.${i}`);
    await until("eight answers", async () => c.heard.length >= before + 8);
  }
  const stats = await dp.statsWhen("no flow waits", (x) => x.servers[0]?.waiting === 0);
  t.is(stats.servers[0]?.newFlows, 1);
  c.close();
  t.is(await dp.stop(), 0);
  await a.close();
});

test("limits of the VIP hold for flows", async (t) => {
  const a = await origin(named("a"));
  const dp = await start({ servers: [a.address], vip: "max-connections 2" });
  const [one, two, three] = [await Client.open(dp.port), await Client.open(dp.port), await Client.open(dp.port)] as const;
  await one.ask("1");
  await two.ask("1");
  three.say("1");
  const s = await dp.statsWhen("one limited", (x) => x.limited >= 1);
  t.is(s.connections, 2);
  t.deepEqual(three.heard, []);
  for (const c of [one, two, three]) c.close();
  t.is(await dp.stop(), 0);
  await a.close();
});

test("answers of a wildcard VIP come from the address that the client sent to", async (t) => {
  const a = await origin(named("a"));
  const dp = await start({ host: "0.0.0.0", servers: [a.address] });
  for (const host of ["127.0.0.1", "127.0.0.5"]) {
    const c = await Client.open(dp.port, host);
    await c.ask("x");
    t.is(c.from[0], `${host}:${dp.port}`);
    c.close();
  }
  t.is(await dp.stop(), 0);
  await a.close();
});

test("datagrams that find no room are counted; udp-receive-buffer makes room", async (t) => {
  const a = await origin(() => []);
  const dp = await start({ servers: [a.address], lines: ["udp-receive-buffer 8"], threads: 1 });
  const c = await Client.open(dp.port);
  c.say("first");
  await until("the flow", () => a.heard.length === 1);
  const pid = dp.child.pid as number;
  /** While the data plane stands still. */
  const burst = async (n: number): Promise<void> => {
    process.kill(pid, "SIGSTOP");
    for (let i = 0; i < n; i++)
      await new Promise<void>((resolve, reject) =>
        c.socket.send("x".repeat(1000), dp.port, "127.0.0.1", (e) => (e ? reject(e) : resolve())),
      );
    process.kill(pid, "SIGCONT");
  };
  await burst(40);
  const s = await dp.statsWhen("lost datagrams", (x) => x.datagramsLost > 0);
  await until("the others", () => a.heard.length === 41 - s.datagramsLost);
  await dp.control("udp-receive-buffer 160");
  await burst(40);
  await until("all of them", () => a.heard.length === 81 - s.datagramsLost);
  t.is((await dp.statsWhen("the next frame", (x) => x.frame > s.frame)).datagramsLost, s.datagramsLost);
  c.close();
  t.is(await dp.stop(), 0);
  await a.close();
});

test("IPv6 clients, IPv4 servers", async (t) => {
  const a = await origin(named("a"));
  const dp = await start({ host: "::1", servers: [a.address] });
  const c = await Client.open(dp.port, "::1");
  t.is(await c.ask("x"), "a x");
  c.close();
  t.is(await dp.stop(), 0);
  await a.close();
});

test("TCP and UDP share an address and port", async (t) => {
  const a = await origin(named("a"));
  const dp = await withTcpToo(() => start({ servers: [a.address] }));
  await t.throwsAsync(dp.control(`vip again 127.0.0.1:${dp.port} protocol udp`), { message: /is vip web already/ });
  const c = await Client.open(dp.port);
  t.is(await c.ask("x"), "a x");
  c.close();
  t.is(await dp.stop(), 0);
  await a.close();
});

test("a flood of silent sources pushes itself out, not a client that is served", async (t) => {
  const a = await origin((text) => (text === "flood" ? [] : [`a ${text}`]));
  const { folder, command } = Dp.command({ servers: [a.address], threads: 1, vip: "protocol udp" });
  const dp = await Dp.run(["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", ...command], folder); // room for 100 flows
  const c = await Client.open(dp.port);
  await c.ask("1");
  const flood: Client[] = [];
  for (let i = 0; i < 300; i++) {
    const f = await Client.open(dp.port);
    f.say("flood");
    flood.push(f);
    if (i % 20 === 0) await sleep(5);
  }
  // All of it: a flow of the flood that opens later would look like a second one of the client.
  const s = await dp.statsWhen("the flood", (x) => (x.servers[0]?.newFlows ?? 0) >= flood.length + 1);
  t.true((s.servers[0]?.aborts ?? 0) >= 200);
  t.true(s.connections <= 100);
  t.true((await dp.control("show flows")).includes(`client 127.0.0.1:${c.socket.address().port} `), "its flow is still there");
  t.is(await c.ask("2"), "a 2");
  for (const f of flood) f.close();
  c.close();
  t.is(await dp.stop(), 0);
  await a.close();
});

test("a datagram for which there is no descriptor is dropped, and nothing else happens", async (t) => {
  const a = await origin(named("a"));
  const web = await tcpOrigin(echo);
  const { folder, command } = Dp.command({
    servers: [web],
    threads: 1,
    lines: ["vip u 127.0.0.1:0 protocol udp", `server vip u ${a.address}`],
  });
  const dp = await Dp.run(["sh", "-c", 'ulimit -n 40; exec "$@"', "sh", ...command], folder);
  const clients: Peer[] = [];
  for (let i = 0; i < 40; i++) clients.push(await dial(dp.port)); // more than there are descriptors: the last ones wait
  const c = await Client.open(dp.ports.get("u") as number);
  for (let i = 0; i < 20; i++) {
    c.say(String(i));
    await sleep(5);
  }
  t.regex(await dp.control("show stats"), /vip u /);
  for (const p of clients) p.socket.destroy();
  t.regex(await c.ask("again"), /^a /);
  t.is((await dp.stats("u")).recountDiff, 0);
  c.close();
  t.is(await dp.stop(), 0);
  await a.close();
  await closeOrigin(web);
});

test("a stop lets flows end, takes no new ones, and does not wait for silence of a minute", async (t) => {
  const a = await origin(named("a"));
  const dp = await start({ servers: [a.address], lines: ["drain-timeout 60s"] });
  const c = await Client.open(dp.port);
  await c.ask("1");
  const began = performance.now();
  t.is(await dp.stop(), 0);
  t.true(performance.now() - began < 30_000);
  c.close();
  await a.close();
});

test("a takeover hands the sockets over: nobody's datagram is lost", async (t) => {
  const a = await origin(named("a"));
  const dp = await start({ servers: [a.address] });
  const c = await Client.open(dp.port);
  await c.ask("before");
  const command = [binary, "--config", `${dp.folder}/dp.conf`, "--stop-with-stdin", "--takeover"];
  const next = await Dp.run(command, dp.folder);
  t.is(next.port, dp.port);
  for (let i = 0; i < 50; i++) {
    c.say(`after ${i}`);
    await sleep(2);
  }
  await until("all answers", () => c.heard.filter((h) => h.startsWith("a after")).length === 50);
  c.close();
  t.is(await next.stop(), 0);
  await a.close();
});
