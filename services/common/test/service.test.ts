// SPDX-License-Identifier: Apache-2.0
// What every service does alike: ready line, health, reflection, metrics, a clean end, errors a person can act on.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import * as grpc from "@grpc/grpc-js";
import test from "ava";
import { launch, type ServiceFolder, scratch, start } from "../../../testbed/service.js";
import { v1 } from "../grpc/protos.js";
import { stateFolder } from "../run.js";

const run = promisify(execFile);
/** And why each is not ready when it is alone; null: it is. */
const SERVICES: [ServiceFolder, string, RegExp | null][] = [
  ["shm-agent", "ShmAgent", /^not attached to a data plane: .*-none: cannot open/],
  ["inference", "Inference", null],
  ["health", "Health", /^no load balancer sends frames/],
  ["failover", "Failover", /^health/],
];
const grpcurl = [...(process.env.PATH ?? "").split(delimiter), join(homedir(), "go/bin")]
  .map((d) => join(d, "grpcurl"))
  .find((f) => existsSync(f));

// No region of this name exists, and no peers: a service must serve all the same.
const CONFIG = `
instance: test-${process.pid}
region: { path: /dev/shm/marllb-test-${process.pid}-none }
services:
  inference: { listen: "127.0.0.1:1", metrics: "127.0.0.1:2" }
  health: { listen: "127.0.0.1:3", metrics: "127.0.0.1:4" }
  failover: { listen: "127.0.0.1:5", metrics: "127.0.0.1:6" }
failover: { store: { kind: memory } }
log: { level: warn }
`;

for (const [folder, name, why] of SERVICES) {
  test(`${folder}: serves alone, is described by reflection, ends cleanly with its stdin`, async (t) => {
    const s = scratch();
    t.teardown(s.remove);
    const it = await start(folder, s.config(CONFIG));
    t.teardown(() => it.child.kill("SIGKILL"));
    const metrics = await fetch(`http://${it.metrics}/metrics`);
    t.is(metrics.status, 200);
    t.regex(await metrics.text(), /process_cpu_seconds_total\{service="/);
    t.is((await fetch(`http://${it.metrics}/livez`)).status, 200);
    const ready = await fetch(`http://${it.metrics}/readyz`);
    t.is(ready.status, why === null ? 200 : 503);
    t.regex(await ready.text(), why ?? /^ready\n$/);
    t.is((await fetch(`http://${it.metrics}/other`)).status, 404);

    if (grpcurl === undefined) {
      t.log("grpcurl is not installed: reflection was not tried (go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest)");
    } else {
      const ask = async (...args: string[]): Promise<string> => (await run(grpcurl, ["-plaintext", ...args])).stdout;
      t.deepEqual(
        (await ask(it.grpc, "list")).trim().split("\n").sort(),
        ["grpc.health.v1.Health", "marllb.v1.Process", `marllb.v1.${name}`].sort(),
      );
      t.regex(await ask(it.grpc, "describe", `marllb.v1.${name}`), new RegExp(`service ${name} \\{`));
      for (const service of ["", `marllb.v1.${name}`, "marllb.v1.Process"]) {
        const said = await ask("-d", JSON.stringify({ service }), it.grpc, "grpc.health.v1.Health/Check");
        t.regex(said, why === null || service === "marllb.v1.Process" ? /"SERVING"/ : /"NOT_SERVING"/, service);
      }
    }
    t.is(await it.stop(), 0, it.stderr());
  });
}

test("SIGTERM ends a service cleanly while a stream is open", async (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const it = await start("health", s.config(CONFIG));
  const client = new v1.Health(it.grpc, grpc.credentials.createInsecure());
  t.teardown(() => client.close());
  const call = client.Watch({});
  call.on("error", () => {});
  await new Promise((resolve) => call.once("data", resolve));
  it.child.kill("SIGTERM");
  t.is(await it.exited, 0, it.stderr());
});

test("a port in use is an error that says which and what to do", async (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const taken = createServer();
  const port = await new Promise<number>((r) =>
    taken.listen(0, "127.0.0.1", () => r((taken.address() as { port: number }).port)),
  );
  t.teardown(() => taken.close());
  const args = ["--config", s.config(CONFIG), "--stop-with-stdin"];
  const a = await launch("health", [...args, "--port", String(port), "--metrics-port", "0"]);
  t.true(
    "code" in a && a.code === 1 && a.stderr.includes(`127.0.0.1:${port} is in use`) && a.stderr.includes("--port"),
    JSON.stringify(a),
  );
  const b = await launch("health", [...args, "--port", "0", "--metrics-port", String(port)]);
  t.true("code" in b && b.code === 1 && b.stderr.includes(`127.0.0.1:${port} is in use`), JSON.stringify(b));
});

test("a wrong configuration ends with code 2 and its place", async (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const file = s.config("tick_ms: 200\nhelth: {}\n");
  const r = await launch("health", ["--config", file]);
  t.deepEqual(r, { code: 2, stderr: `${file}:2:1: helth: unknown key; did you mean health?` });
});

test("TLS: a client with the certificate is served, one without is not", async (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const key = join(s.dir, "key.pem");
  const cert = join(s.dir, "cert.pem");
  try {
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    await run("openssl", [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "1",
      "-keyout",
      key,
      "-out",
      cert,
      ...subject,
    ]);
  } catch {
    t.pass();
    t.log("openssl is not installed: no certificate to try TLS with");
    return;
  }
  const it = await start("health", s.config(CONFIG), [`tls={cert: ${cert}, key: ${key}}`]);
  // By name: a certificate's address is not what TLS compares.
  const name = { "grpc.ssl_target_name_override": "localhost" };
  t.teardown(() => it.child.kill("SIGKILL"));
  const { readFileSync } = await import("node:fs");
  const check = (credentials: grpc.ChannelCredentials): Promise<string> =>
    new Promise((resolve) => {
      const client = new v1.Health(it.grpc, credentials, name);
      client.Check({ address: "127.0.0.1:1", kind: "tcp", timeout_ms: 500 }, { deadline: Date.now() + 5000 }, (e, r) => {
        client.close();
        resolve(e ? `error ${e.code}` : (r?.state ?? ""));
      });
    });
  // What it says of a server that it does not know: it was reached.
  t.is(await check(grpc.credentials.createSsl(readFileSync(cert))), `error ${grpc.status.PERMISSION_DENIED}`);
  t.regex(await check(grpc.credentials.createInsecure()), /^error 1?4$/);
  t.is(await it.stop(), 0);
});

test("what is kept over restarts is in systemd's folder, in a checkout in one of the instance", (t) => {
  t.is(stateFolder("one", { STATE_DIRECTORY: "/var/lib/marllb" }), "/var/lib/marllb");
  t.is(stateFolder("one", { STATE_DIRECTORY: "/var/lib/a:/var/lib/b" }), "/var/lib/a");
  t.not(stateFolder("one", {}), stateFolder("two", {}));
});
