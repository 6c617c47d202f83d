// SPDX-License-Identifier: Apache-2.0
// Pools that follow a file or a name, from what is written there to who answers through the VIP.
import { renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { marllbctl } from "../../../testbed/ctl.js";
import { needs } from "../../../testbed/needs.js";
import { Origins } from "../../../testbed/origins.js";
import { Child, freePort, which } from "../../../testbed/process.js";
import { Stack } from "../../../testbed/stack.js";
import { eventually } from "../../../testbed/wait.js";

/** What `marllbctl servers` says, and complains. */
async function servers(stack: Stack): Promise<string> {
  const { out, errors } = await marllbctl(["servers", "--config", path.join(stack.folder, "marllb.yaml")]);
  return `${out}\n${errors}`;
}

/** Waits until `marllbctl servers` says it. */
async function says(stack: Stack, what: RegExp): Promise<void> {
  let last = "";
  const it = eventually(`marllbctl servers says ${what}`, async () => what.test((last = await servers(stack))));
  await it.catch((e: Error) => Promise.reject(new Error(`${e.message}\n${last}`)));
}

/** Who answers of several requests, as soon as it is exactly these. */
const served = (stack: Stack, ...who: number[]): Promise<true> =>
  eventually(`servers ${who} serve, and no other`, async () => {
    const seen = new Set<string>();
    for (let k = 0; k < 24; k++) seen.add((await stack.get().catch(() => "none")).trim());
    return [...seen].sort().join() === who.map((i) => `server ${i}`).join();
  });

test.serial("a pool follows a file; without the file the last list stands, over a restart of failover too", async (t) => {
  const origins = await Origins.start(3);
  t.teardown(() => origins.stop());
  const [a, b, c] = origins.addresses as [string, string, string];
  const folder = await Stack.dataPlane({ servers: [{ address: a }] });
  t.teardown(() => folder.stop());
  const file = path.join(folder.folder, "servers.json");
  const stack = await Stack.whole({ servers: [{ address: a }], vip: { discover: { file } } });
  t.teardown(() => stack.stop());
  const write = (...targets: string[]): void => {
    writeFileSync(`${file}.fresh`, JSON.stringify([{ targets }]));
    renameSync(`${file}.fresh`, file);
  };
  await served(stack, 0);
  await says(stack, /pool local, until file .* is found/);
  write(b, c);
  await served(stack, 1, 2);
  await says(stack, new RegExp(`pool found by file ${file}`));
  rmSync(file);
  await eventually("it is said that the file is gone", async () =>
    /ENOENT.*what was found at .* stands/.test(await servers(stack)),
  );
  await stack.kill("failover");
  await stack.start("failover");
  await says(stack, /pool local, until/);
  await served(stack, 1, 2);
  write(a, c);
  await served(stack, 0, 2);
  t.pass();
});

const dnsmasq = which("dnsmasq");

needs(dnsmasq, "sudo apt-get install -y dnsmasq-base")(
  "a pool follows SRV records; who has a higher priority number stands by",
  async (t) => {
    const origins = await Origins.start(3);
    t.teardown(() => origins.stop());
    const port = await freePort();
    const zone = (...records: [origin: number, priority: number][]): Child =>
      new Child([
        dnsmasq as string,
        ...["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file", "--user=root"],
        ...[`--port=${port}`, "--listen-address=127.0.0.1", "--bind-interfaces", "--local=/test/", "--local-ttl=1"],
        "--host-record=here.test,127.0.0.1",
        ...records.map(([i, p]) => `--srv-host=_http._tcp.web.test,here.test,${origins.addresses[i]?.split(":")[1]},${p},10`),
      ]);
    let names = zone([0, 0], [1, 5]);
    t.teardown(() => names.stop());
    const discover = { srv: "_http._tcp.web.test", server: `127.0.0.1:${port}`, hold_ms: 500 };
    const stack = await Stack.whole({
      servers: [],
      vip: { discover },
      config: { health: { interval_ms: 200, timeout_ms: 200 } },
    });
    t.teardown(() => stack.stop());
    await served(stack, 0);
    await says(stack, /stands by, priority 5/);
    await origins.close(0);
    await served(stack, 1);
    await origins.open(0);
    await served(stack, 0);
    await names.stop();
    await says(stack, /name server .*(no answer|REFUSED)/);
    await served(stack, 0);
    names = zone([2, 0]);
    await served(stack, 2);
    t.pass();
  },
);
