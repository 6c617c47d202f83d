// SPDX-License-Identifier: Apache-2.0
// Questions to name servers: one of ours that answers as it is told, and dnsmasq where it is there.
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import test, { type ExecutionContext } from "ava";
import { type Answer, decode, encode, streamEncode, TRUNCATED_RESPONSE } from "dns-packet";
import { needs } from "../../../../testbed/needs.js";
import { Child, freePort, which } from "../../../../testbed/process.js";
import { eventually } from "../../../../testbed/wait.js";
import { byService } from "../../discovery/names.js";
import { nameServer, resolver } from "../../discovery/resolver.js";

const QUICK_MS = 200;

/** Answers each question with what `reply` makes of it; null: not at all. */
async function server(t: ExecutionContext, reply: (query: Buffer, n: number) => Buffer[] | null): Promise<string> {
  const socket: Socket = createSocket("udp4");
  let n = 0;
  socket.on("message", (query, from) => {
    for (const answer of reply(query, n++) ?? []) socket.send(answer, from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  t.teardown(() => socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

const answering = (query: Buffer, answers: Answer[], flags = 0): Buffer => {
  const { id, questions } = decode(query);
  return encode({ type: "response", id: id as number, flags, questions: questions ?? [], answers });
};
const a = (name: string, data: string, ttl: number): Answer => ({ type: "A", name, data, ttl });

test("addresses and the time that they live, through aliases", async (t) => {
  const at = await server(t, (q) => [
    answering(q, [
      { type: "CNAME", name: "web.example", data: "Real.example", ttl: 5 },
      a("real.EXAMPLE", "10.0.0.1", 30),
      a("real.example", "10.0.0.2", 40),
      a("other.example", "10.6.6.6", 1),
    ]),
  ]);
  t.deepEqual(await resolver(at)("WEB.example.", "A"), { list: [{ address: "10.0.0.1" }, { address: "10.0.0.2" }], ttl: 5 });
});

test("an alias of itself is no name, and ends", async (t) => {
  const at = await server(t, (q) => [answering(q, [{ type: "CNAME", name: "web", data: "web", ttl: 5 }])]);
  t.deepEqual(await resolver(at)("web", "A"), { list: [], ttl: 0 });
});

test("a name that is not there has no records; a server that fails gives no answer", async (t) => {
  const none = await server(t, (q) => [answering(q, [], 3)]);
  t.deepEqual(await resolver(none)("web", "A"), { list: [], ttl: 0 });
  for (const [rcode, word] of [
    [2, "SERVFAIL"],
    [5, "REFUSED"],
  ] as const) {
    const at = await server(t, (q) => [answering(q, [], rcode)]);
    await t.throwsAsync(resolver(at)("web", "A"), { message: new RegExp(`web A: name server ${at}: answered ${word}`) });
  }
});

test("a lost question is asked again; garbage and answers to others are passed over", async (t) => {
  const at = await server(t, (q, n) => {
    if (n === 0) return null;
    const other = Buffer.from(q);
    other.writeUInt16BE((q.readUInt16BE(0) + 1) & 0xffff, 0);
    const elsewhere = encode({ type: "query", id: q.readUInt16BE(0), questions: [{ type: "A", name: "evil" }] });
    return [
      Buffer.from("x"),
      q,
      answering(other, [a("web", "10.6.6.6", 9)]),
      answering(elsewhere, [a("evil", "10.6.6.6", 9)]),
      answering(q, [a("web", "10.0.0.1", 9)]),
    ];
  });
  t.deepEqual(await resolver(at, QUICK_MS)("web", "A"), { list: [{ address: "10.0.0.1" }], ttl: 9 });
});

test("who answers nothing, and who is not there, is said", async (t) => {
  const silent = await server(t, () => null);
  await t.throwsAsync(resolver(silent, 20)("web", "SRV"), { message: /web SRV: name server .*: no answer within 20 ms/ });
  const nobody = `127.0.0.1:${await freePort()}`;
  await t.throwsAsync(resolver(nobody)("web", "A"), { message: /name server .*: .*(ECONNREFUSED|refused)/ });
});

test("an answer that does not fit is asked for over TCP", async (t) => {
  const many = Array.from({ length: 300 }, (_, i) => a("web", `10.0.${i >> 8}.${i & 255}`, 7));
  const port = await freePort();
  const tcp = createServer((socket) => {
    socket.once("data", (q) => {
      const bytes = streamEncode(decode(answering(q.subarray(2), many)));
      // In pieces, as a network may bring it.
      socket.write(bytes.subarray(0, 1));
      setImmediate(() => socket.end(bytes.subarray(1)));
    });
  }).listen(port, "127.0.0.1");
  await once(tcp, "listening");
  t.teardown(() => tcp.close());
  const udp = createSocket("udp4");
  udp.on("message", (q, from) => udp.send(answering(q, many.slice(0, 3), TRUNCATED_RESPONSE), from.port, from.address));
  udp.bind(port, "127.0.0.1");
  await once(udp, "listening");
  t.teardown(() => udp.close());
  const { list, ttl } = await resolver(`127.0.0.1:${port}`)("web", "A");
  t.deepEqual([list.length, ttl], [300, 7]);
});

test("a name server is an address, with or without port", (t) => {
  t.deepEqual(nameServer("10.0.0.53"), { host: "10.0.0.53", port: 53 });
  t.deepEqual(nameServer("10.0.0.53:5353"), { host: "10.0.0.53", port: 5353 });
  t.deepEqual(nameServer("2001:db8::53"), { host: "2001:db8::53", port: 53 });
  t.deepEqual(nameServer("[::1]:5353"), { host: "::1", port: 5353 });
});

const dnsmasq = which("dnsmasq");

needs(dnsmasq, "sudo apt-get install -y dnsmasq-base")("dnsmasq's SRV records, with their times to live", async (t) => {
  const port = await freePort();
  const child = new Child([
    dnsmasq as string,
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    `--port=${port}`,
    "--listen-address=127.0.0.1",
    "--bind-interfaces",
    "--no-resolv",
    "--no-hosts",
    "--pid-file",
    "--local=/test/",
    "--local-ttl=17",
    "--user=root",
    "--host-record=a.test,10.0.0.1",
    "--host-record=b.test,10.0.0.2,2001:db8::2",
    "--srv-host=_http._tcp.web.test,a.test,8001,0,10",
    "--srv-host=_http._tcp.web.test,b.test,8002,1,20",
  ]);
  t.teardown(() => child.stop());
  const ask = resolver(`127.0.0.1:${port}`, QUICK_MS);
  const answer = await eventually("dnsmasq answers", async () => {
    if (child.ended) throw new Error(child.stderr);
    return byService(ask, "_http._tcp.web.test", "any").catch(() => null);
  });
  t.deepEqual(answer.list.map((s) => [s.address, s.weight, s.priority]).sort(), [
    ["10.0.0.1:8001", 10, 0],
    ["10.0.0.2:8002", 10, 1],
    ["[2001:db8::2]:8002", 10, 1],
  ]);
  t.is(answer.ttlMs, 17_000);
  t.deepEqual(await ask("nobody.test", "A"), { list: [], ttl: 0 });
});
