// SPDX-License-Identifier: Apache-2.0
// gRPC clients of the four services at the addresses of one configuration.
import type { Client, ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import type { Config } from "../common/config/load.js";
import { clientCredentials, clientOptions, dialTarget } from "../common/grpc/channel.js";
import { v1 } from "../common/grpc/protos.js";

export interface Clients {
  agent: InstanceType<typeof v1.ShmAgent>;
  inference: InstanceType<typeof v1.Inference>;
  health: InstanceType<typeof v1.Health>;
  failover: InstanceType<typeof v1.Failover>;
  close(): void;
}

export function connect(config: Config): Clients {
  const credentials = clientCredentials(config);
  const agent = new v1.ShmAgent(dialTarget(config, "shm_agent"), credentials, clientOptions);
  const inference = new v1.Inference(dialTarget(config, "inference"), credentials, clientOptions);
  const health = new v1.Health(dialTarget(config, "health"), credentials, clientOptions);
  const failover = new v1.Failover(dialTarget(config, "failover"), credentials, clientOptions);
  const all: Client[] = [agent, inference, health, failover];
  const close = (): void => {
    for (const c of all) c.close();
  };
  return { agent, inference, health, failover, close };
}

// A generated method has many overloads; its last one is (argument, callback), and that is the one conditional types see.
type RequestOf<M> = M extends (argument: infer A, callback: infer _) => unknown ? A : never;
type CallbackOf<M> = M extends (argument: infer _, callback: infer C) => unknown ? C : never;
type ResponseOf<M> = CallbackOf<M> extends (error: infer _, response?: infer R) => unknown ? R : never;
type Call = (
  request: unknown,
  options: { deadline: Date },
  callback: (e: ServiceError | null, response?: unknown) => void,
) => void;

/** A unary call as a promise, at most so many milliseconds. */
export function ask<C extends Client, K extends keyof C>(
  client: C,
  method: K,
  request: RequestOf<C[K]>,
  deadlineMs = 5000,
): Promise<NonNullable<ResponseOf<C[K]>>> {
  return new Promise((resolve, reject) => {
    (client[method] as Call).call(client, request, { deadline: new Date(Date.now() + deadlineMs) }, (e, response) => {
      if (e) reject(e);
      else resolve(response as NonNullable<ResponseOf<C[K]>>);
    });
  });
}

/** Follows a server stream and opens it anew whenever it ends; returns how to stop. */
export function follow<T>(open: () => ClientReadableStream<T>, onData: (message: T) => void, retryMs = 250): () => void {
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
