// SPDX-License-Identifier: Apache-2.0
// What signals do to a service: HUP reads the configuration again, the unused are told and ignored, QUIT is an orderly stop.
import { writeFileSync } from "node:fs";
import test from "ava";
import { type Started, scratch, start } from "../../../testbed/service.js";

const CONFIG = (rest: string) => `
instance: test-${process.pid}
region: { path: /dev/shm/marllb-test-${process.pid}-none }
${rest}
`;

/** Waits for a line of the log that matches; ava's time-out ends a wait in vain. */
async function said(it: Started, what: RegExp): Promise<string> {
  for (;;) {
    const line = it
      .stderr()
      .split("\n")
      .find((l) => what.test(l));
    if (line !== undefined) return line;
    await new Promise((r) => setTimeout(r, 20));
  }
}

test("SIGHUP applies what can be, says what cannot, and a wrong file changes nothing", async (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const file = s.config(CONFIG("log: { level: info }"));
  const it = await start("health", file);
  t.teardown(() => it.child.kill("SIGKILL"));

  writeFileSync(file, CONFIG("log: { level: debug }\nhealth: { interval_ms: 700 }\ntick_ms: 100"));
  it.child.kill("SIGHUP");
  const applied = JSON.parse(await said(it, /configuration read again/)) as { applied: string[] };
  t.deepEqual(applied.applied.sort(), ["health.interval_ms", "log.level"]);
  t.deepEqual((JSON.parse(await said(it, /takes effect when/)) as { pending: string[] }).pending, ["tick_ms"]);

  writeFileSync(file, "helth: {}\n");
  it.child.kill("SIGHUP");
  t.regex(await said(it, /nothing changed/), /helth: unknown key/);
  t.is(await it.stop(), 0, it.stderr());
});

test("what each service can reload, it does: the rest is said by name", async (t) => {
  const lines = (level: string, more = ""): string =>
    CONFIG(`log: { level: ${level} }\ntick_ms: 200\nfailover: { store: { kind: memory }${more} }`);
  for (const [service, key, value] of [
    ["failover", "failover.slow_start_ms", ", slow_start_ms: 7000"],
    ["shm-agent", "envelope.step_ratio", " }\nenvelope: { step_ratio: 3"],
    ["inference", "inference.batch_ms", " }\ninference: { batch_ms: 1"],
  ] as const) {
    const s = scratch();
    t.teardown(s.remove);
    const file = s.config(lines("info"));
    const it = await start(service, file);
    t.teardown(() => it.child.kill("SIGKILL"));
    writeFileSync(file, lines("info", value).replace("tick_ms: 200", "tick_ms: 100"));
    it.child.kill("SIGHUP");
    t.deepEqual((JSON.parse(await said(it, /configuration read again/)) as { applied: string[] }).applied, [key], service);
    t.deepEqual((JSON.parse(await said(it, /takes effect when/)) as { pending: string[] }).pending, ["tick_ms"], service);
    t.is(await it.stop(), 0, it.stderr());
  }
});

test("signals without use end nothing and open no debugger; SIGQUIT stops in order", async (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const it = await start("health", s.config(CONFIG("log: { level: info }")));
  t.teardown(() => it.child.kill("SIGKILL"));
  for (const signal of ["SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGIO", "SIGPWR"] as const) {
    it.child.kill(signal);
    await said(it, new RegExp(`"signal":"${signal === "SIGIO" ? "SIG(IO|POLL)" : signal}"`));
  }
  t.is((await fetch(`http://${it.metrics}/livez`)).status, 200);
  it.child.kill("SIGQUIT");
  t.is(await it.exited, 0, it.stderr());
  t.notRegex(it.stderr(), /Debugger listening/);
});
