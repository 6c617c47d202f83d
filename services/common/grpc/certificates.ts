// SPDX-License-Identifier: Apache-2.0
// The files of `tls`, read again while the process runs: a certificate that was renewed serves the next handshake, connections that are
// open stay. What does not fit together is not taken, and the last that did stays.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { experimental } from "@grpc/grpc-js";
import { ConfigError } from "../config/error.js";
import type { Config } from "../config/load.js";

export type Tls = NonNullable<Config["tls"]>;

/** A file of `tls`, or of another section with such keys; what is wrong with it is said with its key. */
export function pem(key: "cert" | "key" | "ca", file: string, section = "tls"): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (e) {
    throw new ConfigError([`${section}.${key}: ${file} cannot be read: ${(e as Error).message}`]);
  }
  try {
    if (key === "key") createPrivateKey(bytes);
    else new X509Certificate(bytes);
  } catch (e) {
    const wanted = key === "key" ? "private key" : "certificate";
    throw new ConfigError([`${section}.${key}: expected a ${wanted} in PEM in ${file}: ${(e as Error).message}`]);
  }
  return bytes;
}

interface Files {
  cert: Buffer;
  key: Buffer;
  /** Whom peers are checked against: without `ca` the certificate itself. */
  ca: Buffer;
}

function read(tls: Tls): Files {
  const ca = tls.ca === undefined ? undefined : pem("ca", tls.ca);
  const cert = pem("cert", tls.cert);
  const files = { cert, key: pem("key", tls.key), ca: ca ?? cert };
  if (!new X509Certificate(files.cert).checkPrivateKey(createPrivateKey(files.key)))
    throw new ConfigError([`tls.key: ${tls.key} is not the key of the certificate in ${tls.cert}`]);
  return files;
}

export class Certificates implements experimental.CertificateProvider {
  #files: Files;
  readonly #cas = new Set<experimental.CaCertificateUpdateListener>();
  readonly #identities = new Set<experimental.IdentityCertificateUpdateListener>();

  /** Throws a ConfigError where a file is missing, or is not what it should be. */
  constructor(private readonly tls: Tls) {
    this.#files = read(tls);
  }

  /** True: they have changed, and serve from now on. Throws where they make no sense, or are over: the last ones serve on. */
  reload(nowMs: number): boolean {
    const files = read(this.tls);
    const same = (["cert", "key", "ca"] as const).every((k) => files[k].equals(this.#files[k]));
    if (same) return false;
    const { validTo } = new X509Certificate(files.cert);
    if (Date.parse(validTo) <= nowMs)
      throw new ConfigError([`tls.cert: the certificate in ${this.tls.cert} expired on ${validTo}`]);
    this.#files = files;
    for (const tell of this.#identities) tell(this.#identity());
    for (const tell of this.#cas) tell(this.#ca());
    return true;
  }

  #ca = (): experimental.CaCertificateUpdate => ({ caCertificate: this.#files.ca });
  #identity = (): experimental.IdentityCertificateUpdate => ({
    certificate: this.#files.cert,
    privateKey: this.#files.key,
  });

  // gRPC adds its listeners before it can take an answer.
  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#cas.add(listener);
    process.nextTick(() => listener(this.#ca()));
  }
  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#cas.delete(listener);
  }
  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identities.add(listener);
    process.nextTick(() => listener(this.#identity()));
  }
  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identities.delete(listener);
  }
}

/** One a set of files: a process serves and dials with the same. */
const loaded = new Map<string, Certificates>();

export function certificatesOf(tls: Tls): Certificates {
  const name = JSON.stringify([tls.cert, tls.key, tls.ca]);
  let it = loaded.get(name);
  if (it === undefined) loaded.set(name, (it = new Certificates(tls)));
  return it;
}

/** All that this process has; true: some have changed. Throws the first problem. */
export function reloadCertificates(nowMs = Date.now()): boolean {
  let changed = false;
  for (const it of loaded.values()) changed = it.reload(nowMs) || changed;
  return changed;
}
