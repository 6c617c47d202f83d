// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { createRegistry } from "../metrics.js";
import { serveMetrics } from "../metrics-server.js";
import { Readiness } from "../readiness.js";

test("what changes is told once; a question that throws is a reason", (t) => {
  const told: (string | null)[] = [];
  let answer: () => string | null = () => "no store";
  const r = new Readiness(
    () => answer(),
    (why) => told.push(why),
  );
  t.teardown(() => r.stop());
  t.is(r.look(), "no store");
  answer = () => null;
  t.is(r.look(), null);
  t.is(r.look(), null);
  answer = () => {
    throw new Error("broken");
  };
  t.is(r.look(), "broken");
  t.deepEqual(told, ["no store", null, "broken"]);
});

test("/readyz is 200 or 503 with the reason, /livez is 200 all the same, and there is no third name", async (t) => {
  let why: string | null = "no data plane";
  const server = await serveMetrics(createRegistry("s", "i"), { host: "127.0.0.1", port: 0 }, () => why);
  t.teardown(() => server.stop());
  const get = async (path: string): Promise<[number, string]> => {
    const r = await fetch(`http://${server.address}${path}`);
    return [r.status, await r.text()];
  };
  t.deepEqual(await get("/readyz"), [503, "no data plane\n"]);
  t.deepEqual(await get("/livez"), [200, "ok\n"]);
  why = null;
  t.deepEqual(await get("/readyz"), [200, "ready\n"]);
  t.is((await get("/healthz"))[0], 404);
});
