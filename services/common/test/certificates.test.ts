// SPDX-License-Identifier: Apache-2.0
// A certificate is renewed under a process that runs: the next handshake uses the new one, what does not fit is not taken.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import test from "ava";
import { ConfigError } from "../config/load.js";
import { reloadCertificates } from "../grpc/certificates.js";
import { clientCredentials, serverCredentials } from "../grpc/channel.js";
import { unary } from "../grpc/errors.js";
import { v1 } from "../grpc/protos.js";

const dir = mkdtempSync(join(tmpdir(), "marllb-cert-"));
test.after.always(() => rmSync(dir, { recursive: true }));

/** A certificate of its own authority; false where openssl is missing. */
function make(name: string): boolean {
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const how = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", ...subject];
  try {
    execFileSync("openssl", ["req", ...how, "-keyout", join(dir, `${name}.key`), "-out", join(dir, `${name}.pem`)], {
      stdio: "ignore",
    });
    return true;
  } catch {
    return false;
  }
}

const made = ["a", "b"].every(make);
const install = (name: string, only: readonly ("key" | "pem")[] = ["key", "pem"]): void => {
  for (const kind of only) copyFileSync(join(dir, `${name}.${kind}`), join(dir, `now.${kind}`));
};
const tls = { cert: join(dir, "now.pem"), key: join(dir, "now.key") };

for (const mutual of [false, true]) {
  (made ? test.serial : test.serial.skip)(
    `the next handshake has the renewed certificate${mutual ? ", mutual" : ""}`,
    async (t) => {
      install("a");
      reloadCertificates();
      const config = { tls: mutual ? { ...tls, ca: tls.cert } : tls };
      const server = new grpc.Server();
      server.addService(v1.Process.service, { SetLogLevel: unary(() => ({ level: "info", previous: "info" })) });
      const port = await new Promise<number>((resolve, reject) =>
        server.bindAsync("127.0.0.1:0", serverCredentials(config), (e, p) => (e ? reject(e) : resolve(p))),
      );
      t.teardown(() => server.forceShutdown());
      const ask = (credentials: grpc.ChannelCredentials): Promise<string> =>
        new Promise((resolve) => {
          const options = { "grpc.ssl_target_name_override": "localhost", "grpc.use_local_subchannel_pool": 1 };
          const client = new v1.Process(`127.0.0.1:${port}`, credentials, options);
          client.SetLogLevel({}, { deadline: Date.now() + 20_000 }, (e, r) => {
            client.close();
            resolve(e ? `error ${e.code}` : (r?.level ?? ""));
          });
        });
      const of = (name: string): grpc.ChannelCredentials => {
        const file = (kind: string): Buffer => readFileSync(join(dir, `${name}.${kind}`));
        return mutual
          ? grpc.credentials.createSsl(file("pem"), file("key"), file("pem"))
          : grpc.credentials.createSsl(file("pem"));
      };
      const own = clientCredentials(config);
      t.deepEqual([await ask(of("a")), await ask(of("b")), await ask(own)], ["info", "error 14", "info"]);

      // In the middle of a renewal: the certificate is there, its key is not yet.
      install("b", ["pem"]);
      t.throws(() => reloadCertificates(), {
        instanceOf: ConfigError,
        message: /tls\.key: .* is not the key of the certificate/,
      });
      t.is(await ask(of("a")), "info");
      writeFileSync(tls.key, "noise");
      t.throws(() => reloadCertificates(), { message: /^tls\.key: expected a private key/ });

      install("b");
      const later = Date.now() + 2 * 86_400_000; // it is good for a day
      t.throws(() => reloadCertificates(later), { message: /^tls\.cert: the certificate in \S+ expired on / });
      t.is(await ask(of("a")), "info");
      t.true(reloadCertificates());
      t.false(reloadCertificates(), "nothing has changed since");
      t.deepEqual([await ask(of("a")), await ask(of("b")), await ask(own)], ["error 14", "info", "info"]);
    },
  );
}
