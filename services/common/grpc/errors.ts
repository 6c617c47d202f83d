// SPDX-License-Identifier: Apache-2.0
// Typed errors and the one place where they become gRPC statuses.
import * as grpc from "@grpc/grpc-js";
import { inContext } from "../telemetry.js";

export type ErrorCode =
  | "INVALID_ARGUMENT"
  | "NOT_FOUND"
  | "PERMISSION_DENIED"
  | "FAILED_PRECONDITION"
  | "UNAVAILABLE"
  | "RESOURCE_EXHAUSTED"
  | "ABORTED";

export class ServiceError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
  ) {
    super(message);
    this.name = "ServiceError";
  }
}

/** A request's field is wrong: names the field and the rule. */
export function invalid(field: string, rule: string): ServiceError {
  return new ServiceError("INVALID_ARGUMENT", `${field}: ${rule}`);
}

export function toStatus(e: unknown): { code: grpc.status; details: string } {
  if (e instanceof ServiceError) return { code: grpc.status[e.code], details: e.message };
  return { code: grpc.status.INTERNAL, details: e instanceof Error ? e.message : String(e) };
}

/** What a call tells of who asks. */
export type Caller = Pick<grpc.ServerUnaryCall<unknown, unknown>, "getPeer" | "getAuthContext" | "cancelled">;

/** Whoever signs certificates may write anything into them; this goes to logs and terminals. */
const NAME_LIMIT = 200;
const printable = (text: string): string => text.replace(/\p{C}/gu, "?").slice(0, NAME_LIMIT);

/**
 * Who asks: the common name of the certificate that the caller showed; the first of its other names where it has none (SPIFFE's have none);
 * else the address that the call came from.
 */
export function callerName(caller: Caller): string {
  const shown = caller.getAuthContext().sslPeerCertificate;
  // Of several common names Node makes a list.
  const cn = [shown?.subject?.CN ?? []].flat().join(", ");
  const other = shown?.subjectaltname?.split(", ")[0] ?? "";
  return printable(cn || other) || caller.getPeer();
}

/** A unary handler from a plain function. */
export function unary<Req, Res>(fn: (request: Req, caller: Caller) => Res | Promise<Res>): grpc.handleUnaryCall<Req, Res> {
  return (call, callback) => {
    Promise.resolve()
      .then(inContext(() => fn(call.request, call)))
      .then(
        (response) => callback(null, response),
        (e: unknown) => callback(toStatus(e)),
      );
  };
}

export const UNREAD = new ServiceError("RESOURCE_EXHAUSTED", "the stream was not read for 10 s: open it again");

/** Ends a stream with an error's status. */
export function failStream(
  stream: { destroy(error: Error): void; emit(event: "error", error: unknown): boolean },
  e: unknown,
): void {
  stream.emit("error", toStatus(e));
}
