// SPDX-License-Identifier: Apache-2.0
import test from "ava";
import type { CheckRequest__Output } from "../../../gen/marllb/v1/CheckRequest.js";
import { health } from "../../common/config/health-schema.js";
import { ByHand } from "../by-hand.js";
import type { CheckResult } from "../verdict.js";

const CONFIG = { health: health.parse({}), vips: [] };
const KNOWN = "10.0.0.1:80";
const good: CheckResult = { ok: true, reason: "tcp: connected", rttMs: 1 };
const request = (r: Partial<CheckRequest__Output> = {}): CheckRequest__Output => ({
  ...{ address: KNOWN, kind: "tcp", timeout_ms: 0, path: "" },
  ...r,
});

function setup(probe: () => Promise<CheckResult> = async () => good) {
  const time = { now: 0 };
  const asked: string[] = [];
  const byHand = new ByHand({
    known: (address) => address === KNOWN,
    probe: (c, end) => {
      asked.push(c.address);
      void probe().then(end);
    },
    now: () => time.now,
  });
  return { byHand, time, asked };
}

test("a server of a pool is checked, anything else is not even dialled", async (t) => {
  const { byHand, asked } = setup();
  t.is((await byHand.check(request(), CONFIG)).state, "HEALTH_STATE_UP");
  for (const address of ["10.0.0.1:22", "10.0.0.2:80", "169.254.169.254:80", "localhost:80", "[::1]:80"])
    await t.throwsAsync(byHand.check(request({ address }), CONFIG), { code: "PERMISSION_DENIED" }, address);
  t.deepEqual(asked, [KNOWN]);
});

test("one address has many spellings", async (t) => {
  const { byHand, asked } = setup();
  await byHand.check(request({ address: "[::ffff:10.0.0.1]:80" }), CONFIG);
  t.deepEqual(asked, [KNOWN]);
});

test("a server of the configuration is known before any load balancer is", async (t) => {
  const { byHand } = setup();
  const vips = [
    { protocol: "tcp", address: "10.9.9.9:80", send_proxy: "off", servers: [{ address: "10.0.0.9:80", send_proxy: "vip" }] },
  ];
  const r = await byHand.check(request({ address: "10.0.0.9:80" }), { ...CONFIG, vips: vips as never });
  t.is(r.state, "HEALTH_STATE_UP");
});

test("checks by hand have a rate, and so many are under way at most", async (t) => {
  const { byHand, time } = setup();
  for (let i = 0; i < 20; i++) await byHand.check(request(), CONFIG);
  await t.throwsAsync(byHand.check(request(), CONFIG), { code: "RESOURCE_EXHAUSTED" });
  time.now += 100;
  await byHand.check(request(), CONFIG);
  await t.throwsAsync(byHand.check(request(), CONFIG), { code: "RESOURCE_EXHAUSTED" });

  const slow = setup(() => new Promise(() => {}));
  for (let i = 0; i < 32; i++) {
    slow.time.now += 1000;
    void slow.byHand.check(request(), CONFIG);
  }
  slow.time.now += 1000;
  await t.throwsAsync(slow.byHand.check(request(), CONFIG), { code: "RESOURCE_EXHAUSTED" });
  t.is(slow.asked.length, 32);
});
