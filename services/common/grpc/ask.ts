// SPDX-License-Identifier: Apache-2.0
// A client's side of calls: a unary one as a promise, and a server's stream that is followed for as long as somebody wants it.
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";

// A generated method has many overloads; its last one is (argument, callback), and that is the one conditional types see.
export type RequestOf<M> = M extends (argument: infer A, callback: infer _) => unknown ? A : never;
type CallbackOf<M> = M extends (argument: infer _, callback: infer C) => unknown ? C : never;
type ResponseOf<M> = CallbackOf<M> extends (error: infer _, response?: infer R) => unknown ? R : never;
export type AnswerOf<C, K extends keyof C> = NonNullable<ResponseOf<C[K]>>;
type Call = (
  request: unknown,
  options: { deadline: Date },
  callback: (e: ServiceError | null, response?: unknown) => void,
) => void;

/** Rejects with gRPC's ServiceError. */
export function ask<C extends object, K extends keyof C>(
  client: C,
  method: K,
  request: RequestOf<C[K]>,
  timeoutMs: number,
): Promise<AnswerOf<C, K>> {
  return new Promise((resolve, reject) => {
    (client[method] as Call).call(client, request, { deadline: new Date(Date.now() + timeoutMs) }, (e, response) => {
      if (e) reject(e);
      else resolve(response as AnswerOf<C, K>);
    });
  });
}

/** Follows a server stream and opens it anew whenever it ends; returns how to stop. */
export function follow<T>(
  open: () => ClientReadableStream<T>,
  onData: (message: T) => void,
  onEnd: () => void = () => {},
  retryMs = 250,
): () => void {
  let stopped = false;
  let stream: ClientReadableStream<T> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const again = (): void => {
    if (stopped) return;
    const s = open();
    stream = s;
    s.on("data", onData);
    s.on("error", () => {}); // "end" or "close" follows, and with it the next try
    s.on("close", () => {
      if (!stopped) onEnd();
      clearTimeout(timer);
      timer = setTimeout(again, retryMs);
    });
  };
  again();
  return () => {
    stopped = true;
    clearTimeout(timer);
    stream?.cancel();
  };
}
