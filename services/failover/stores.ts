// SPDX-License-Identifier: Apache-2.0
import { resolve } from "node:path";
import type { Config } from "../common/config/load.js";
import { fileStore } from "./file-store.js";
import { memoryStore, type Store } from "./store.js";

/** The store that the configuration names. etcd's client is loaded only where it is wanted. */
export async function openStore(
  config: Config,
  stateFolder: string,
  warn: (message: string) => void,
  failed: (e: unknown) => void,
): Promise<Store> {
  const s = config.failover.store;
  switch (s.kind) {
    case "memory":
      return memoryStore();
    case "file":
      return fileStore(resolve(stateFolder, s.path), warn, failed);
    case "etcd":
      return (await import("./etcd-store.js")).etcdStore(s.endpoints, s.prefix, warn);
  }
}
