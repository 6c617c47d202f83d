// SPDX-License-Identifier: Apache-2.0
// The console as the process that it is.
import test from "ava";
import { launch, scratch, start } from "../../../testbed/service.js";

// Nothing listens at these addresses: it must serve all the same, and say so.
const CONFIG = `
services:
  shm_agent: { listen: "127.0.0.1:1", metrics: "127.0.0.1:2" }
  inference: { listen: "127.0.0.1:3", metrics: "127.0.0.1:4" }
  failover: { listen: "127.0.0.1:5", metrics: "127.0.0.1:6" }
`;

test("alone it serves its page, says why it is not ready and who is silent, and ends cleanly with its stdin", async (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const it = await start("console", s.config(CONFIG));
  t.teardown(() => it.child.kill("SIGKILL"));
  t.regex(await (await fetch(`http://${it.http}/`)).text(), /<title>marllb<\/title>/);
  const ready = await fetch(`http://${it.metrics}/readyz`);
  t.deepEqual([ready.status, await ready.text()], [503, "no load balancer has said anything yet\n"]);
  const live = await fetch(`http://${it.http}/api/live`);
  const reader = (live.body as ReadableStream<Uint8Array>).getReader();
  for (let text = ""; !/"silent":\[\{"address":"127\.0\.0\.1:1"/.test(text); )
    text += Buffer.from((await reader.read()).value ?? []).toString();
  t.regex(await (await fetch(`http://${it.metrics}/metrics`)).text(), /marllb_console_readers\{.*\} 1/);
  t.is(await it.stop(), 0, it.stderr());
});

test("an address that is in use, and a token's file that is missing, are one line and an exit code", async (t) => {
  const s = scratch();
  t.teardown(s.remove);
  const first = await start("console", s.config(CONFIG));
  t.teardown(() => first.child.kill("SIGKILL"));
  const port = first.http.split(":")[1] as string;
  const taken = await launch("console", ["--config", s.config(CONFIG), "--port", port, "--metrics-port", "0"]);
  t.like(taken, { code: 1 });
  t.regex("code" in taken ? taken.stderr : "", /in use by another process/);
  const missing = await launch("console", ["--config", s.config(CONFIG), "--set", "console.token_file=/nonexistent/t"]);
  t.like(missing, { code: 2 });
  t.regex("code" in missing ? missing.stderr : "", /console\.token_file: \/nonexistent\/t cannot be read/);
  await first.stop();
});
