// SPDX-License-Identifier: Apache-2.0
import * as grpc from "@grpc/grpc-js";
import test from "ava";
import { scratch, start } from "../../../testbed/service.js";
import { v1 } from "../grpc/protos.js";

test("the log level is asked for and set while a service runs; a wrong one is refused with what there is", async (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const it = await start("health", s.config(`instance: test-${process.pid}\nlog: { level: warn }\n`));
  t.teardown(() => it.child.kill("SIGKILL"));
  const client = new v1.Process(it.grpc, grpc.credentials.createInsecure());
  t.teardown(() => client.close());
  const set = (level: string): Promise<string> =>
    new Promise((resolve) => {
      client.SetLogLevel({ level }, { deadline: Date.now() + 20_000 }, (e, r) =>
        resolve(e ? `${e.code} ${e.details}` : `${r?.previous} -> ${r?.level}`),
      );
    });
  t.is(await set(""), "warn -> warn");
  t.is(await set("debug"), "warn -> debug");
  t.is(await set(""), "debug -> debug");
  t.is(await set("loud"), '3 level: expected one of trace, debug, info, warn, error, silent, found "loud"');
  t.is(await set("silent"), "debug -> silent");
  t.is(await it.stop(), 0);
  const told = it
    .stderr()
    .split("\n")
    .filter((l) => l.includes("log level set"));
  t.is(told.length, 2);
});
