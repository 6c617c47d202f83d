// SPDX-License-Identifier: Apache-2.0
// Whom counts are shared with, and by which key.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "ava";
import pino from "pino";
import { hostInstance } from "../../common/config/host-instance.js";
import { parseConfig } from "../../common/config/load.js";
import type { CountsFigures, CountsOptions } from "../../common/native/counts.js";
import { readKeys, Sharing } from "../counts.js";

const KEY = "0123456789abcdef";

const folder = (t: { teardown(fn: () => void): void }): string => {
  const dir = mkdtempSync(path.join(os.tmpdir(), "marllb-counts-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  return dir;
};

function keyFile(t: { teardown(fn: () => void): void }, text: string, mode = 0o640): string {
  const file = path.join(folder(t), "key");
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

class FakePort {
  readonly told: string[][] = [];
  closed = false;
  members(addresses: readonly string[]): void {
    this.told.push([...addresses].sort());
  }
  figures(): CountsFigures {
    throw new Error("nobody asks");
  }
  close(): void {
    this.closed = true;
  }
}

function sharing(t: { teardown(fn: () => void): void }, text: string, lookup?: (host: string) => Promise<string[]>) {
  const port = new FakePort();
  const opened: CountsOptions[] = [];
  const later: (() => void)[] = [];
  const config = parseConfig(`counts: { listen: "10.0.0.1:7400", key_file: ${keyFile(t, KEY)}, ${text} }`);
  const it = new Sharing({
    config,
    log: pino({ level: "silent" }),
    timers: { now: () => 0, setTimeout: (fn) => later.push(fn), clearTimeout() {} },
    open(o) {
      opened.push(o);
      return port;
    },
    ...(lookup ? { lookup } : {}),
  });
  const settled = async (): Promise<string[] | undefined> => {
    for (let i = 0; i < 10; i++) await new Promise((done) => setImmediate(done));
    return port.told.at(-1);
  };
  return { it, port, opened, later, settled };
}

test("without an address nothing is opened", (t) => {
  const it = new Sharing({
    config: parseConfig("{}"),
    log: pino({ level: "silent" }),
    timers: { now: () => 0, setTimeout: () => 0, clearTimeout() {} },
    open: () => t.fail() as never,
  });
  t.is(it.figures(), null);
  it.told("web", ["10.0.0.2:7400"]);
  it.stop();
});

test("members: of the configuration and of failover, each once, without this one", async (t) => {
  const { it, port, opened, settled } = sharing(t, 'period_ms: 10, members: ["10.0.0.2:7400", "10.0.0.1:7400"]');
  t.like(opened, [{ instance: hostInstance(), listen: "10.0.0.1:7400", periodMs: 10, keys: [Buffer.from(KEY)] }]);
  t.deepEqual(await settled(), ["10.0.0.2:7400"]);
  it.told("web", ["10.0.0.2:7400", "10.0.0.3:7400"]);
  it.told("api", ["10.0.0.4:7400"]);
  t.deepEqual(await settled(), ["10.0.0.2:7400", "10.0.0.3:7400", "10.0.0.4:7400"]);
  const before = port.told.length;
  it.told("web", ["10.0.0.2:7400", "10.0.0.3:7400"]);
  await settled();
  t.is(port.told.length, before);
  it.told("web", null);
  it.configured(["10.0.0.5:7400"]);
  t.deepEqual(await settled(), ["10.0.0.4:7400", "10.0.0.5:7400"]);
  it.stop();
  t.true(port.closed);
});

test("a name has several addresses, is looked up again, and keeps them while it cannot be", async (t) => {
  let answer: string[] | null = ["10.0.0.1", "10.0.0.7", "2001:db8::7"];
  const { later, settled } = sharing(t, "members: [lbs.example.org:7400]", async (host) => {
    t.is(host, "lbs.example.org");
    if (answer === null) throw new Error("no answer");
    return answer;
  });
  t.deepEqual(await settled(), ["10.0.0.7:7400", "[2001:db8::7]:7400"]);
  answer = null;
  later.at(-1)?.();
  t.deepEqual(await settled(), ["10.0.0.7:7400", "[2001:db8::7]:7400"]);
  answer = ["10.0.0.8"];
  later.at(-1)?.();
  t.deepEqual(await settled(), ["10.0.0.8:7400"]);
});

test("what failover says is not believed to be an address", async (t) => {
  const { it, settled } = sharing(t, "members: []");
  it.told("web", ["nonsense", "10.0.0.300:1", "10.0.0.9:7400"]);
  t.deepEqual(await settled(), ["10.0.0.9:7400"]);
});

test("keys", (t) => {
  t.deepEqual(readKeys(keyFile(t, `${KEY}new\n\n  ${KEY}\n`)), [Buffer.from(`${KEY}new`), Buffer.from(KEY)]);
  t.throws(() => readKeys(keyFile(t, "")), { message: /has 0 lines: expected a key/ });
  t.throws(() => readKeys(keyFile(t, `${KEY}\n${KEY}\n${KEY}`)), { message: /has 3 lines/ });
  t.throws(() => readKeys(keyFile(t, `${KEY}\nshort`)), { message: /a key of 5 bytes in line 2: expected at least 16/ });
  t.throws(() => readKeys(keyFile(t, KEY, 0o644)), { message: /may be used by everybody on this machine/ });
  t.throws(() => readKeys("/nonexistent/key"), { message: /^counts.key_file: \/nonexistent\/key cannot be read: ENOENT/ });
});

for (const [what, text, message] of [
  ["no key", 'counts: { listen: "10.0.0.1:7400" }', /counts.key_file: expected with counts.listen/],
  ["a wildcard", 'counts: { listen: "0.0.0.0:7400", key_file: k }', /counts.address: expected with 0.0.0.0:7400/],
  ["members alone", 'counts: { members: ["10.0.0.2:7400"] }', /counts.members: expected with counts.listen only/],
  ["a name to listen on", "counts: { listen: lb1:7400, key_file: k }", /counts.listen: expected IP:PORT for UDP/],
  ["a period", "counts: { period_ms: 2 }", /counts.period_ms: expected at least 5/],
  [
    "a UDP VIP there",
    'counts: { listen: "10.0.0.1:53", key_file: k }\nvips: [{ name: dns, protocol: udp, address: "10.0.0.1:53" }]',
    /duplicate address 10.0.0.1:53/,
  ],
] as const) {
  test(`configuration: ${what}`, (t) => {
    t.throws(() => parseConfig(text), { message });
  });
}
