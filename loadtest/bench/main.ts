// SPDX-License-Identifier: Apache-2.0
import { consoleRows } from "./console.js";
import { core } from "./core.js";
import { gossip } from "./gossip.js";
import { benchMain } from "./harness.js";
import { health } from "./health.js";
import { loop } from "./loop.js";
import { orders } from "./orders/rows.js";
import { exactness } from "./outage/exact.js";
import { outage } from "./outage/rows.js";
import { qos } from "./qos.js";
import { restart } from "./restart.js";
import { see } from "./see/rows.js";
import { tcp } from "./tcp/tcp.js";
import { udp } from "./tcp/udp.js";
import { trust } from "./trust/rows.js";

await benchMain("bench", [
  core,
  tcp,
  udp,
  loop,
  qos,
  gossip,
  health,
  outage,
  exactness,
  orders,
  restart,
  consoleRows,
  see,
  trust,
]);
