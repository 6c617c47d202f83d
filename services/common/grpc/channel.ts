// SPDX-License-Identifier: Apache-2.0
// Channel options and credentials of both ends.
import * as grpc from "@grpc/grpc-js";
import { formatHostPort, parseHostPort } from "../config/address.js";
import type { Config, ServiceName } from "../config/load.js";
import { certificatesOf } from "./certificates.js";
import { clientSpans } from "./spans.js";
import { WINDOW_BYTES } from "./window.js";

const MESSAGE_LIMIT = 1 << 20;

// A peer that hangs keeps its connection: only keepalive finds it. Without the backoff limits a peer that comes back is found
// up to a second late.
const keepalive = { "grpc.keepalive_time_ms": 1000, "grpc.keepalive_timeout_ms": 1000 };
const limits = { "grpc.max_receive_message_length": MESSAGE_LIMIT, "grpc.max_send_message_length": MESSAGE_LIMIT };

// A stream stays where it was opened. Connections age, each at a moment of its own (gRPC varies the age by a tenth), so that streams are opened
// anew, names are resolved again, and a replica that came later gets its share. The grace is for calls in progress.
const ages = { "grpc.max_connection_age_ms": 600_000, "grpc.max_connection_age_grace_ms": 5000 };

// An agent needs a few streams a VIP, 1024 VIPs at most. One connection cannot fill the service's memory with streams.
const streams = { "grpc.max_concurrent_streams": 4096 };

export const serverOptions: grpc.ServerOptions = { ...keepalive, ...limits, ...ages, ...streams };

export const clientOptions: grpc.ClientOptions = {
  ...keepalive,
  ...limits,
  "grpc-node.flow_control_window": WINDOW_BYTES,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 250,
  "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  interceptor_providers: [clientSpans],
};

export function serverCredentials(config: Pick<Config, "tls">): grpc.ServerCredentials {
  if (!config.tls) return grpc.ServerCredentials.createInsecure();
  const files = certificatesOf(config.tls);
  const clients = config.tls.ca === undefined ? null : files;
  // Whatever its declaration says: first the server's own certificate, then whose clients it takes.
  return grpc.experimental.createCertificateProviderServerCredentials(files, clients, clients !== null);
}

/**
 * grpc-js names the host that it dials as the server's name, an address too, and Node warns of that once a process: a later Node leaves such a
 * name out, which is what we want.
 */
function acceptAddressesAsNames(): void {
  const emit = process.emitWarning as (...args: unknown[]) => void;
  if (emit === quietWarning) return;
  warn = emit.bind(process);
  process.emitWarning = quietWarning as typeof process.emitWarning;
}
let warn: (...args: unknown[]) => void = () => {};
const quietWarning = (...args: unknown[]): void => {
  if (!args.includes("DEP0123")) warn(...args);
};

export function clientCredentials(config: Pick<Config, "tls">): grpc.ChannelCredentials {
  if (!config.tls) return grpc.credentials.createInsecure();
  acceptAddressesAsNames();
  const files = certificatesOf(config.tls);
  return grpc.experimental.createCertificateProviderChannelCredentials(files, files);
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
