// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import type { TLSSocket } from "node:tls";
import test, { type ExecutionContext } from "ava";
import { runCheck } from "../../../../testbed/checks.js";
import { check } from "../https.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-https-"));
const key = path.join(folder, "key.pem");
const cert = path.join(folder, "cert.pem");
let port = 0;
const asked: { name: string | false | null; host: string | undefined }[] = [];
const server = createServer({}, (request, response) => {
  asked.push({ name: (request.socket as TLSSocket & { servername: string | false }).servername, host: request.headers.host });
  response.writeHead(request.url === "/bad" ? 500 : 200).end();
});

/** Tests of TLS need a certificate, and only the program openssl makes one. */
const withOpenssl = (title: string, body: (t: ExecutionContext) => Promise<void>) =>
  test.serial(title, async (t) => {
    if (port === 0) {
      t.log("openssl is not installed: no certificate to try TLS with");
      t.pass();
    } else await body(t);
  });

test.before(async () => {
  // Self-signed, for one name and one address: its own authority.
  const subject = ["-subj", "/CN=web.example", "-addext", "subjectAltName=DNS:web.example,IP:127.0.0.1"];
  const how = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  try {
    execFileSync("openssl", ["req", ...how, "-keyout", key, "-out", cert, ...subject], { stdio: "ignore" });
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === "ENOENT") return;
    throw e;
  }
  server.setSecureContext({ key: readFileSync(key), cert: readFileSync(cert) });
  await new Promise<void>((r) => server.listen(0, "127.0.0.1", () => r()));
  port = (server.address() as AddressInfo).port;
});
test.after.always(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const defaults = { path: "/", status: "200-399", tls_verify: true, tls_name: "", tls_ca: "", send_proxy: "off" };
const ask = async (options: Partial<typeof defaults>, host = "127.0.0.1") =>
  runCheck(check, { host, port }, { ...defaults, ...options });

withOpenssl("a certificate of an authority that counts, for the address or for the name, is good", async (t) => {
  t.is(await ask({ tls_ca: cert }), "status 200");
  t.deepEqual(asked.pop(), { name: false, host: `127.0.0.1:${port}` });
  t.is(await ask({ tls_ca: cert, tls_name: "web.example" }), "status 200");
  t.deepEqual(asked.pop(), { name: "web.example", host: "web.example" });
});

withOpenssl("an unknown authority or another name fails the check", async (t) => {
  await t.throwsAsync(ask({}), { message: /self-signed/ });
  await t.throwsAsync(ask({ tls_ca: cert, tls_name: "other.example" }), { message: /other\.example/ });
  t.is(asked.length, 0);
});

withOpenssl("without verification the status alone decides", async (t) => {
  t.is(await ask({ tls_verify: false, tls_name: "other.example" }), "status 200");
  await t.throwsAsync(ask({ tls_verify: false, path: "/bad" }), { message: "status 500", code: "CHECK_FAILED" });
});

withOpenssl("a file of authorities that cannot be read is no fault of the server", async (t) => {
  await t.throwsAsync(ask({ tls_ca: path.join(folder, "absent.pem") }), { message: /^tls_ca: ENOENT/ });
});
