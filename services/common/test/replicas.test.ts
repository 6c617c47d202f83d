// SPDX-License-Identifier: Apache-2.0
import { setImmediate } from "node:timers/promises";
import type { ClientOptions } from "@grpc/grpc-js";
import test from "ava";
import { FakeTimers } from "../../../testbed/fake-timers.js";
import { parseTarget, RESOLVE_MS, Replicas } from "../grpc/replicas.js";

test("targets in every form that gRPC has", (t) => {
  t.deepEqual(parseTarget("127.0.0.1:50053"), { addresses: ["127.0.0.1:50053"] });
  t.deepEqual(parseTarget("ipv4:10.0.0.1:1,10.0.0.2:2"), { addresses: ["10.0.0.1:1", "10.0.0.2:2"] });
  t.deepEqual(parseTarget("ipv6:[2001:db8::1]:1"), { addresses: ["[2001:db8::1]:1"] });
  t.deepEqual(parseTarget("[::1]:50053"), { addresses: ["[::1]:50053"] });
  t.deepEqual(parseTarget("dns:///health.lb:50053"), { host: "health.lb", port: 50053, server: "" });
  t.deepEqual(parseTarget("dns://10.0.0.9/health.lb:50053"), { host: "health.lb", port: 50053, server: "10.0.0.9" });
  t.deepEqual(parseTarget("dns:health.lb"), { host: "health.lb", port: 443, server: "" });
  t.deepEqual(parseTarget("health.lb:50053"), { host: "health.lb", port: 50053, server: "" });
  t.deepEqual(parseTarget("unix:///run/health.sock"), { addresses: ["unix:///run/health.sock"] });
});

function setup(target: string) {
  const timers = new FakeTimers();
  const world = { answer: ["10.0.0.1"] as string[] | null };
  const said: string[] = [];
  const options: ClientOptions[] = [];
  const replicas = new Replicas<string>({
    target,
    open: (address, o) => {
      said.push(`+${address}`);
      options.push(o);
      return address;
    },
    close: (_, address) => said.push(`-${address}`),
    failed: (reason) => said.push(`failed: ${reason}`),
    timers,
    resolve: async () => {
      if (world.answer === null) throw new Error("no answer");
      return world.answer;
    },
  });
  return { timers, world, said, options, replicas };
}

test("addresses are there at once, and stay", (t) => {
  const { said, replicas } = setup("ipv4:10.0.0.1:1,10.0.0.2:2");
  t.deepEqual(said, ["+10.0.0.1:1", "+10.0.0.2:2"]);
  replicas.close();
  t.deepEqual(said.slice(2), ["-10.0.0.1:1", "-10.0.0.2:2"]);
});

test("a name is asked for again: replicas come and go with it, and stay while it cannot be asked for", async (t) => {
  const { timers, world, said, options, replicas } = setup("dns:///health.lb:7");
  const next = async (): Promise<void> => {
    timers.advance(RESOLVE_MS);
    await setImmediate();
  };
  await setImmediate();
  t.deepEqual(said, ["+10.0.0.1:7"]);
  t.is(options[0]?.["grpc.ssl_target_name_override"], "health.lb");
  world.answer = ["10.0.0.2", "10.0.0.1"];
  await next();
  world.answer = null;
  await next();
  world.answer = ["10.0.0.2"];
  await next();
  t.deepEqual(said.slice(1), ["+10.0.0.2:7", "failed: no answer", "-10.0.0.1:7"]);
  t.deepEqual([...replicas.all.keys()], ["10.0.0.2:7"]);
  replicas.close();
  await next();
  t.is(said.length, 5);
});
