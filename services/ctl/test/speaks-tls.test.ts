// SPDX-License-Identifier: Apache-2.0
// One end speaks TLS and the other one does not: the error says which, and what to do.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import test from "ava";
import { needs } from "../../../testbed/needs.js";
import { serverCredentials } from "../../common/grpc/channel.js";
import { unary } from "../../common/grpc/errors.js";
import { v1 } from "../../common/grpc/protos.js";
import { Replicas } from "../replicas.js";
import { speaksTls, tlsProblem } from "../speaks-tls.js";

const dir = mkdtempSync(join(tmpdir(), "marllb-tls-"));
test.after.always(() => rmSync(dir, { recursive: true }));
const tls = { cert: join(dir, "cert.pem"), key: join(dir, "key.pem") };

function made(): boolean {
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const how = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", ...subject];
  try {
    execFileSync("openssl", ["req", ...how, "-keyout", tls.key, "-out", tls.cert], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
const needsOpenssl = needs(made(), "needs openssl on PATH");

async function serve(config: { tls?: typeof tls & { ca?: string } }): Promise<{ address: string; stop(): void }> {
  const server = new grpc.Server();
  server.addService(v1.Process.service, { SetLogLevel: unary(() => ({ level: "info", previous: "info" })) });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", serverCredentials(config), (e, p) => (e ? reject(e) : resolve(p))),
  );
  return { address: `127.0.0.1:${port}`, stop: () => server.forceShutdown() };
}

async function asked(address: string, config: { tls?: typeof tls & { ca?: string } }): Promise<string> {
  const replicas = new Replicas("health", () => v1.Process, [address], config, 20_000);
  try {
    return (await replicas.any("SetLogLevel", {})).level;
  } catch (e) {
    return (e as Error).message;
  } finally {
    await replicas.close();
  }
}

for (const mutual of [false, true]) {
  needsOpenssl(`plaintext to an endpoint with TLS${mutual ? ", mutual" : ""}`, async (t) => {
    const { address, stop } = await serve({ tls: mutual ? { ...tls, ca: tls.cert } : tls });
    t.teardown(stop);
    t.is(await speaksTls(address), true);
    t.regex(await asked(address, {}), /^health at 127.*: no connection \(it speaks TLS, and we do not: name certificate/);
    t.is(await asked(address, { tls }), "info");
  });
}

needsOpenssl("TLS to an endpoint of plaintext", async (t) => {
  const { address, stop } = await serve({});
  t.teardown(stop);
  t.is(await speaksTls(address), false);
  t.regex(await asked(address, { tls }), /^health at 127.*: no connection \(it does not speak TLS, and we do: leave out/);
  t.is(await asked(address, {}), "info");
});

test("an endpoint that says nothing, and one that is not there, are neither", async (t) => {
  const silent = createServer((s) => s.on("error", () => {}).resume());
  await new Promise<void>((r) => silent.listen(0, "127.0.0.1", r));
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  t.is(await speaksTls(address, 200), null);
  await new Promise((r) => silent.close(r));
  t.is(await speaksTls(address), null);
});

needsOpenssl("a client's certificate that is refused is said to be, and why", async (t) => {
  const other = { cert: join(dir, "other.pem"), key: join(dir, "other.key") };
  const how = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=other"];
  execFileSync("openssl", ["req", ...how, "-keyout", other.key, "-out", other.cert], { stdio: "ignore" });
  const { address, stop } = await serve({ tls: { ...tls, ca: tls.cert } });
  t.teardown(stop);
  t.is(await tlsProblem(address, tls), null);
  const foreign = /it refused our certificate: .*other\.pem, of .*CN=other.*, is not of its CA \(its `tls\.ca`\)/;
  t.regex((await tlsProblem(address, other)) ?? "none", foreign);
  t.regex(
    await asked(address, { tls: { ...other, ca: tls.cert } }),
    /^health at 127.*: no connection \(it refused our certificate: /,
  );
  const days = (n: number): number => Date.now() + n * 86_400_000;
  t.regex((await tlsProblem(address, other, days(2))) ?? "none", /^it refused our certificate: .*other\.pem expired on /);
  t.regex((await tlsProblem(address, other, days(-2))) ?? "none", /^it refused our certificate: .*other\.pem is valid from /);
});

test("a call whose connection breaks may have been taken, and that is said", async (t) => {
  const { address, stop } = await serve({});
  // What comes back of the call cuts the connection, as the death of the process would.
  const proxy = createServer((client) => {
    const [host, port] = address.split(":");
    const server = connect(Number(port), host);
    server
      .on("error", () => {})
      .on("data", (b) => {
        if (b.includes("info")) client.destroy();
        else client.write(b);
      });
    client
      .on("error", () => {})
      .on("close", () => server.destroy())
      .pipe(server);
  });
  await new Promise<void>((r) => proxy.listen(0, "127.0.0.1", r));
  t.teardown(() => void proxy.close());
  t.teardown(stop);
  const at = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  t.is(await asked(at, {}), `health at ${at}: the connection was lost before its answer\nit is not known whether it was taken`);
});
