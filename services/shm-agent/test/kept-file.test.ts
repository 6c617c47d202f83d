// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { Kept } from "../kept.js";
import { KeptFile, keptPath } from "../kept-file.js";

const web: Kept = {
  name: "web",
  dpEpoch: 1_795_862_400_123_456_789n,
  birth: 3n,
  order: {
    term: 2n ** 60n,
    factors: [{ address: "10.0.0.1:80", value: 0 }],
    state: 1,
    loadBalancers: 3,
    loadBalancer: 2,
    override: { weights: [{ address: "[2001:db8::1]:80", value: 1e-6 }], mode: 2, reason: "why" },
    fallback: true,
    policy: "kalman",
    newcomersWait: true,
  },
  pool: { managed: true, revision: 9n, servers: [{ address: "10.0.0.1:80", weight: 2, drain: true }] },
};

function setup(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), "marllb-kept-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const region = join(folder, "region");
  const said: string[] = [];
  const log = { warn: (o: { reason: string }) => said.push(o.reason) } as never;
  return { folder, region, said, file: new KeptFile(region, log), path: keptPath(region) };
}

test("what one agent saved the next one reads, to the last bit", (t) => {
  const { file, folder, said } = setup(t);
  t.deepEqual(file.read(), []);
  file.save([web]);
  t.deepEqual(file.read(), [web]);
  t.deepEqual(readdirSync(folder), ["region.order"], "no other file is left");
  t.deepEqual(said, []);
});

test("what has not changed is not written again", (t) => {
  const { file, path } = setup(t);
  file.save([web]);
  const { ino } = statSync(path);
  file.save([structuredClone(web)]);
  t.is(statSync(path).ino, ino);
  file.save([]);
  t.deepEqual(file.read(), []);
});

test("a file that makes no sense, or is no file, is said and begins with nothing", (t) => {
  const { file, path, said, folder } = setup(t);
  for (const text of ["", "{", '{"version":2,"vips":[]}', '{"version":1,"vips":[{"name":7}]}', "null"]) {
    writeFileSync(path, text);
    t.deepEqual(file.read(), []);
  }
  rmSync(path);
  writeFileSync(join(folder, "elsewhere"), '{"version":1,"vips":[]}');
  symlinkSync(join(folder, "elsewhere"), path);
  t.deepEqual(file.read(), []);
  t.true(said.length >= 5 && said.some((s) => /ELOOP/.test(s)), said.join("\n"));
});

test("a folder that takes no file is said once, and harms nothing", (t) => {
  const said: string[] = [];
  const file = new KeptFile("/proc/none/region", { warn: (o: { reason: string }) => said.push(o.reason) } as never);
  file.save([web]);
  file.save([]);
  t.is(said.length, 1);
  t.regex(said[0] ?? "", /cannot be written/);
  t.false(existsSync("/proc/none"));
});
