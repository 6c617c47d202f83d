// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { readPool } from "../commands/pool-file.js";
import { LaunchError } from "../up/error.js";

const dir = mkdtempSync(join(tmpdir(), "marllb-pool-"));
test.after.always(() => rmSync(dir, { recursive: true }));
let n = 0;
function pool(text: string): ReturnType<typeof readPool> {
  const file = join(dir, `${n++}.json`);
  writeFileSync(file, text);
  return readPool(file);
}

test("weights and drains have defaults", (t) => {
  t.deepEqual(pool('{"servers": [{"address": "10.0.0.1:80"}, {"address": "[::1]:80", "weight": 2.5, "drain": true}]}'), [
    { address: "10.0.0.1:80", weight: 1, drain: false },
    { address: "[::1]:80", weight: 2.5, drain: true },
  ]);
});

const wrong: { text: string; expect: RegExp }[] = [
  { text: "{", expect: /JSON/ },
  { text: "null", expect: /expected \{"servers": \[\.\.\.\]\}$/ },
  { text: '{"servers": {}}', expect: /expected \{"servers": \[\.\.\.\]\}$/ },
  { text: '{"servers": [null]}', expect: /servers\[0\]: expected \{"address": "IP:PORT"\}, found null$/ },
  { text: '{"servers": ["10.0.0.1:80"]}', expect: /servers\[0\]: expected .* found "10\.0\.0\.1:80"$/ },
  {
    text: '{"servers": [{"address": "10.0.0.1:80", "wieght": 4}]}',
    expect: /servers\[0\]\.wieght: unknown key; did you mean weight\?$/,
  },
  { text: '{"servers": [{"address": "here"}]}', expect: /servers\[0\]\.address: expected "IP:PORT".*found "here"$/ },
  { text: '{"servers": [{}]}', expect: /servers\[0\]\.address: expected "IP:PORT"/ },
  {
    text: '{"servers": [{"address": "10.0.0.1:80", "weight": "2"}]}',
    expect: /weight: expected a number from 0 \(no new flows\), found "2"$/,
  },
  {
    text: '{"servers": [{"address": "10.0.0.1:80", "weight": -1}]}',
    expect: /weight: expected a number from 0 \(no new flows\), found -1$/,
  },
  { text: '{"servers": [{"address": "10.0.0.1:80", "drain": 1}]}', expect: /drain: expected true or false, found 1$/ },
  { text: '{"servers": [], "vip": 1}', expect: /vip: unknown key/ },
];

for (const w of wrong) {
  test(`refused: ${w.text}`, (t) => {
    const e = t.throws(() => pool(w.text), { instanceOf: LaunchError });
    t.is(e?.exitCode, 2);
    t.true(e?.message.startsWith(dir));
    t.regex(e?.message ?? "", w.expect);
  });
}
