// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import type { Frame__Output } from "../../../gen/marllb/v1/Frame.js";
import { DecisionLog, KEY_TICKS, logFiles, wholeLength } from "../decision-log.js";
import type { Tick } from "../log-format.js";
import { ticksOf } from "../replay.js";

const RECORD = 40;

/** Headers here are a generation and a number. */
function frame(seq: number, servers: number, generation = 1): Frame__Output {
  const hdr = Buffer.alloc(16);
  hdr.writeUInt32LE(generation, 0);
  hdr.writeUInt32LE(seq, 4);
  const records = Buffer.alloc(servers * RECORD);
  for (let i = 0; i < servers; i++) {
    records.writeUInt32LE(i + 1, i * RECORD);
    records.writeUInt32LE((0xffffff00 + seq * (i + 1)) >>> 0, i * RECORD + 8);
    records.writeDoubleLE(seq / (i + 1), i * RECORD + 16);
  }
  return {
    vip_id: 1,
    schema: 6,
    record_size: RECORD,
    hdr,
    records,
    trace: null,
    kept: [],
    dp_epoch: "5",
    generation,
    seq: String(seq),
    instance: "edge1",
    want_weights: true,
    birth: "9",
  };
}

const identify = (hdr: Uint8Array) => {
  const b = Buffer.from(hdr);
  return { vipId: 1, dpEpoch: 5n, birth: 9n, generation: b.readUInt32LE(0), seq: b.readUInt32LE(4) };
};

const tick = (f: Frame__Output, policy = "marl"): Tick => ({
  atUnixMs: 1_700_000_000_000 + Number(f.seq) * 200,
  frame: f,
  policy,
  fellBack: Number(f.seq) % 7 === 0,
  digest: Buffer.from([1, 2, 3, 4, 5, 6, 7, Number(f.seq) % 256]),
});
const checkpoint = () => ({ vip_id: 1, policy: "marl", schema: 3, state: Buffer.from("memory") });

function bed(t: ExecutionContext, maxBytes = 1e9, files = 3) {
  const folder = mkdtempSync(path.join(tmpdir(), "marllb-log-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const errors: Error[] = [];
  const log = new DecisionLog("edge1-web", {
    folder,
    maxBytes,
    files,
    wrote() {},
    readable: () => true,
    failed: (e) => errors.push(e),
  });
  return { folder, log, errors, file: path.join(folder, "edge1-web.mlog") };
}

test("what was written is read: frames to the byte, who decided, when, and the memory at key records", async (t) => {
  const { log, file } = bed(t);
  const frames: Frame__Output[] = [];
  for (let seq = 1; seq <= 2 * KEY_TICKS + 5; seq++) {
    const f = frame(seq, seq < 50 ? 3 : 4, seq < 50 ? 1 : 2);
    frames.push(f);
    log.tick(tick(f, seq < 100 ? "marl" : "kalman"), checkpoint);
    if (seq % 16 === 0) await log.written();
  }
  await log.close();
  const read = [...ticksOf(file, identify)];
  t.is(read.length, frames.length);
  read.forEach((r, i) => {
    const { hdr, records, ...said } = frames[i] as Frame__Output;
    if (!(r.frame.hdr as Buffer).equals(hdr as Buffer) || !(r.frame.records as Buffer).equals(records as Buffer))
      t.fail(`tick ${i}`);
    t.like(r.frame, said);
    const { atUnixMs, policy, fellBack, digest } = tick(frames[i] as Frame__Output, i + 1 < 100 ? "marl" : "kalman");
    t.like(r, { atUnixMs, policy, fellBack });
    t.true(r.digest.equals(digest));
  });
  const keys = read.flatMap((r, i) => (r.checkpoint ? [i + 1] : []));
  t.deepEqual(keys, [1, 50, 100, 400], "the first, another list of servers, another policy, and every so many");
  t.deepEqual(read[0]?.checkpoint, checkpoint());
});

test("files are bounded in size and number, and each can be read alone", async (t) => {
  const { log, folder } = bed(t, 3000, 3);
  for (let seq = 1; seq <= 6 * KEY_TICKS; seq++) {
    log.tick(tick(frame(seq, 8)), checkpoint);
    if (seq % 16 === 0) await log.written();
  }
  await log.close();
  const files = logFiles(folder, "edge1-web");
  t.is(files.length, 3);
  t.deepEqual(readdirSync(folder).sort(), ["edge1-web.mlog", "edge1-web.mlog.1", "edge1-web.mlog.2"]);
  let last = 0;
  for (const file of files) {
    t.true(statSync(file).size < 30_000);
    for (const r of ticksOf(file, identify)) {
      t.true(Number(r.frame.seq) > last);
      last = Number(r.frame.seq);
    }
  }
  t.is(last, 6 * KEY_TICKS);
});

test("a file whose writer was killed is read up to its last whole record; one that is none is refused", async (t) => {
  const { log, file } = bed(t);
  for (let seq = 1; seq <= 10; seq++) log.tick(tick(frame(seq, 3)), checkpoint);
  await log.close();
  truncateSync(file, statSync(file).size - 3);
  t.is([...ticksOf(file, identify)].length, 9);
  writeFileSync(file, "something else");
  t.throws(() => [...ticksOf(file, identify)], { message: /expected a decision log/ });
});

test("a disk that takes nothing costs ticks of the log, which are counted, and it goes on from a key record", async (t) => {
  const { log, folder, errors, file } = bed(t);
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "no folder");
  for (let seq = 1; seq <= 5; seq++) {
    log.tick(tick(frame(seq, 3)), checkpoint);
    await log.written();
  }
  t.is(errors.length, 5);
  rmSync(folder);
  for (let seq = 6; seq <= 8; seq++) {
    log.tick(tick(frame(seq, 3)), checkpoint);
    await log.written();
  }
  await log.close();
  t.deepEqual(
    [...ticksOf(file, identify)].map((r) => r.frame.seq),
    ["6", "7", "8"],
  );
  t.is(log.lost, 5);
});

test("records that were on their way behind one that was lost are lost with it: a file begins with a key record", async (t) => {
  const { folder, file } = bed(t);
  const errors: string[] = [];
  const failed = (e: Error): void => {
    errors.push(e.message);
    rmSync(folder, { recursive: true, force: true });
  };
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "no folder");
  const log = new DecisionLog("edge1-web", { folder, maxBytes: 1e9, files: 3, wrote() {}, readable: () => true, failed });
  for (let seq = 1; seq <= 4; seq++) log.tick(tick(frame(seq, 3)), checkpoint);
  await log.written();
  t.is(errors.length, 4);
  t.is(log.lost, 4);
  for (let seq = 5; seq <= 6; seq++) log.tick(tick(frame(seq, 3)), checkpoint);
  await log.close();
  t.deepEqual(
    [...ticksOf(file, identify)].map((r) => r.frame.seq),
    ["5", "6"],
  );
});

test("a disk that is slow costs ticks of the log, which are counted", async (t) => {
  const { log, errors, file } = bed(t);
  for (let seq = 1; seq <= 40; seq++) log.tick(tick(frame(seq, 3)), checkpoint);
  await log.close();
  t.is(errors.length, log.lost);
  t.is([...ticksOf(file, identify)].length, 40 - log.lost);
});

test("a stream that is opened anew goes on in the same file, after whatever the one before had on its way", async (t) => {
  const { log, folder, file } = bed(t);
  for (let seq = 1; seq <= 5; seq++) log.tick(tick(frame(seq, 3)), checkpoint);
  // It is known as it was left, and not read: what cannot be read would be turned over.
  const next = new DecisionLog(
    "edge1-web",
    { folder, maxBytes: 1e9, files: 3, wrote() {}, readable: () => false, failed() {} },
    log,
  );
  for (let seq = 6; seq <= 9; seq++) next.tick(tick(frame(seq, 3)), checkpoint);
  await next.close();
  t.deepEqual(readdirSync(folder), ["edge1-web.mlog"]);
  const read = [...ticksOf(file, identify)];
  t.deepEqual(
    read.map((r) => Number(r.frame.seq)),
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  t.deepEqual(
    read.flatMap((r, i) => (r.checkpoint ? [i + 1] : [])),
    [1, 6],
  );
});

test("a process that starts again goes on in the same file, behind its last whole record; what it cannot read it leaves alone", async (t) => {
  const { log, folder, file } = bed(t);
  for (let seq = 1; seq <= 5; seq++) log.tick(tick(frame(seq, 3)), checkpoint);
  await log.close();
  truncateSync(file, statSync(file).size - 3); // killed while it wrote
  for (const from of [11, 21, 31, 41]) {
    const again = new DecisionLog("edge1-web", {
      folder,
      maxBytes: 1e9,
      files: 3,
      wrote() {},
      readable: () => true,
      failed: (e) => t.fail(e.message),
    });
    for (let seq = from; seq < from + 3; seq++) again.tick(tick(frame(seq, 3)), checkpoint);
    await again.close();
  }
  t.deepEqual(readdirSync(folder), ["edge1-web.mlog"]);
  t.deepEqual(
    [...ticksOf(file, identify)].map((r) => Number(r.frame.seq)),
    [1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 31, 32, 33, 41, 42, 43],
  );
  const newer = new DecisionLog("edge1-web", {
    folder,
    maxBytes: 1e9,
    files: 3,
    wrote() {},
    readable: () => false,
    failed: (e) => t.fail(e.message),
  });
  newer.tick(tick(frame(50, 3)), checkpoint);
  await newer.close();
  t.deepEqual(readdirSync(folder).sort(), ["edge1-web.mlog", "edge1-web.mlog.1"]);
  writeFileSync(file, "");
  t.is(wholeLength(file), 0);
  writeFileSync(file, "something else");
  t.is(wholeLength(file), null);
});
