// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { ConfigError } from "../common/config/error.js";
import type { Config } from "../common/config/load.js";
import { pem } from "../common/grpc/certificates.js";
import type { EtcdOptions } from "./etcd-store.js";
import { fileStore } from "./file-store.js";
import { memoryStore } from "./memory-store.js";
import type { Store } from "./store.js";

/** The store that the configuration names. etcd's client is loaded only where it is wanted. */
export async function openStore(config: Config, stateFolder: string, warn: (message: string) => void): Promise<Store> {
  const s = config.failover.store;
  switch (s.kind) {
    case "memory":
      warn("failover.store.kind is memory: every order is forgotten when this process ends");
      return memoryStore();
    case "file":
      return fileStore(resolve(stateFolder, s.path), warn);
    case "etcd":
      return (await import("./etcd-store.js")).etcdStore(etcdOptions(s), warn);
  }
}

type EtcdConfig = Extract<Config["failover"]["store"], { kind: "etcd" }>;

const KEY = "failover.store.tls";

function etcdOptions(s: EtcdConfig): EtcdOptions {
  const { endpoints, prefix, username, password, password_file: file, tls } = s;
  const secret = file === undefined ? password : passwordIn(file);
  return {
    endpoints,
    prefix,
    ...(username !== undefined && { username }),
    ...(secret !== undefined && { password: secret }),
    ...(tls && {
      tls: {
        ca: pem("ca", tls.ca, KEY),
        ...(tls.cert !== undefined && { cert: pem("cert", tls.cert, KEY) }),
        ...(tls.key !== undefined && { key: pem("key", tls.key, KEY) }),
      },
    }),
  };
}

function passwordIn(file: string): string {
  try {
    return readFileSync(file, "utf8").trimEnd();
  } catch (e) {
    throw new ConfigError([`failover.store.password_file: ${file} cannot be read: ${(e as Error).message}`]);
  }
}
