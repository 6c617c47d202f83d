// SPDX-License-Identifier: Apache-2.0
// A configuration file that has changed, read again while the data plane runs.
import { readFileSync, writeFileSync } from "node:fs";
import type net from "node:net";
import path from "node:path";
import test from "ava";
import { addressOf, ask, closeOrigin, Dp, dial, named, origin, until } from "./bed.js";

test("a reload that cannot be applied as a whole changes nothing and lists what stands in the way", async (t) => {
  const server = await origin(named("a"));
  const dp = await Dp.start({ servers: [server] });
  const file = path.join(dp.folder, "dp.conf");
  const before = await dp.control("show config");
  const text = readFileSync(file, "utf8")
    .replace(/^threads .*$/m, "threads 3")
    .replace(/^(vip web \S+).*$/m, "$1 kappa 0.5 mode p2c");
  writeFileSync(file, `${text}backlog 17\nidle-timeout 5m\nvip taken ${addressOf(server)}\n`);
  const error = await t.throwsAsync(dp.control("reload"));
  for (const part of [/^error: nothing was changed: /, /threads takes a restart/, /backlog takes a restart/, /in use/])
    t.regex(error?.message ?? "", part);
  t.is(await dp.control("show config"), before);
  t.is(await dp.stop(), 0);
  await closeOrigin(server);
});

test("a reload replaces a VIP whose address or fixed options changed: it listens there, old connections run on", async (t) => {
  const server = await origin(named("a"));
  const dp = await Dp.start({ servers: [server] });
  const file = path.join(dp.folder, "dp.conf");
  const text = readFileSync(file, "utf8");
  const old = await dial(dp.port);
  old.socket.write("?\n");
  await old.heard("a\n");
  // The same address: the sockets stay, nobody is refused meanwhile.
  writeFileSync(file, text.replace(/^(vip web \S+).*$/m, `vip web 127.0.0.1:${dp.port} kappa 0.5`));
  t.is(await dp.control("reload"), "");
  t.regex(await dp.control("show config"), /^vip web .* kappa 0\.5/m);
  t.is(await ask(dp.port), "a");
  const other = await origin(named("x"));
  const free = (other.address() as net.AddressInfo).port;
  await closeOrigin(other);
  writeFileSync(file, text.replace(/^(vip web \S+).*$/m, `vip web 127.0.0.1:${free}`));
  t.is(await dp.control("reload"), "");
  t.is(await ask(free), "a");
  await until("the old address is let go of", () =>
    ask(dp.port).then(
      () => false,
      () => true,
    ),
  );
  old.socket.write("?\n");
  await old.heard("a\na\n");
  old.socket.destroy();
  t.is(await dp.stop(), 0);
  await closeOrigin(server);
});
