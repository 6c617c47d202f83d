// SPDX-License-Identifier: Apache-2.0
// Two replicas over a real etcd, where one is installed.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { freePort } from "../../../testbed/process.js";
import { eventually } from "../../../testbed/wait.js";
import { etcdStore } from "../etcd-store.js";
import type { PoolState } from "../pool.js";

const pool = (term: number, over: Partial<PoolState> = {}): PoolState => ({
  name: "web",
  vipId: 1,
  managed: false,
  revision: 0,
  term,
  members: [{ address: "10.0.0.1:80", weight: 1, drain: false }],
  override: null,
  down: [],
  holders: ["a"],
  ...over,
});

function installed(): boolean {
  try {
    execFileSync("etcd", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

async function startEtcd(dir: string): Promise<{ child: ChildProcess; endpoint: string }> {
  const [client, peer] = [await freePort(), await freePort()];
  const endpoint = `http://127.0.0.1:${client}`;
  const at = `http://127.0.0.1:${peer}`;
  const cluster = ["--initial-advertise-peer-urls", at, "--initial-cluster", `default=${at}`, "--listen-peer-urls", at];
  const args = ["--data-dir", dir, "--listen-client-urls", endpoint, "--advertise-client-urls", endpoint, ...cluster];
  const child = spawn("etcd", args, { stdio: "ignore" });
  await eventually("etcd is healthy", async () => (await fetch(`${endpoint}/health`).catch(() => null))?.ok);
  return { child, endpoint };
}

(installed() ? test : test.skip)(
  "etcd: replicas see each other's orders, and the later writer on an old state loses",
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), "marllb-etcd-"));
    const { child, endpoint } = await startEtcd(dir);
    t.teardown(() => {
      child.kill("SIGKILL");
      rmSync(dir, { recursive: true, force: true });
    });
    const a = etcdStore([endpoint], "/test/", (w) => t.log(w));
    const b = etcdStore([endpoint], "/test/", (w) => t.log(w));
    t.teardown(() => Promise.all([a.close(), b.close()]));
    t.deepEqual(await a.load(), []);
    t.deepEqual(await b.load(), []);

    const heard: PoolState[] = [];
    const removed: string[] = [];
    b.onChange(
      (p) => heard.push(p),
      (name) => removed.push(name),
    );
    const first = pool(1);
    t.is(await a.save(first), first);
    await eventually("the other replica hears it", async () => heard.length === 1);
    t.deepEqual(heard[0], first);

    await a.save(pool(1, { name: "api" }));
    await eventually("the other replica hears of the second", async () => heard.length === 2);
    await a.remove("api");
    await eventually("the other replica hears that it is gone", async () => removed.length === 1);
    t.deepEqual(removed, ["api"]);

    const third = etcdStore([endpoint], "/test/", (w) => t.log(w));
    t.teardown(() => third.close());
    t.deepEqual(await third.load(), [first], "a new replica starts from it");

    // c read nothing, so its write meets a key that is there: the stored state comes back instead.
    const c = etcdStore([endpoint], "/test/", (w) => t.log(w));
    t.teardown(() => c.close());
    t.deepEqual(await c.save(pool(1, { down: ["10.0.0.1:80"] })), first);
    const next = pool(2, { down: ["10.0.0.1:80"] });
    t.is(await c.save(next), next, "on top of what it read now, it may");
  },
);
