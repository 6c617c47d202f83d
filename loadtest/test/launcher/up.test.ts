// SPDX-License-Identifier: Apache-2.0
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import test from "ava";
import { projectRoot } from "../../../services/common/root.js";
import { marllbctl } from "../../../testbed/ctl.js";
import { which } from "../../../testbed/process.js";
import { eventually } from "../../../testbed/wait.js";
import { random } from "../../demo/random.js";
import { DemoServer } from "../../demo/server.js";
import { freshName, instanceFolder, Run, until } from "./run.js";

const demo = ["--demo-cores", "1,2,4", "--mean-ms", "20", "--rate", "40"];
/** A plain line of the loop at work: weights by the policy, clients answered. */
const steered = /policy=marl mode=sed ladder=model .* clients=[1-9]\d*\/0 share\/flows: demo-1/;

function start(t: { teardown(fn: () => void): void }, flags: readonly string[], shell = ""): Run {
  const run = new Run(freshName(), flags, shell);
  t.teardown(() => {
    run.process.kill("SIGKILL");
    rmSync(instanceFolder(run.name), { recursive: true, force: true });
  });
  return run;
}

function body(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (r) => {
      let text = "";
      r.setEncoding("utf8").on("data", (d: string) => (text += d));
      r.on("end", () => resolve(text));
    }).on("error", reject);
  });
}

/** What Prometheus' own check of a metrics page complains of. */
function promtool(page: string): Promise<string> {
  return new Promise((resolve) => {
    const check = execFile("promtool", ["check", "metrics"], (e, out, err) => resolve(out + err || (e ? e.message : "")));
    check.stdin?.end(page);
  });
}

test.serial("two instances at once: each serves, is steered, stops after --duration with 0, and leaves nothing", async (t) => {
  const runs = [
    start(t, [...demo, "--duration", "8"]),
    start(t, [...demo, "--duration", "8", "--policy", "uniform", "--mode", "p2c"]),
  ];
  const [one, two] = runs as [Run, Run];
  await one.sees(steered);
  await two.sees(/policy=uniform mode=p2c ladder=model/);
  const vip = (await one.sees(/curl -s (http:\/\/\S+)/))[1] as string;
  t.regex(await body(`${vip}?ms=1`), /^demo-[123]\n$/);
  for (const run of runs) {
    t.is(await run.exited, 0, run.output);
    t.regex(run.output, /grpcurl -plaintext 127\.0\.0\.1:\d+ marllb\.v1\.ShmAgent\/GetStatus/);
    t.regex(run.output, /http:\/\/127\.0\.0\.1:\d+\/metrics/);
    t.regex(run.output, /nothing is left behind/);
    t.deepEqual(run.leftovers(), []);
  }
});

test.serial(
  "several load balancers in one start: each serves and is steered, they share counts, and marllbctl sees them all",
  async (t) => {
    const run = start(t, [...demo, "--load-balancers", "2"]);
    for (const lb of [run.name, `${run.name}-2`]) await run.sees(new RegExp(`^${lb}: .*policy=marl mode=sed ladder=model`, "m"));
    const vips = [...run.output.matchAll(/curl -s (http:\/\/\S+)/g)].map((m) => m[1] as string);
    t.is(new Set(vips).size, 2);
    for (const vip of vips) t.regex(await body(`${vip}?ms=1`), /^demo-[123]\n$/);
    await eventually("both hear each other's counts", async () => {
      const { out } = await marllbctl(["status", "--instance", run.name, "--json"]);
      const lbs = JSON.parse(out) as { counts?: { peers: { fresh: boolean }[] } }[];
      return lbs.length === 2 && lbs.every((lb) => lb.counts?.peers.some((p) => p.fresh));
    });
    run.process.kill("SIGTERM");
    t.is(await run.exited, 0, run.output);
    t.deepEqual(run.leftovers(), []);
  },
);

test.serial("Ctrl-C under load: drains, not one request fails, exit code 0, nothing left", async (t) => {
  const run = start(t, demo);
  await run.sees(steered, 2);
  // Through npm one press of Ctrl-C arrives twice: from the terminal, and passed on.
  run.process.kill("SIGINT");
  run.process.kill("SIGINT");
  t.is(await run.exited, 0, run.output);
  t.notRegex(run.output, /clients=\d+\/[1-9]/);
  t.deepEqual(run.leftovers(), []);
});

test.serial("a service that dies is started again, traffic goes on, and the logs are kept", async (t) => {
  const run = start(t, demo);
  await run.sees(steered);
  for (const service of ["inference", "shm-agent"]) {
    const [pid] = run.pids(`programs/${service}.js`);
    process.kill(pid as number, "SIGKILL");
    await run.sees(new RegExp(`${service} was killed by SIGKILL`));
    await run.sees(new RegExp(`${service} is back`));
  }
  const before = run.output.length;
  await until(() => steered.test(run.output.slice(before)));
  run.process.kill("SIGTERM");
  t.is(await run.exited, 0, run.output);
  t.notRegex(run.output, /clients=\d+\/[1-9]/);
  t.regex(run.output, /the logs are kept in .*\/logs/);
  t.deepEqual(run.leftovers(), [instanceFolder(run.name)]);
});

test.serial("a data plane that is killed is started again and serves", async (t) => {
  const run = start(t, demo);
  await run.sees(steered);
  // The data plane and, later, its supervisor, which is older.
  process.kill(run.pids("bin/marllb-dp").at(-1) as number, "SIGKILL");
  await run.sees(/marllb-dp was killed by signal 9/);
  await run.sees(/marllb-dp is back/);
  process.kill(run.pids("bin/marllb-dp")[0] as number, "SIGKILL");
  await run.sees(/marllb-dp was killed by SIGKILL/);
  await run.sees(/marllb-dp is back/, 2);
  const before = run.output.length;
  await until(() => steered.test(run.output.slice(before)));
  run.process.stdin?.end();
  t.is(await run.exited, 0, run.output);
  t.deepEqual(run.leftovers(), [instanceFolder(run.name)]);
});

test.serial("Ctrl-C again, with a connection that does not end: at once, and still nothing left", async (t) => {
  const run = start(t, [...demo, "--drain", "3000"]);
  const [, host, port] = await run.sees(/curl -s http:\/\/([^:]+):(\d+)\//);
  await run.sees(steered);
  const open = connect(Number(port), host);
  const cut = new Promise((resolve) => open.once("close", resolve));
  open.on("error", () => {});
  await new Promise((resolve) => open.once("connect", resolve));
  run.process.kill("SIGINT");
  await run.sees(/stopping/);
  await new Promise((r) => setTimeout(r, 1500)); // sooner it counts as the same press
  run.process.kill("SIGINT");
  t.is(await run.exited, 1, run.output);
  await cut;
  t.regex(run.output, /stopped at once.*nothing is left behind/);
  t.deepEqual(run.leftovers(), []);
});

test.serial("Ctrl-C while it starts: what has started is stopped, nobody waits for the rest, nothing left", async (t) => {
  for (const presses of [1, 2]) {
    const run = start(t, demo);
    await run.sees(/^starting \.\.\.$/m);
    run.process.kill("SIGINT");
    await run.sees(/stopping what has started/);
    if (presses === 2) {
      await new Promise((resolve) => setTimeout(resolve, 1100)); // what comes sooner is the same press
      run.process.kill("SIGINT");
    }
    await run.exited;
    t.regex(run.output, /stopped before all had started; nothing is left behind/);
    t.notRegex(run.output, /curl -s/);
    t.deepEqual(run.leftovers(), []);
  }
});

test.serial("a disk that takes no more: says where, leaves nothing", async (t) => {
  const run = start(t, demo, "ulimit -f 0 && exec");
  t.is(await run.exited, 1);
  t.regex(run.output, /cannot write to \/\S+: EFBIG.*; free some room there, or set TMPDIR/);
  t.deepEqual(run.leftovers(), []);
});

test.serial("a binary started by hand takes over, and the launcher's own takes it back: not one request fails", async (t) => {
  const run = start(t, demo);
  await run.sees(steered);
  const first = run.pids("marllb-dp\0--").at(-1);
  const conf = path.join(instanceFolder(run.name), "marllb-dp.conf");
  const hand = spawn(path.join(projectRoot, "build/native/bin/marllb-dp"), ["--config", conf, "--takeover"], { stdio: "ignore" });
  t.teardown(() => hand.kill("SIGKILL"));
  const ended = new Promise((resolve) => hand.once("exit", resolve));
  await run.sees(/marllb-dp ended with exit code 0/);
  await run.sees(/marllb-dp is back/);
  t.is(await ended, 0);
  const seen = [...run.output.matchAll(/ clients=/g)].length;
  await run.sees(steered, seen + 2);
  t.notRegex(run.output, /clients=\d+\/[1-9]/);
  t.notRegex(run.output, /marllb-dp ended with exit code 1/);
  t.not(run.pids("marllb-dp\0--").at(-1), first);
  run.process.kill("SIGINT");
  t.is(await run.exited, 0, run.output);
});

test.serial("a launcher that is killed leaves no process", async (t) => {
  const run = start(t, demo);
  await run.sees(steered);
  t.true(run.pids().length >= 5);
  run.process.kill("SIGKILL");
  await run.exited;
  await until(() => run.pids().length === 0);
  // The next one of that name tidies up and starts; the logs of the first are kept.
  const again = new Run(run.name, [...demo, "--duration", "1"]);
  t.teardown(() => {
    again.process.kill("SIGKILL");
    rmSync(`${instanceFolder(run.name)}.previous`, { recursive: true, force: true });
  });
  t.is(await again.exited, 0, again.output);
  t.deepEqual(again.leftovers(), []);
});

test.serial("a second launcher of the same name is refused", async (t) => {
  const run = start(t, demo);
  await run.sees(/curl -s/);
  const second = new Run(run.name, demo);
  t.is(await second.exited, 1);
  t.regex(second.output, /instance \S+ runs already \(launcher pid \d+\); choose another name with --instance/);
  run.process.kill("SIGINT");
  t.is(await run.exited, 0, run.output);
});

test.serial("the operator's commands act on a running instance", async (t) => {
  const run = start(t, demo);
  await run.sees(steered);
  const ctl = async (...args: string[]): Promise<string> => {
    const { code, out, errors } = await marllbctl([...args, "--instance", run.name]);
    t.is(code, 0, errors);
    return out;
  };
  t.regex(await ctl("status"), /attached to .*marl\+sed.*normal/s);
  const pool = JSON.parse(await ctl("servers", "--json")) as { members: { server: { address: string } }[] };
  const [first, second] = pool.members.map((m) => m.server.address) as [string, string];
  t.regex(await ctl("drain", first), /drains/);
  await run.sees(/demo-1\(masked\) 0\.0%|demo-1\(draining\) 0\.0%/);
  await ctl("undrain", first);
  t.regex(await ctl("policy", "set", "uniform"), /uniform \(was as configured\)/);
  t.regex(await ctl("mode", "p2c"), /mode p2c/);
  await run.sees(/policy=uniform mode=p2c/);
  t.regex(await ctl("weights", "push", `${second}=2`), /shares after the envelope/);
  t.regex(await ctl("override", "set", `${second}=1`, "--mode", "alias", "--reason", "a test"), /override in term \d+/);
  await run.sees(/mode=alias/);
  t.regex(await ctl("servers"), /override by \S+: a test/);
  t.regex(await ctl("override", "clear"), /no override any more/);
  await run.sees(/mode=alias[\s\S]*mode=p2c/);
  t.regex(await ctl("check", first), /^up/);
  t.regex(await ctl("policy", "list"), /kalman +builtin +yes/);
  const refused = await marllbctl(["drain", "127.0.0.1:1", "--instance", run.name]);
  t.is(refused.code, 1);
  t.regex(refused.errors, /127\.0\.0\.1:1/);
  run.process.kill("SIGINT");
  t.is(await run.exited, 0, run.output);
  t.deepEqual(run.leftovers(), []);
});

test.serial("every metric of the dashboard and of the alert rules is served, on the ports of the banner", async (t) => {
  const run = start(t, demo);
  await run.sees(steered);
  const urls = [...run.output.matchAll(/http:\/\/\S+\/metrics/g)].map((m) => m[0]);
  t.is(urls.length, 4);
  const pages = await Promise.all(urls.map(body));
  const served = pages.join("\n");
  if (which("promtool")) for (const page of pages) t.is(await promtool(page), "");
  const dashboards = readdirSync(path.join(projectRoot, "deploy/grafana")).map((f) => `grafana/${f}`);
  const rules = ["prometheus/alerts.yml", "prometheus/recording.yml"];
  const files = [...dashboards, ...rules].map((f) => path.join(projectRoot, "deploy", f));
  const names = new Set(files.flatMap((f) => readFileSync(f, "utf8").match(/(?<![:.\w])(?:marllb|process)_\w+(?![:\w])/g) ?? []));
  names.delete("marllb_docs"); // a label of the alerts, no metric
  t.true(names.size > 20);
  for (const name of names) t.regex(served, new RegExp(`^# TYPE ${name.replace(/_(bucket|sum|count)$/, "")} `, "m"));
  t.regex(served, /^marllb_vip_ttfb_seconds_bucket\{.*le="\+Inf"\} [1-9]/m);
  run.process.kill("SIGINT");
  t.is(await run.exited, 0, run.output);
});

test.serial("a port in use: says which and how to change it, starts nothing, leaves nothing", async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const run = start(t, ["--vip", address]);
  t.is(await run.exited, 1);
  t.true(run.output.includes(`${address} (VIP web) is in use by another process; choose another with --vip IP:PORT`), run.output);
  t.deepEqual(run.leftovers(), []);
  server.close();
});

test.serial("a region's path that holds something else: says so, and leaves it alone", async (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "marllb-region-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, "notes");
  writeFileSync(file, "not a region\n".repeat(1000));
  for (const [where, reason] of [
    [file, new RegExp(`marllb-dp: .*${file}`)],
    [folder, new RegExp(`marllb-dp: .*${folder}`)],
    [path.join(folder, "missing", "region"), /marllb-dp: .*missing\/region: expected a folder/],
  ] as const) {
    const run = start(t, [...demo, "--set", `region.path=${where}`]);
    t.is(await run.exited, 1, run.output);
    t.regex(run.output, reason);
    t.regex(run.output, /the logs are kept in/);
    t.deepEqual(run.pids(), []);
  }
  t.is(readFileSync(file, "utf8"), "not a region\n".repeat(1000));
});

test.serial("a wrong configuration: file, line and what was expected; exit code 2", async (t) => {
  const run = start(t, ["--set", "tick_sm=100"]);
  t.is(await run.exited, 2);
  t.regex(run.output, /tick_sm: unknown key; did you mean tick_ms\?/);
  t.deepEqual(run.leftovers(), []);
});

test.serial("real servers instead of the demo's", async (t) => {
  const servers = [0, 1].map(
    (i) => new DemoServer({ name: `real-${i}`, cores: 1, meanMs: 1, host: "127.0.0.1", port: 0, random: random(i) }),
  );
  for (const s of servers) await s.listen();
  const run = start(t, ["--servers", `${servers[0]?.address},${servers[1]?.address}=2`, "--mode", "alias"]);
  const vip = (await run.sees(/curl -s (http:\/\/\S+)/))[1] as string;
  const names = new Set<string>();
  while (names.size < 2) names.add(await body(`${vip}?ms=0`));
  t.deepEqual([...names].sort(), ["real-0\n", "real-1\n"]);
  t.notRegex(run.output, /demo/);
  run.process.kill("SIGINT");
  t.is(await run.exited, 0, run.output);
  t.deepEqual(run.leftovers(), []);
  for (const s of servers) await s.stop();
});
