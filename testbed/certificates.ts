// SPDX-License-Identifier: Apache-2.0
// An authority of a test's own and what it signs, by the program openssl.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { which } from "./process.js";

export const opensslMissing = which("openssl") === null ? "needs openssl on PATH" : null;

export interface Certificate {
  cert: string;
  key: string;
}

export class Authority {
  readonly ca: string;
  private readonly key: string;

  constructor(private readonly folder: string) {
    this.ca = path.join(folder, "ca.pem");
    this.key = path.join(folder, "ca.key");
    openssl("req", "-x509", ...newKey(this.key), "-out", this.ca, "-days", "2", "-subj", "/CN=the authority");
  }

  /** `subject` as openssl has it, such as /CN=alice; `names` such as IP:127.0.0.1 or URI:spiffe://site/alice. */
  sign(file: string, subject: string, names: string): Certificate {
    const of = (kind: string): string => path.join(this.folder, `${file}.${kind}`);
    writeFileSync(of("ext"), `subjectAltName=${names}\n`);
    openssl("req", "-new", ...newKey(of("key")), "-out", of("csr"), "-subj", subject);
    const by = ["-CA", this.ca, "-CAkey", this.key, "-CAcreateserial", "-days", "2", "-extfile", of("ext")];
    openssl("x509", "-req", "-in", of("csr"), "-out", of("pem"), ...by);
    return { cert: of("pem"), key: of("key") };
  }
}

const newKey = (file: string): string[] => ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", file];

function openssl(...args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}
