// SPDX-License-Identifier: Apache-2.0
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { needs } from "../../../testbed/needs.js";
import { which } from "../../../testbed/process.js";
import { Stack, services } from "../../../testbed/stack.js";
import { eventually } from "../../../testbed/wait.js";
import { random } from "../../demo/random.js";
import { DemoServer } from "../../demo/server.js";
import { findGhz, installHint, runProfile } from "../../ghz/profile.js";

const run = promisify(execFile);

async function stack(t: { teardown(fn: () => Promise<void>): void }): Promise<Stack> {
  const server = new DemoServer({ name: "s", cores: 1, meanMs: 1, host: "127.0.0.1", port: 0, random: random(1) });
  await server.listen();
  t.teardown(() => server.stop());
  const s = await Stack.whole({ servers: [{ address: server.address }] });
  t.teardown(() => s.stop());
  return s;
}

const ghz = findGhz();
needs(ghz, installHint)("ghz: a unary and a streaming profile", async (t) => {
  const address = (await stack(t)).at("shm-agent");
  const unary = await runProfile(ghz as string, "unary", address);
  t.deepEqual(Object.keys(unary.statuses), ["OK"]);
  t.true(unary.count > 100);
  const streaming = await runProfile(ghz as string, "streaming", address);
  // A stream that ghz ends by itself after its time counts as cancelled there; what matters is that none broke.
  t.true(streaming.count === 40);
  t.deepEqual(
    Object.keys(streaming.statuses).filter((s) => s !== "OK" && s !== "Canceled" && s !== "CANCELED"),
    [],
  );
});

const grpcurl = which("grpcurl") ?? which(path.join(process.env.HOME ?? "/", "go/bin/grpcurl"));
needs(grpcurl, "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest")(
  "grpcurl: list, describe and health on every service",
  async (t) => {
    const s = await stack(t);
    const names: Record<string, string> = {
      "shm-agent": "ShmAgent",
      inference: "Inference",
      health: "Health",
      failover: "Failover",
    };
    for (const part of services) {
      const address = s.at(part);
      const name = `marllb.v1.${names[part]}`;
      const call = async (...args: string[]): Promise<string> => (await run(grpcurl as string, ["-plaintext", ...args])).stdout;
      t.true((await call(address, "list")).split("\n").includes(name));
      t.true((await call(address, "describe", name)).includes(`service ${names[part]}`));
      await eventually(`${name} is ready`, async () =>
        /"SERVING"/.test(await call("-d", JSON.stringify({ service: name }), address, "grpc.health.v1.Health/Check")),
      );
    }
    t.regex(await call2(s), /"instance"/);

    async function call2(it: Stack): Promise<string> {
      const address = it.at("shm-agent");
      return (await run(grpcurl as string, ["-plaintext", address, "marllb.v1.ShmAgent/GetStatus"])).stdout;
    }
  },
);
