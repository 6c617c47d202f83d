// SPDX-License-Identifier: Apache-2.0
import { type AddressInfo, createServer, type Server } from "node:net";
import test, { type ExecutionContext } from "ava";
import { runCheck } from "../../../../testbed/checks.js";
import { parseConfig } from "../../config/load.js";
import { findCheck } from "../index.js";
import { proxyHeader, sentTo } from "../proxy.js";

const V2_LOCAL = "0d0a0d0a000d0a515549540a20000000";
const { signal } = new AbortController();

/** A server that keeps what each connection said first, and answers it. */
async function listener(t: ExecutionContext, host: string): Promise<{ port: number; heard: () => Promise<Buffer> }> {
  const heard: Buffer[] = [];
  const waiting: ((b: Buffer) => void)[] = [];
  const server: Server = createServer((s) => {
    const parts: Buffer[] = [];
    s.on("error", () => {});
    s.on("data", (b) => {
      parts.push(b);
      if (Buffer.concat(parts).includes("\r\n\r\n")) s.end("HTTP/1.1 204 No Content\r\n\r\n");
    });
    s.on("close", () => {
      const all = Buffer.concat(parts);
      const next = waiting.shift();
      if (next) next(all);
      else heard.push(all);
    });
  });
  await new Promise<void>((r) => server.listen(0, host, () => r()));
  t.teardown(() => server.close());
  const next = (): Promise<Buffer> => {
    const b = heard.shift();
    return b ? Promise.resolve(b) : new Promise((r) => waiting.push(r));
  };
  return { port: (server.address() as AddressInfo).port, heard: next };
}

for (const [host, family] of [
  ["127.0.0.1", "TCP4"],
  ["::1", "TCP6"],
] as const) {
  test(`a request behind a header, ${family}`, async (t) => {
    const { port, heard } = await listener(t, host);
    const run = (send_proxy: string) =>
      runCheck(findCheck("http"), { host, port }, { path: "/", status: "204", send_proxy }, signal);
    t.is(await run("v1"), "status 204");
    t.regex((await heard()).toString("latin1"), new RegExp(`^PROXY ${family} ${host} ${host} \\d+ ${port}\r\nGET / HTTP`));
    t.is(await run("v2"), "status 204");
    const v2 = await heard();
    t.is(v2.subarray(0, 16).toString("hex"), V2_LOCAL);
    t.regex(v2.subarray(16).toString("latin1"), /^GET \/ HTTP/);
    for (const plain of ["off", "auto"]) {
      t.is(await run(plain), "status 204");
      t.regex((await heard()).toString("latin1"), /^GET \/ HTTP/);
    }
  });
}

test("which header a connection of the checker's own gets", (t) => {
  const ends = { localAddress: "10.0.0.1", localPort: 5, remoteAddress: "10.0.0.2", remotePort: 80 };
  t.is(proxyHeader("v1", ends)?.toString(), "PROXY TCP4 10.0.0.1 10.0.0.2 5 80\r\n");
  t.is(proxyHeader("v2", ends)?.toString("hex"), V2_LOCAL);
  t.is(proxyHeader("off", ends), null);
  t.is(proxyHeader("auto", ends), null);
});

test("a server is checked with what the data plane sends it", (t) => {
  const { vips } = parseConfig(`
vips:
  - {name: a, address: "10.0.0.1:80", send_proxy: v1, servers: [{address: "10.0.0.2:80"}, {address: "10.0.0.3:80", send_proxy: "off"}]}
  - {name: b, address: "10.0.0.1:81", send_proxy: v2}
  - {name: c, address: "10.0.0.1:82", servers: [{address: "10.0.0.4:80", send_proxy: v2}, {address: "10.0.0.5:80"}]}
`);
  t.is(sentTo(vips, "10.0.0.2:80"), "v1");
  t.is(sentTo(vips, "10.0.0.3:80"), "off");
  t.is(sentTo(vips, "10.0.0.4:80"), "v2");
  t.is(sentTo(vips, "10.0.0.5:80"), "off");
  // Added at run time: in no list, but its frames say whose it is.
  t.is(sentTo(vips, "10.0.0.9:80", "10.0.0.1:81"), "v2");
  t.is(sentTo(vips, "10.0.0.9:80", "10.0.0.1:99"), "off");
  t.is(sentTo(vips, "10.0.0.9:80"), "off");
});

test("networks are checked where they are read", (t) => {
  const vip = (net: string) => parseConfig(`vips: [{name: a, address: "10.0.0.1:80", accept_proxy: ["${net}"]}]`).vips[0];
  for (const good of ["10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "::1", "10.0.0.1", "2001:db8:8000::/33", "::/0", "1::/16"])
    t.deepEqual(vip(good)?.accept_proxy, [good]);
  for (const bad of [
    "10.0.0.0/33",
    "::/129",
    "host",
    "10.0.0.0/",
    "10.0.0.0/8,::1",
    "",
    "10.0.0.1/8",
    "192.168.5.0/22",
    "2001:db8::1/32",
    "2001:db8:8000::/32",
    "::1/127",
  ])
    t.throws(() => vip(bad), { message: /accept_proxy.*expected a network/ }, bad);
});
