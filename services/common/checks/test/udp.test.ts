// SPDX-License-Identifier: Apache-2.0
import dgram from "node:dgram";
import type { AddressInfo } from "node:net";
import test from "ava";
import { runCheck } from "../../../../testbed/checks.js";
import { parseConfig } from "../../config/load.js";
import { CHECKS, findCheck } from "../index.js";

/** A server that answers as `answers` says. */
async function server(answers: (question: Buffer) => Buffer[]): Promise<{ port: number; close(): Promise<void> }> {
  const socket = dgram.createSocket("udp4");
  socket.on("message", (m, from) => {
    for (const a of answers(m)) socket.send(a, from.port, from.address);
  });
  await new Promise<void>((r) => socket.bind(0, "127.0.0.1", () => r()));
  return {
    port: (socket.address() as AddressInfo).port,
    close: () => new Promise((r) => socket.close(() => r())),
  };
}

const run = (kind: string, port: number, options: Record<string, unknown>, signal?: AbortSignal): Promise<string> =>
  runCheck(findCheck(kind), { host: "127.0.0.1", port }, options, signal);

test("udp: any answer, or one that contains what is expected", async (t) => {
  const s = await server((m) => [Buffer.concat([Buffer.from("pong "), m])]);
  t.is(await run("udp", s.port, {}), "answered 5 bytes");
  t.is(await run("udp", s.port, { udp_send: "hex:61 62", udp_expect: "ng ab" }), "answered 7 bytes");
  await t.throwsAsync(run("udp", s.port, { udp_send: "x", udp_expect: "y" }), { message: /does not contain/ });
  await s.close();
});

test("udp, dns: a refusal is a failed check, silence lasts until the caller's deadline", async (t) => {
  const gone = await server(() => []);
  await gone.close();
  for (const kind of ["udp", "dns"]) await t.throwsAsync(run(kind, gone.port, {}), { code: "ECONNREFUSED" });
  const silent = await server(() => []);
  const stop = new AbortController();
  const waiting = run("udp", silent.port, {}, stop.signal);
  stop.abort();
  await t.throwsAsync(waiting, { code: "CHECK_FAILED" });
  await silent.close();
});

test("dns: the answer's code decides, and an answer to another question is passed over", async (t) => {
  let code = 0;
  let asked: Buffer = Buffer.alloc(0);
  const s = await server((m) => {
    asked = m;
    const answer = Buffer.from(m);
    answer[2] = 0x80;
    answer[3] = code;
    const other = Buffer.from(answer);
    other[0] = (other[0] as number) ^ 255;
    other[3] = 2;
    return [Buffer.from("x"), other, m, answer];
  });
  t.is(await run("dns", s.port, { dns_name: "www.example.org", dns_type: "A" }), "NOERROR");
  t.is(asked.subarray(12).toString("hex"), "0377777707" + "6578616d706c65036f72670000010001");
  t.is(await run("dns", s.port, {}), "NOERROR");
  t.is(asked.subarray(12).toString("hex"), "0000020001");
  code = 3;
  t.is(await run("dns", s.port, {}), "NXDOMAIN");
  code = 2;
  await t.throwsAsync(run("dns", s.port, {}), { message: "SERVFAIL" });
  await s.close();
});

test("keys of both are checked", (t) => {
  t.true(CHECKS.length > 0);
  t.throws(() => parseConfig("health: { udp_send: 'hex:1' }"), { message: /udp_send: expected text, or hex:/ });
  t.throws(() => parseConfig("health: { dns_name: 'a b' }"), { message: /dns_name: expected a DNS name/ });
  t.is(parseConfig("").health.udp_kind, "none");
  t.is(parseConfig("health: { udp_kind: dns }").health.udp_kind, "dns");
});
