// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { ConfigError, parseConfig } from "../config/load.js";
import { clientCredentials, serverCredentials } from "../grpc/channel.js";

const dir = mkdtempSync(join(tmpdir(), "marllb-tls-"));
test.after.always(() => rmSync(dir, { recursive: true }));
const noise = join(dir, "noise");
writeFileSync(noise, "no PEM\n");

for (const [what, tls, expect] of [
  ["is not there", `{cert: ${dir}/none, key: ${noise}}`, new RegExp(`^tls\\.cert: ${dir}/none cannot be read: ENOENT`)],
  ["is no certificate", `{cert: ${noise}, key: ${noise}}`, new RegExp(`^tls\\.cert: expected a certificate in PEM in ${noise}`)],
  ["of the authority is none", `{cert: ${noise}, key: ${noise}, ca: ${noise}}`, /^tls\.ca: expected a certificate/],
] as const) {
  test(`a TLS file that ${what} is named with its key, by servers and clients`, (t) => {
    const config = parseConfig(`tls: ${tls}`);
    for (const make of [serverCredentials, clientCredentials])
      t.throws(() => make(config), { instanceOf: ConfigError, message: expect });
  });
}
