// SPDX-License-Identifier: Apache-2.0
// PROXY headers between marllb-dp and the programs that operators put before and behind it: HAProxy and nginx.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { findCheck } from "../../../services/common/checks/index.js";
import { runCheck } from "../../../testbed/checks.js";
import { Child, freePort, which } from "../../../testbed/process.js";
import { Dp, until } from "./bed.js";

/** One after the other: HAProxy, nginx and the data plane share ports that were free a moment before. */
const withPeers = (title: string, body: (t: ExecutionContext) => Promise<void>) =>
  test.serial(title, async (t) => {
    const missing = ["haproxy", "nginx"].filter((p) => !which(p));
    if (missing.length > 0) {
      t.log(`${missing.join(" and ")} not installed: nothing to try PROXY headers with`);
      t.pass();
    } else await body(t);
  });

function answers(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const s = net.connect(port, host, () => {
      s.destroy();
      resolve(true);
    });
    s.on("error", () => resolve(false));
  });
}

/** A peer with this configuration, up when it listens at `ports`. */
async function peer(t: ExecutionContext, program: "haproxy" | "nginx", text: string, ports: [string, number][]): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), `marllb-${program}-`));
  const file = path.join(folder, "conf");
  mkdirSync(path.join(folder, "tmp"));
  writeFileSync(file, text);
  const command = program === "haproxy" ? ["-db", "-f", file] : ["-p", folder, "-c", file, "-e", path.join(folder, "error.log")];
  const child = new Child([which(program) as string, ...command]);
  t.teardown(async () => {
    await child.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  for (const [host, port] of ports)
    await until(
      `${program} listens`,
      () => answers(port, host),
      20_000,
      () => child.stderr,
    );
}

/** Tells who it thinks the client is. */
const nginxOrigin = (listens: string) => `
daemon off; master_process off; pid tmp/pid; error_log stderr;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  server { ${listens} location / { return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port"; } }
}
`;

const haproxy = (body: string) => `
global
  maxconn 64
defaults
  mode tcp
  timeout connect 10s
  timeout client 20s
  timeout server 20s
${body}
`;

/** Asks by HTTP; what the origin said, and the port that the question came from. */
function ask(host: string, port: number): Promise<{ said: string; from: number }> {
  return new Promise((resolve, reject) => {
    let text = "";
    let from = 0;
    const s = net.connect(port, host, () => {
      from = s.localPort ?? 0;
      s.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    });
    s.setEncoding("latin1");
    s.on("data", (d) => {
      text += d;
    });
    s.on("error", reject);
    s.on("close", () => resolve({ said: text.split("\r\n\r\n")[1] ?? `?${text}`, from }));
  });
}

withPeers("HAProxy sends, marllb-dp accepts and sends on, nginx sees the client: v1 and v2, IPv4 and IPv6", async (t) => {
  const origin = await freePort();
  await peer(t, "nginx", nginxOrigin(`listen 127.0.0.1:${origin} proxy_protocol;`), [["127.0.0.1", origin]]);
  const dp = await Dp.start({
    vip: "accept-proxy 127.0.0.0/8 send-proxy v1",
    servers: [`127.0.0.1:${origin}`],
    lines: ["vip two 127.0.0.1:0 accept-proxy 127.0.0.1,::1 send-proxy v2", `server vip two 127.0.0.1:${origin}`],
  });
  t.teardown(() => dp.stop());
  const ways: { host: string; port: number; how: string; vip: string }[] = [];
  for (const host of ["127.0.0.1", "::1"])
    for (const how of ["send-proxy", "send-proxy-v2"])
      for (const vip of ["web", "two"]) ways.push({ host, port: await freePort(), how, vip });
  const frontends = ways.map(
    ({ host, port, how, vip }, i) =>
      `listen l${i}\n  bind ${host === "::1" ? "[::1]" : host}:${port}\n  server s 127.0.0.1:${dp.ports.get(vip)} ${how}`,
  );
  await peer(
    t,
    "haproxy",
    haproxy(frontends.join("\n")),
    ways.map(({ host, port }) => [host, port]),
  );
  for (const { host, port, how, vip } of ways) {
    const { said, from } = await ask(host, port);
    t.is(said, `${host} ${from} ${port}`, `${how} to ${vip}`);
  }
  t.is((await dp.stats()).badProxyHeaders, 0);
  // A client of ours that sends none.
  await t.throwsAsync(ask("127.0.0.1", dp.port), { code: "ECONNRESET" });
  await dp.statsWhen("a bad header", (s) => s.badProxyHeaders === 1);
});

withPeers("HAProxy accepts what marllb-dp sends, over IPv4 and IPv6", async (t) => {
  const [four, six] = [await freePort(), await freePort()];
  const frontend = `
frontend f
  mode http
  bind 127.0.0.1:${four} accept-proxy
  bind [::1]:${six} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst_port]"`;
  await peer(t, "haproxy", haproxy(frontend), [
    ["127.0.0.1", four],
    ["::1", six],
  ]);
  for (const version of ["v1", "v2"]) {
    for (const host of ["127.0.0.1", "::1"]) {
      for (const server of [`127.0.0.1:${four}`, `[::1]:${six}`]) {
        const dp = await Dp.start({ host, vip: `send-proxy ${version}`, servers: [server] });
        const { said, from } = await ask(host, dp.port);
        t.is(said, `${host} ${from} ${dp.port}`, `${version} from ${host} to ${server}`);
        t.is(await dp.stop(), 0);
      }
    }
  }
});

withPeers("checks of a server that takes no connection without a header", async (t) => {
  const port = await freePort();
  await peer(t, "nginx", nginxOrigin(`listen 127.0.0.1:${port} proxy_protocol;`), [["127.0.0.1", port]]);
  const run = async (send_proxy: string) =>
    runCheck(findCheck("http"), { host: "127.0.0.1", port }, { path: "/", status: "200", send_proxy });
  t.is(await run("v1"), "status 200");
  t.is(await run("v2"), "status 200");
  await t.throwsAsync(run("off"));
});
