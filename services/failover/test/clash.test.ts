// SPDX-License-Identifier: Apache-2.0
// Two load balancers of one name: the second is refused, and whoever looks at either finds out, before a plug is pulled by a count that
// lacks it. Real processes.
import path from "node:path";
import test from "ava";
import { marllbctl, PATIENCE } from "../../../testbed/ctl.js";
import { Stack, type StackOptions } from "../../../testbed/stack.js";
import { eventually } from "../../../testbed/wait.js";

const A = "127.0.0.1:9";

test("a second load balancer of the same name is said at its agent, at the services and with a drain", async (t) => {
  const options: StackOptions = { servers: [{ address: A }, { address: "127.0.0.1:10" }], config: { health: { kind: "none" } } };
  const first = await Stack.whole(options);
  t.teardown(() => first.stop());
  const peers = { health: first.at("health"), failover: first.at("failover") };
  const second = await Stack.dataPlane({ ...options, peers, config: { ...options.config, instance: first.instance } });
  t.teardown(() => second.stop());
  await second.start("inference");
  await second.start("shm-agent");

  const ask = (s: Stack, ...args: string[]) => marllbctl([...args, "--config", path.join(s.folder, "marllb.yaml"), ...PATIENCE]);
  const why = `another load balancer is connected under the name "${first.instance}"; give each its own`;
  await eventually("its agent is refused by both", async () => {
    const { out } = await ask(second, "status");
    return ["health", "failover"].every((peer) => new RegExp(`^${peer} at \\S+: instance: ${why}`, "m").test(out));
  });
  const ready = await fetch(`http://${second.metrics.get("shm-agent")}/readyz`);
  t.is(ready.status, 503);
  t.true((await ready.text()).includes(why));
  t.true((second.parts.get("shm-agent")?.stderr ?? "").includes("peer refuses this load balancer"));
  t.true((first.parts.get("failover")?.stderr ?? "").includes("load balancer refused"));

  const servers = await ask(first, "servers");
  t.regex(servers.out, /\+ there may be more flows: another load balancer named \S+ \(127\.0\.0\.1:\d+\) is refused/);
  const drained = await ask(first, "drain", A);
  t.regex(drained.out, /drains; 0 flows in progress, and perhaps more: another load balancer named/);
  t.is((await fetch(`http://${first.metrics.get("shm-agent")}/readyz`)).status, 200, "the one that was there first goes on");
});
