// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import { weightArguments } from "../commands/common.js";
import { columns, plainEnum } from "../print.js";

test("columns are as wide as their widest cell, numbers stand to the right", (t) => {
  const text = columns(
    ["server", "flows"],
    [
      ["127.0.0.1:9001", 3],
      ["b", 12],
    ],
  );
  t.is(text, "server          flows\n127.0.0.1:9001      3\nb                  12");
});

test("enums read as people write them", (t) => {
  t.is(plainEnum("HEALTH_STATE_UP", "HEALTH_STATE_"), "up");
});

test("weights on the command line", (t) => {
  t.deepEqual(weightArguments(["127.0.0.1:1=2", "[::1]:2=0.5"]), [
    { address: "127.0.0.1:1", weight: 2 },
    { address: "[::1]:2", weight: 0.5 },
  ]);
  for (const wrong of ["127.0.0.1:1", "127.0.0.1=1", "127.0.0.1:1=", "127.0.0.1:1=-1", "127.0.0.1:1=x"]) {
    t.throws(() => weightArguments([wrong]), { message: /expected IP:PORT=WEIGHT/ });
  }
});
