// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { BUCKETS } from "../histogram.js";
import { type DecodedFrame, decodeFrame, layout, NativeError, type RawFrame } from "../native/frame.js";
import { observationShape, observe } from "../native/observe.js";
import { attachRegion, compose, type Effect, type Region, type Vector } from "../native/region.js";
import { projectRoot } from "../root.js";

const FIXTURE = path.join(projectRoot, "build/native/bin/marllb-region-fixture");
let files = 0;

/** A data plane without sockets (native/addon/test/region_fixture.c). */
class Fixture {
  readonly file = path.join(os.tmpdir(), `marllb-native-${process.pid}-${files++}`);
  private child: ChildProcess | null = null;
  private lines: AsyncIterator<string> | null = null;

  constructor(t: ExecutionContext) {
    t.teardown(async () => {
      await this.stop();
      rmSync(this.file, { force: true });
    });
  }

  async start(vips: number, servers: number): Promise<void> {
    this.child = spawn(FIXTURE, [this.file, String(vips), String(servers), "10000"], { stdio: ["pipe", "pipe", "inherit"] });
    this.lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    const { value } = await this.lines.next();
    if (value !== "ready") throw new Error(`the fixture said ${String(value)}`);
  }

  async do(command: string): Promise<string> {
    this.child?.stdin?.write(`${command}\n`);
    return ((await this.lines?.next()) as IteratorResult<string>).value;
  }

  async stop(signal?: "SIGKILL"): Promise<void> {
    const child = this.child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    if (signal) child.kill(signal);
    else child.stdin?.end();
    await gone;
  }
}

/** Each class of the addon that has a thread, made while none can be started, then again while one can. */
const WITHOUT_THREADS = `
import { rmSync, writeFileSync } from "node:fs";
const [region, file, folder] = process.argv.slice(1);
const of = (name) => import(folder + "/" + name + ".js");
const { attachRegion } = await of("region");
const { Counts } = await of("counts");
const { connect } = await of("connector");
const tries = {
  region: () => attachRegion(region, () => {}).close(),
  counts: () => new Counts({ instance: "a", region, listen: "127.0.0.1:0", periodMs: 20, keys: [Buffer.alloc(32)] }).close(),
  connect: () =>
    new Promise((made, failed) => connect({ address: "127.0.0.1", port: 1, keep: false }, (e) => (e ? failed(e) : made()))),
};
const alive = setInterval(() => {}, 1000);
for (const refused of [true, false]) {
  if (refused) writeFileSync(file, "");
  else rmSync(file);
  for (const [name, one] of Object.entries(tries)) {
    const said = await (async () => one())().then(() => "made", (e) => e.constructor.name + " " + e.code + " " + e.message);
    console.log(name + ": " + said);
  }
}
clearInterval(alive);
`;

test("where no thread can be started the addon says so; it does not end the process", async (t) => {
  const f = new Fixture(t);
  await f.start(1, 1);
  const native = path.join(projectRoot, "dist/services/common/native");
  const flag = `${f.file}.no-threads`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", WITHOUT_THREADS, f.file, flag, native], {
    env: {
      ...process.env,
      LD_PRELOAD: path.join(projectRoot, "build/native/bin/marllb-no-threads.so"),
      MARLLB_NO_THREADS_FILE: flag,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  const [code] = (await once(child, "close")) as [number];
  rmSync(flag, { force: true });
  t.is(code, 0);
  const lines = said.trimEnd().split("\n");
  for (const line of lines.slice(0, 3)) t.regex(line, /^\w+: NativeError EAGAIN \w+: cannot start a thread: /);
  t.deepEqual(lines.slice(3, 5), ["region: made", "counts: made"]);
  t.regex(lines[5] ?? "", /^connect: (made|NativeError ECONNREFUSED)/);
});

test("an answer that comes while the process ends is nobody's: it does not abort", async (t) => {
  const connector = path.join(projectRoot, "dist/services/common/native/connector.js");
  const code = `const { connect } = await import(process.argv[1]);
    connect({ address: "127.0.0.1", port: 1, keep: false }, () => {});`;
  for (let i = 0; i < 5; i++) {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", code, connector], { stdio: "ignore" });
    t.deepEqual(await once(child, "close"), [0, null]);
  }
});

class Wakes {
  count = 0;
  readonly wake = (): void => {
    this.count++;
  };
}

/** Until `get` gives something; the test's own time-out ends it. */
async function until<T>(get: () => T | undefined | false | null): Promise<T> {
  for (;;) {
    const value = get();
    if (value) return value;
    await sleep(2);
  }
}

async function nextFrame(region: Region, vipId = 1): Promise<RawFrame> {
  return until(() => region.frames()?.find((f) => f.vipId === vipId));
}

async function frameWhere(region: Region, is: (f: DecodedFrame) => boolean): Promise<DecodedFrame> {
  for (;;) {
    const f = decodeFrame(await nextFrame(region));
    if (is(f)) return f;
  }
}

async function effectWhere(region: Region, is: (e: Effect) => boolean): Promise<Effect> {
  return until(() => region.effects().find(is));
}

function vector(frame: RawFrame, raw: number[], more: Partial<Vector> = {}): Vector {
  const f = decodeFrame(frame);
  return {
    frame,
    ids: f.ids,
    raw: Float32Array.from(raw),
    stat: f.weightStatic,
    factor: null,
    bias: null,
    load: null,
    prev: null,
    ejected: null,
    trust: 3,
    stepRatio: 0,
    dt: 0.2,
    ejectedCap: 0.05,
    exact: false,
    kappa: 0,
    loadBalancers: 1,
    loadBalancer: 0,
    mode: 0,
    ladder: 0,
    state: 0,
    term: 0n,
    newcomersWait: false,
    flags: new Uint8Array(raw.length),
    ...more,
  };
}

function near(t: ExecutionContext, got: ArrayLike<number>, want: number[]): void {
  t.is(got.length, want.length);
  for (const [i, w] of want.entries()) t.true(Math.abs((got[i] as number) - w) < 1e-5, `[${i}]: ${got[i]}, expected ${w}`);
}

test("attaches, and says what it attached to", async (t) => {
  const fixture = new Fixture(t);
  await fixture.start(1, 3);
  const region = attachRegion(fixture.file, () => {});
  t.is(region.instance, "fixture");
  t.is(region.dataplane, "fixture 1");
  t.is(region.agentEpoch, 1n);
  t.is(region.frameUs, 10000);
  t.false(region.replaced());
  region.close();
  region.close();
  t.throws(() => region.frames(), { instanceOf: NativeError, message: /closed/ });
  const again = attachRegion(fixture.file, () => {});
  t.is(again.agentEpoch, 2n);
  again.close();
});

test("refuses a second agent, garbage and nothing, with the reason", async (t) => {
  const fixture = new Fixture(t);
  await fixture.start(1, 1);
  const region = attachRegion(fixture.file, () => {});
  const second = t.throws(() => attachRegion(fixture.file, () => {}), { instanceOf: NativeError });
  t.is(second?.code, "EBUSY");
  t.regex(second?.message ?? "", /another agent is attached/);
  region.close();
  const garbage = `${fixture.file}.garbage`;
  t.teardown(() => rmSync(garbage, { force: true }));
  writeFileSync(garbage, Buffer.alloc(8192, 7));
  t.is(t.throws(() => attachRegion(garbage, () => {}), { instanceOf: NativeError })?.code, "EPROTO");
  t.is(t.throws(() => attachRegion(`${garbage}.not`, () => {}), { instanceOf: NativeError })?.code, "ENOENT");
});

test("wakes for frames, and decodes them by field name", async (t) => {
  const fixture = new Fixture(t);
  await fixture.start(1, 3);
  const wakes = new Wakes();
  const region = attachRegion(fixture.file, wakes.wake);
  t.teardown(() => region.close());
  t.is(await fixture.do("open 1 2"), "done");
  const f = await frameWhere(region, (x) => x.flows[2] === 1);
  t.is(f.vipId, 1);
  t.is(f.name, "vip1");
  t.is(f.address, "10.0.100.1:80");
  t.is(f.protocol, "tcp");
  t.is(f.dpEpoch, region.dpEpoch);
  t.is(f.generation, 3);
  t.is(f.mode, 3);
  t.is(f.ladder, 4);
  t.false(f.managed);
  t.deepEqual([...f.ids], [1, 2, 3]);
  t.deepEqual(f.addresses(), ["10.0.1.1:80", "10.0.1.2:80", "10.0.1.3:80"]);
  t.deepEqual([...f.column("new_flows")], [0, 0, 1]);
  near(t, f.column("weight"), [1 / 3, 1 / 3, 1 / 3]);
  t.is(f.histogram("duration_hist").length, 3 * BUCKETS);
  t.is(f.refused.generation, 0);
  t.is(await fixture.do("close 1 2"), "done");
  const done = await frameWhere(region, (x) => x.column("completions")[2] === 1);
  const counts = done.histogram("duration_hist").subarray(2 * BUCKETS, 3 * BUCKETS);
  t.is(
    counts.reduce((a, b) => a + b),
    1,
  );
  t.true(wakes.count > 0);
  for (const field of layout.serverFields) t.notThrows(() => done.column(field.name));
  t.throws(() => done.column("nonsense"), { instanceOf: NativeError, message: /no field nonsense/ });
});

test("a published vector takes effect", async (t) => {
  const fixture = new Fixture(t);
  await fixture.start(1, 3);
  const region = attachRegion(fixture.file, () => {});
  t.teardown(() => region.close());
  const frame = await nextFrame(region);
  const p = region.publish(
    vector(frame, [2, 1, 1], { factor: Float32Array.of(1, 1, 0), term: 7n, bias: Float32Array.of(0, 2, 0) }),
  );
  t.is(p.refused, null);
  near(t, p.share, [2 / 3, 1 / 3, 0]);
  near(t, p.bare, [2 / 3, 1 / 3, 0]);
  const e = await effectWhere(region, (x) => x.seq === p.seq && x.allNs !== 0n);
  t.is(e.frameSeq, frame.seq);
  t.is(e.agentEpoch, region.agentEpoch);
  t.true(e.swapNs > frame.monoNs && e.allNs >= e.swapNs);
  const f = await frameWhere(region, (x) => x.figures.applied_seq === p.seq);
  near(t, f.column("weight"), [2 / 3, 1 / 3, 0]);
  near(t, f.column("factor"), [1, 1, 0]);
  near(t, f.column("bias"), [0, 2, 0]);
  t.is(f.term, 7n);
  t.is(f.ladder, 0);
});

test("refusals name their reason on either side", async (t) => {
  const fixture = new Fixture(t);
  await fixture.start(1, 2);
  const region = attachRegion(fixture.file, () => {});
  t.teardown(() => region.close());
  const frame = await nextFrame(region);
  t.is(region.publish(vector(frame, [Number.NaN, 1])).refused, "not-finite");
  t.is(region.publish(vector(frame, [-1, 1])).refused, "negative");
  t.is(region.publish(vector(frame, [0, 0])).refused, "all-zero");
  t.throws(() => region.publish(vector(frame, [1, 1, 1])), { instanceOf: NativeError, message: /stat: 3 elements/ });
  t.is(await fixture.do("add 1 9"), "done");
  t.is(region.publish(vector(frame, [1, 1])).refused, null);
  const e = await effectWhere(region, (x) => x.refused > 0);
  t.is(e.lastRefusal, "generation");
  t.is(e.applied, 0);
});

test("vectors of several VIPs stand beside each other", async (t) => {
  const fixture = new Fixture(t);
  await fixture.start(2, 2);
  const region = attachRegion(fixture.file, () => {});
  t.teardown(() => region.close());
  const frames = await until(() => {
    const list = region.frames() ?? [];
    return list.length === 2 && list;
  });
  t.deepEqual(
    frames.map((f) => f.vipId),
    [1, 2],
  );
  // Both before the data plane can have read the first.
  for (const f of frames) t.is(region.publish(vector(f, [f.vipId, 1])).refused, null);
  const seen = new Set<number>();
  await until(() => {
    for (const e of region.effects()) if (e.applied > 0) seen.add(e.vipId);
    return seen.size === 2;
  });
  t.pass();
});

test("a managed pool replaces the server list", async (t) => {
  const fixture = new Fixture(t);
  await fixture.start(1, 2);
  const region = attachRegion(fixture.file, () => {});
  t.teardown(() => region.close());
  const servers = [
    { address: "10.0.1.2:80", weight: 2, drain: false },
    { address: "[2001:db8::1]:8080", weight: 1, drain: true },
  ];
  region.publishPools([{ vipId: 1, birth: 1n, managed: true, revision: 3n, servers }]);
  const f = await frameWhere(region, (x) => x.managed && x.count === 2);
  t.deepEqual(f.addresses(), ["10.0.1.2:80", "[2001:db8::1]:8080"]);
  t.deepEqual([...f.weightStatic], [2, 1]);
  t.deepEqual([...f.flags], [1, 3]);
  t.regex(await fixture.do("add 1 9"), /managed by failover/);
  const bad = [{ address: "10.0.1.2", weight: 1, drain: false }];
  t.throws(() => region.publishPools([{ vipId: 1, birth: 1n, managed: true, revision: 4n, servers: bad }]), {
    message: /no address like/,
  });
});

test("a restarted data plane is noticed", async (t) => {
  const fixture = new Fixture(t);
  await fixture.start(1, 1);
  const region = attachRegion(fixture.file, () => {});
  await fixture.stop("SIGKILL");
  t.false(region.replaced());
  await fixture.start(1, 1);
  t.true(region.replaced());
  const again = attachRegion(fixture.file, () => {});
  t.not(again.dpEpoch, region.dpEpoch);
  await nextFrame(again);
  region.close();
  again.close();
});

test("observes frames into steps", async (t) => {
  const fixture = new Fixture(t);
  await fixture.start(1, 2);
  const region = attachRegion(fixture.file, () => {});
  t.teardown(() => region.close());
  let state: Buffer | null = null;
  for (let steps = 0; steps < 2; ) {
    const o = observe(await nextFrame(region), state);
    state = o.state;
    t.is(o.server.length, 2 * observationShape.server.length);
    t.is(o.pool.length, observationShape.pool.length);
    near(t, o.kalman, [1, 1]);
    if (o.stepped) steps++;
  }
  const frame = await nextFrame(region);
  t.is(t.throws(() => observe(frame, Buffer.alloc(11)), { instanceOf: NativeError })?.code, "EPROTO");
  t.throws(() => observe({ hdr: frame.hdr.subarray(8), records: frame.records }, null), { instanceOf: NativeError });
});

test("frames that are not whole are refused", async (t) => {
  const fixture = new Fixture(t);
  await fixture.start(1, 2);
  const region = attachRegion(fixture.file, () => {});
  t.teardown(() => region.close());
  const { hdr, records } = await nextFrame(region);
  const other = Buffer.from(hdr);
  other.writeUInt32LE(layout.frameSchema + 1, 0);
  for (const frame of [
    { hdr: hdr.subarray(1), records },
    { hdr, records: records.subarray(layout.recordSize) },
    { hdr, records: records.subarray(1) },
    { hdr: other, records },
  ]) {
    t.is(t.throws(() => decodeFrame(frame), { instanceOf: NativeError })?.code, "EPROTO");
  }
});

test("the envelope by itself", (t) => {
  const input = {
    raw: Float32Array.of(1, 3),
    stat: Float32Array.of(1, 1),
    factor: null,
    prev: null,
    ejected: Uint8Array.of(0, 1),
    trust: 3,
    stepRatio: 2,
    dt: 0.2,
    ejectedCap: 0.05,
    exact: false,
  };
  const c = compose(input);
  near(t, c.bare, [0.25, 0.75]);
  near(t, c.share, [0.95, 0.05]);
  near(t, compose({ ...input, raw: Float32Array.of(0, 3), trust: 0.1, exact: true }).share, [0, 1]);
  const bad = t.throws(() => compose({ ...input, raw: [1, 3] as unknown as Float32Array }), { instanceOf: NativeError });
  t.is(bad?.code, "EINVAL");
});
