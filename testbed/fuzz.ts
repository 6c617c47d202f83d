// SPDX-License-Identifier: Apache-2.0
// 10 000 random mutations of each message that a service takes: no crash, no hang. Bytes are decoded by gRPC's own decoder and handed to
// the service's handler in this process; a few of each go over a real connection in wire.test.ts.
import { EventEmitter } from "node:events";
import type { ServiceDefinition } from "@grpc/grpc-js";
import type { TestFn } from "ava";
import { pino } from "pino";
import { systemClock } from "../services/common/clock.js";
import { parseConfig } from "../services/common/config/load.js";
import { Registry } from "../services/common/metrics.js";
import type { RawFrame } from "../services/common/native/frame.js";
import { attachRegion } from "../services/common/native/region.js";
import type { CreateService, Service, ServiceContext } from "../services/common/run.js";
import { frameMessage, samples } from "./messages.js";
import { Mutator } from "./mutate.js";
import { Stack } from "./stack.js";
import { eventually } from "./wait.js";

export const MUTATIONS = 10_000;
export const SEED = 20_261;

/** A frame of a real data plane, which runs until its stack is stopped. */
export async function realFrame(): Promise<{ frame: RawFrame; stack: Stack }> {
  // Nobody connects: servers need no process.
  const stack = await Stack.dataPlane({ servers: [9, 10, 11].map((port) => ({ address: `127.0.0.1:${port}` })) });
  const region = attachRegion(stack.region, () => {});
  const frame = await eventually("a frame", async () => region.frames()?.[0]);
  region.close();
  return { frame, stack };
}

export function context(region: string): ServiceContext {
  return {
    // No checks: mutated frames hold mutated addresses, and nobody there asked to be checked.
    config: parseConfig(`
instance: fuzz
region: { path: ${region} }
vips: [{ name: web, address: "127.0.0.1:8080" }]
health: { kind: none }
failover: { store: { kind: memory } }
services:
  inference: { listen: "127.0.0.1:1", metrics: "127.0.0.1:2" }
  health: { listen: "127.0.0.1:3", metrics: "127.0.0.1:4" }
  failover: { listen: "127.0.0.1:5", metrics: "127.0.0.1:6" }
`),
    log: pino({ level: "silent" }),
    registry: new Registry(),
    clock: systemClock,
    stateFolder: "/nonexistent",
  };
}

/** What a handler sees of a call; what it writes must be what the definition can encode. */
class FakeCall extends EventEmitter {
  cancelled = false;
  writableNeedDrain = false;
  wrote = 0;
  constructor(
    readonly request: unknown,
    private readonly serialize: (m: never) => Buffer,
  ) {
    super();
    this.on("error", () => {});
  }
  write(m: unknown): boolean {
    this.serialize(m as never);
    this.wrote++;
    return true;
  }
  end(): void {}
  getPeer(): string {
    return "127.0.0.1:1";
  }
  getAuthContext(): object {
    return {};
  }
}

type Handler = (call: FakeCall, callback?: (e: unknown, r?: unknown) => void) => void;

async function feed(service: Service, method: string, good: object[], seed: number): Promise<{ refused: number; taken: number }> {
  const definition = (service.definition as ServiceDefinition)[method];
  if (!definition) throw new Error(`no method ${method}`);
  const handler = (service.implementation as unknown as Record<string, Handler>)[method] as Handler;
  const bytes = good.map((m) => definition.requestSerialize(m as never));
  const mutator = new Mutator(seed);
  const count = { refused: 0, taken: 0 };
  const pending: Promise<void>[] = [];
  for (let i = 0; i < MUTATIONS; i++) {
    let request: unknown;
    try {
      request = definition.requestDeserialize(mutator.mutate(bytes[i % bytes.length] as Buffer));
    } catch {
      count.refused++; // gRPC refuses it before a handler sees it
      continue;
    }
    count.taken++;
    const call = new FakeCall(request, definition.responseSerialize as (m: never) => Buffer);
    if (definition.requestStream) {
      handler(call, (_e, r) => void (r && definition.responseSerialize(r as never)));
      // The first message as it was meant, then the damaged one: behind a good hello it reaches further.
      if (i % 2 === 0) call.emit("data", definition.requestDeserialize(bytes[0] as Buffer));
      call.emit("data", request);
      pending.push(new Promise((resolve) => setImmediate(() => setImmediate(resolve))));
      call.emit("end");
      call.emit("close");
    } else if (definition.responseStream) {
      handler(call);
      call.emit("cancelled");
      call.emit("close");
    } else {
      pending.push(
        new Promise((resolve) =>
          handler(call, (_e, r) => {
            if (r) definition.responseSerialize(r as never);
            resolve();
          }),
        ),
      );
    }
    if (pending.length >= 100) await Promise.all(pending.splice(0));
  }
  await Promise.all(pending);
  return count;
}

/** Declares the test: every method of the service, each with its messages damaged. */
export function fuzzService(
  test: TestFn,
  folder: string,
  create: CreateService,
  ready: (s: Service) => Promise<boolean> = async () => true,
): void {
  test(`${folder}: every message, mutated`, async (t) => {
    const { frame, stack } = await realFrame();
    t.teardown(() => stack.stop());
    const service = await create(context(stack.region));
    await eventually("the service is ready", () => ready(service));
    const all = samples(folder, frameMessage(frame));
    let seed = SEED;
    for (const [method, good] of Object.entries(all)) {
      const n = await feed(service, method, good, seed++);
      t.true(n.taken > MUTATIONS / 20, `${method}: ${n.taken} of ${MUTATIONS} were messages at all`);
      t.is(n.taken + n.refused, MUTATIONS);
    }
    t.deepEqual(Object.keys(all).sort(), Object.keys(service.definition).sort(), "every method has a sample");
    await service.stop();
  });
}

/** Calls a unary method in this process. */
export function ask<T>(service: Service, method: string, request: object): Promise<T> {
  const handler = (service.implementation as unknown as Record<string, Handler>)[method] as Handler;
  return new Promise((resolve, reject) =>
    handler(new FakeCall(request, () => Buffer.alloc(0)), (e, r) => (e ? reject(e) : resolve(r as T))),
  );
}
