// SPDX-License-Identifier: Apache-2.0
import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { projectRoot } from "../../../services/common/root.js";
import { needs } from "../../../testbed/needs.js";
import { which } from "../../../testbed/process.js";
import { scratch } from "../../../testbed/service.js";
import { Stack, services } from "../../../testbed/stack.js";
import { eventually } from "../../../testbed/wait.js";
import { random } from "../../demo/random.js";
import { DemoServer } from "../../demo/server.js";
import { PROFILES, type Profile } from "../../ghz/profiles.js";
import { findGhz, fullName, installHint, missedOf } from "../../ghz/run.js";

const run = promisify(execFile);
const program = path.join(projectRoot, "dist/loadtest/ghz/main.js");

async function stack(t: { teardown(fn: () => Promise<void>): void }): Promise<Stack> {
  const server = new DemoServer({ name: "s", cores: 1, meanMs: 1, host: "127.0.0.1", port: 0, random: random(1) });
  await server.listen();
  t.teardown(() => server.stop());
  const s = await Stack.whole({ servers: [{ address: server.address }] });
  t.teardown(() => s.stop());
  return s;
}

test("there is a profile of every RPC", (t) => {
  const calls = new Set(PROFILES.map((p) => fullName(p.call)));
  for (const file of ["shm_agent", "inference", "health", "failover", "process"]) {
    const text = readFileSync(path.join(projectRoot, `proto/marllb/v1/${file}.proto`), "utf8");
    const service = /^service (\w+)/m.exec(text)?.[1];
    for (const [, rpc] of text.matchAll(/^ {2}rpc (\w+)/gm))
      t.true(calls.has(`marllb.v1.${service}.${rpc}`), `${service}.${rpc}`);
  }
});

test("a profile is held against its bar", (t) => {
  const unary = { call: "X.Y", rate: 100, bar: { p99Ms: 10 } } as unknown as Profile;
  const base = { call: "X.Y", calls: 200, perS: 100, p50: 1, p99: 5, messages: null, statuses: { OK: 200 } };
  t.deepEqual(missedOf(unary, base), []);
  t.deepEqual(missedOf(unary, { ...base, p99: 11 }), ["p99 11.0 ms, expected <= 10"]);
  t.deepEqual(missedOf(unary, { ...base, perS: 10 }), ["10 calls/s, expected >= 50"]);
  t.deepEqual(missedOf(unary, { ...base, statuses: { OK: 1, Unavailable: 2 } }, ["gone"]), ["2 x Unavailable (gone)"]);
  const stream = { call: "X.Z", rate: 0, stream: { seconds: 1, atOnce: 2 }, bar: { messages: 3 } } as unknown as Profile;
  t.deepEqual(missedOf(stream, { ...base, calls: 4, messages: 12, statuses: { Canceled: 4 } }), []);
  t.is(missedOf(stream, { ...base, calls: 4, messages: 11, statuses: { Canceled: 4 } }).length, 1);
});

test("a target that does not answer gives one line", (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const config = s.config('services: { shm_agent: { listen: "127.0.0.1:1", metrics: "127.0.0.1:2" } }\n');
  const ghz = findGhz();
  const it = spawnSync(process.execPath, [program, "--config", config], { encoding: "utf8" });
  t.is(it.status, 1);
  t.regex(
    it.stderr,
    ghz ? /^nothing answers at 127\.0\.0\.1:1 \(shm-agent\): ECONNREFUSED; is it running\?\n$/ : /^ghz is not installed/,
  );
  t.is(it.stdout, "");
  const wrong = spawnSync(process.execPath, [program, "--wrong"], { encoding: "utf8" });
  t.is(wrong.status, 2);
  t.notRegex(wrong.stderr, /\n\s+at /);
});

needs(findGhz(), installHint)("ghz: every profile runs without an error; streams are counted in messages", async (t) => {
  const s = await stack(t);
  const call = async (...only: string[]): Promise<string> => {
    const args = [program, "--config", path.join(s.folder, "marllb.yaml"), ...only];
    return (await run(process.execPath, args).catch((e: { stdout: string }) => e)).stdout;
  };
  const out = await eventually("the pool is known", async () => {
    const text = await call("--only", "Failover.GetPool");
    return text !== "" && text;
  });
  t.regex(out, /Failover\.GetPool/);
  const all = await call("--orders");
  t.log(all);
  const lines = all.trim().split("\n").slice(0, -1);
  t.is(lines.length, PROFILES.length);
  // How fast is this machine's matter; that nothing failed is ours.
  for (const l of lines) t.notRegex(l, / x [A-Z]/, l);
  t.regex(lines.find((l) => l.includes("StreamStats")) ?? "", /[1-9]\d* messages/);
});

const grpcurl = which("grpcurl") ?? which(path.join(process.env.HOME ?? "/", "go/bin/grpcurl"));
needs(grpcurl, "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest")(
  "grpcurl: list, describe and health on every service, and every call of docs/ops.md",
  async (t) => {
    const s = await stack(t);
    const names: Record<string, string> = {
      "shm-agent": "ShmAgent",
      inference: "Inference",
      health: "Health",
      failover: "Failover",
    };
    const call = async (...args: string[]): Promise<string> => (await run(grpcurl as string, ["-plaintext", ...args])).stdout;
    for (const part of services) {
      const address = s.at(part);
      const name = `marllb.v1.${names[part]}`;
      t.true((await call(address, "list")).split("\n").includes(name));
      t.true((await call(address, "describe", name)).includes(`service ${names[part]}`));
      await eventually(`${name} is ready`, async () =>
        /"SERVING"/.test(await call("-d", JSON.stringify({ service: name }), address, "grpc.health.v1.Health/Check")),
      );
    }
    const ports: Record<string, string> = { 50051: "shm-agent", 50052: "inference", 50053: "health", 50054: "failover" };
    const text = readFileSync(path.join(projectRoot, "docs/ops.md"), "utf8");
    const calls = [...text.matchAll(/^grpcurl -plaintext (?:(-max-time \d+) )?(?:-d '([^']*)' )?localhost:(\d+) (marllb\S+)$/gm)];
    t.true(calls.length > 20);
    const server = (s.options.servers[0] as { address: string }).address;
    for (const [, , data = "{}", port = "", method = ""] of calls) {
      const request = data
        .replaceAll("10.0.0.1:80", server)
        .replace("NOW", String(Date.now()))
        .replace("LATER", String(Date.now() + 3_600_000));
      const address = s.at(ports[port] as (typeof services)[number]);
      await t.notThrowsAsync(
        run(grpcurl as string, ["-plaintext", "-max-time", "3", "-d", request, address, method]).catch(
          (e: { stderr: string }) => {
            // A stream that lasts ends by the time that was given.
            if (!/DeadlineExceeded/.test(e.stderr)) throw new Error(`${method} ${request}: ${e.stderr}`);
          },
        ),
      );
    }
  },
);
