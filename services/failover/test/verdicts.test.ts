// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { HealthLink } from "../verdicts.js";

const AWAY = "health is away: without another replica the last verdicts stand";

test("a health service that says nothing of any server is not heard; its absence is said once", (t) => {
  const said: string[] = [];
  const log = { info: (_: unknown, m: string) => said.push(m), warn: (_: unknown, m: string) => said.push(m) };
  const link = new HealthLink(log as never, "10.0.0.1:50053");
  for (let i = 0; i < 3; i++) link.away("refused");
  link.heard(0);
  t.false(link.connected);
  t.deepEqual(said, [AWAY]);
  link.heard(3);
  link.heard(3);
  t.true(link.connected);
  link.away("ended by the peer");
  t.false(link.connected);
  t.deepEqual(said.slice(1), ["health is heard", AWAY]);
});
