// SPDX-License-Identifier: Apache-2.0
// grpc.health.v1.Health/Check over one HTTP/2 connection. Request and answer are two protobuf messages of one field each, written and read
// here: a client of a library keeps channels, reconnects and back-off that a check must not have.
import { constants, connect as h2, type IncomingHttpHeaders } from "node:http2";
import type { Socket } from "node:net";
import { status as codes } from "@grpc/grpc-js";
import * as z from "zod";
import { formatHostPort } from "../config/address.js";
import { CheckFailed, defineCheck } from "./check.js";
import { proxyKeys } from "./proxy.js";
import { opened } from "./socket.js";
import { secured, tlsKeys } from "./tls.js";

const STATES = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const MAX_ANSWER = 4096;
const MEANS: Record<string, string> = {
  NOT_FOUND: ": it does not know the service that `grpc_service` names",
  UNIMPLEMENTED: ": it has no grpc.health.v1",
};

/** In words, as a service's own log has them. */
function statusText(status: string): string {
  const code = codes[Number(status)];
  return code === undefined ? `gRPC status ${status}` : `gRPC status ${code}${MEANS[code] ?? ""}`;
}

/** HealthCheckRequest{service}, with gRPC's prefix of five bytes. */
export function healthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const field = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(field.length, 1);
  return Buffer.concat([head, field]);
}

/** HealthCheckResponse.status; null where it is none. A message without bytes has the status 0. */
export function healthStatus(answer: Buffer): number | null {
  if (answer.length < 5 || answer[0] !== 0 || answer.readUInt32BE(1) !== answer.length - 5) return null;
  const field = answer.subarray(5);
  if (field.length === 0) return 0;
  return field.length === 2 && field[0] === 0x08 && (field[1] as number) < 0x80 ? (field[1] as number) : null;
}

function call(socket: Socket, authority: string, service: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const session = h2(`http://${authority}`, { createConnection: () => socket });
    const fail = (e: Error): void => {
      session.destroy();
      reject(e);
    };
    session.on("error", fail);
    session.on("close", () => fail(new CheckFailed("the connection ended")));
    signal.addEventListener("abort", () => fail(new CheckFailed("aborted")), { once: true });
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: "/grpc.health.v1.Health/Check",
      [constants.HTTP2_HEADER_AUTHORITY]: authority,
      "content-type": "application/grpc",
      te: "trailers",
      "user-agent": "marllb-health",
    });
    const parts: Buffer[] = [];
    let size = 0;
    let status: string | undefined;
    const heard = (h: IncomingHttpHeaders): void => {
      status = (h["grpc-status"] as string | undefined) ?? status;
    };
    stream.on("response", heard).on("trailers", heard);
    stream.on("data", (b: Buffer) => {
      size += b.length;
      if (size > MAX_ANSWER) fail(new CheckFailed("the answer is no gRPC health answer"));
      else parts.push(b);
    });
    stream.on("error", fail);
    stream.on("end", () => {
      const state = healthStatus(Buffer.concat(parts));
      if (status !== undefined && status !== "0") fail(new CheckFailed(statusText(status)));
      else if (state === null) fail(new CheckFailed("the answer is no gRPC health answer"));
      else if (STATES[state] !== "SERVING") fail(new CheckFailed(STATES[state] ?? `state ${state}`));
      else {
        resolve("SERVING");
        session.destroy();
      }
    });
    stream.end(healthRequest(service));
  });
}

export const check = defineCheck({
  kind: "grpc",
  help: "grpc.health.v1 says SERVING of `grpc_service`; over TLS with grpc_tls",
  schema: {
    ...proxyKeys,
    ...tlsKeys,
    grpc_service: z
      .string()
      .regex(/^[\x21-\x7e]{0,120}$/, { error: "expected a service's name, such as shop.v1.Cart" })
      .default(""), // empty: the server as a whole
    grpc_tls: z.boolean().default(false),
  },
  async run(target, options, signal) {
    const open = (): Promise<Socket> => opened(target, signal, options.send_proxy);
    const socket = options.grpc_tls ? await secured(open, target, options, ["h2"]) : await open();
    return call(socket, options.tls_name || formatHostPort(target.host, target.port), options.grpc_service, signal);
  },
});
