// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { ConfigError, parseConfig } from "../../common/config/load.js";
import { Access } from "../access.js";

function tokenFile(t: ExecutionContext, text: string): string {
  const dir = mkdtempSync(path.join(tmpdir(), "marllb-access-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const file = path.join(dir, "token");
  writeFileSync(file, text);
  return file;
}

const from = (cn: string | null, authorization = ""): IncomingMessage =>
  ({
    headers: { authorization },
    socket: cn === null ? { authorized: false } : { authorized: true, getPeerCertificate: () => ({ subject: { CN: cn } }) },
  }) as unknown as IncomingMessage;

const tls = "tls: { cert: a.pem, key: a.key, ca: ca.pem }\n";

test("over TLS with an authority a certificate looks, the named ones act, and without one nothing is seen", (t) => {
  const access = new Access(parseConfig(`${tls}console: { operators: [alice] }`));
  t.is(access.who(from("alice")).role, "operate");
  t.like(access.who(from("bob")), { role: "read", name: "bob" });
  t.is(access.who(from(null)).role, "none");
});

test("over TLS the token still acts, under the certificate's name where there is one", (t) => {
  const file = tokenFile(t, "0123456789abcdef\n");
  const access = new Access(parseConfig(`${tls}console: { token_file: ${file} }`));
  t.like(access.who(from("bob", "Bearer 0123456789abcdef")), { role: "operate", name: "bob" });
  t.like(access.who(from(null, "Bearer 0123456789abcdef")), { role: "operate", name: "token" });
  t.is(access.who(from(null, "Bearer 0123456789abcdeg")).role, "none");
});

test("without a token's file nobody acts by a token, not even by an empty one", (t) => {
  const access = new Access(parseConfig(""));
  for (const authorization of ["", "Bearer ", "Bearer x"]) t.is(access.who(from(null, authorization)).role, "read");
});

test("a token's file that is missing, or whose token could be guessed, is an error with its name", (t) => {
  const bad = (file: string) => () => new Access(parseConfig(`console: { token_file: ${file} }`));
  t.throws(bad("/nonexistent/token"), {
    instanceOf: ConfigError,
    message: /console\.token_file: \/nonexistent\/token cannot be read/,
  });
  t.throws(bad(tokenFile(t, "short\n")), { instanceOf: ConfigError, message: /at least 16 characters/ });
  t.throws(bad(tokenFile(t, "two words that are long enough")), { instanceOf: ConfigError });
});

test("the token's file is read again when the configuration is", (t) => {
  const file = tokenFile(t, "0123456789abcdef");
  const config = parseConfig(`console: { token_file: ${file} }`);
  const access = new Access(config);
  writeFileSync(file, "fedcba9876543210");
  access.reload(config);
  t.is(access.who(from(null, "Bearer 0123456789abcdef")).role, "read");
  t.is(access.who(from(null, "Bearer fedcba9876543210")).role, "operate");
});
