// SPDX-License-Identifier: Apache-2.0
// HTTP/2's flow-control window of our servers. With the 64 KiB that a connection begins with, a frame of 64 servers (52 KB) that follows
// another one at once (the warm-up request before a tick) stops short until its receiver has woken and given back what it read: .4 ms of a
// tick. grpc-js has an option for it on channels ("grpc-node.flow_control_window") and none on servers (1.14).

import type { Http2Server, ServerOptions } from "node:http2";
import type * as grpc from "@grpc/grpc-js";

/** Bytes on their way in one direction of a connection, or of a stream, that were not read yet: a frame of 1024 servers. */
export const WINDOW_BYTES = 1 << 20;

/** What grpc-js keeps of its HTTP/2 servers; private there, so each part may be away in another version: the window is small then. */
interface Inside {
  commonServerOptions?: ServerOptions;
  http2Servers?: ReadonlyMap<Http2Server, unknown>;
}

/** Of each stream: to call before the server is bound. */
export function widenStreams(server: grpc.Server): void {
  const { commonServerOptions: options } = server as unknown as Inside;
  if (options) options.settings = { ...options.settings, initialWindowSize: WINDOW_BYTES };
}

/** Of each connection: to call once the server is bound. */
export function widenConnections(server: grpc.Server): void {
  const { http2Servers } = server as unknown as Inside;
  for (const s of http2Servers?.keys() ?? []) s.on("session", (session) => session.setLocalWindowSize(WINDOW_BYTES));
}
