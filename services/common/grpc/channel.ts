// SPDX-License-Identifier: Apache-2.0
// Channel options and credentials of both ends.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import * as grpc from "@grpc/grpc-js";
import { formatHostPort, parseHostPort } from "../config/address.js";
import { type Config, ConfigError, type ServiceName } from "../config/load.js";

const MESSAGE_LIMIT = 1 << 20;

// A peer that hangs keeps its connection: only keepalive finds it. Without the backoff limits a peer that comes back is found
// up to a second late.
const keepalive = { "grpc.keepalive_time_ms": 1000, "grpc.keepalive_timeout_ms": 1000 };
const limits = { "grpc.max_receive_message_length": MESSAGE_LIMIT, "grpc.max_send_message_length": MESSAGE_LIMIT };

export const serverOptions: grpc.ServerOptions = { ...keepalive, ...limits };

export const clientOptions: grpc.ClientOptions = {
  ...keepalive,
  ...limits,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 250,
  "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
};

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

export function serverCredentials(config: Config): grpc.ServerCredentials {
  if (!config.tls) return grpc.ServerCredentials.createInsecure();
  const { cert, key, ca } = config.tls;
  return grpc.ServerCredentials.createSsl(
    ca ? pem("ca", ca) : null,
    [{ cert_chain: pem("cert", cert), private_key: pem("key", key) }],
    ca !== undefined,
  );
}

export function clientCredentials(config: Pick<Config, "tls">): grpc.ChannelCredentials {
  if (!config.tls) return grpc.credentials.createInsecure();
  const { cert, key, ca } = config.tls;
  return grpc.credentials.createSsl(ca ? pem("ca", ca) : pem("cert", cert), pem("key", key), pem("cert", cert));
}

/** Where to dial a service: its `address`, else `listen` with a wildcard replaced by loopback. */
export function dialTarget(config: Config, service: ServiceName): string {
  const { address, listen } = config.services[service];
  if (address !== undefined) return address;
  const hp = parseHostPort(listen);
  if (hp?.host === "0.0.0.0") return formatHostPort("127.0.0.1", hp.port);
  if (hp?.host === "::") return formatHostPort("::1", hp.port);
  return listen;
}
