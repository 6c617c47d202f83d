// SPDX-License-Identifier: Apache-2.0
import { EventEmitter } from "node:events";
import test from "ava";
import { FakeTimers } from "../../../testbed/fake-timers.js";
import { type Duplex, LastingStream, Outlet, UNREAD_MS } from "../stream.js";

class FakeStream extends EventEmitter implements Duplex<string, string> {
  written: string[] = [];
  done: (() => void)[] = [];
  cancelled = false;
  write(message: string, done: () => void): boolean {
    this.written.push(message);
    this.done.push(done);
    return true;
  }
  getPeer = (): string => "127.0.0.1:1";
  cancel(): void {
    this.cancelled = true;
  }
  /** The peer takes the oldest message that is on its way. */
  take(): void {
    this.done.shift()?.();
  }
}

function setup(pipeline = 1) {
  const streams: FakeStream[] = [];
  const timers = new FakeTimers();
  const got: string[] = [];
  const downs: string[] = [];
  const refusals: string[] = [];
  const stream = new LastingStream<string, string>({
    open: () => {
      const s = new FakeStream();
      streams.push(s);
      return s;
    },
    key: (m) => Number(m.split(":")[0]),
    onOpen: (send) => send("0:hello"),
    onMessage: (m) => got.push(m),
    onDown: (r) => downs.push(r),
    isRefusal: (e) => e.message.startsWith("9 "),
    onRefused: (r) => refusals.push(r),
    timers,
    stallMs: 600,
    pipeline,
  });
  return { stream, streams, timers, got, downs, refusals, at: (i: number) => streams[i] as FakeStream };
}

test("while the peer is slow only the newest message of a key is kept", (t) => {
  const { stream, at } = setup();
  for (const m of ["1:a", "2:a", "1:b", "1:c"]) t.true(stream.send(m));
  t.deepEqual(at(0).written, ["0:hello"]);
  at(0).take();
  at(0).take();
  at(0).take();
  t.deepEqual(at(0).written, ["0:hello", "1:c", "2:a"]);
  t.is(stream.replaced, 2);
});

test("a broken stream is reopened after 100 to 250 ms, with a hello, and what waited is gone", (t) => {
  const { stream, streams, timers, downs, at } = setup();
  stream.send("1:a");
  at(0).emit("error", new Error("14 UNAVAILABLE"));
  t.deepEqual(downs, ["14 UNAVAILABLE"]);
  t.is(stream.state, "down");
  t.false(stream.send("1:b"));
  timers.advance(99);
  t.is(streams.length, 1);
  timers.advance(1);
  t.is(streams.length, 2);
  t.deepEqual(at(1).written, ["0:hello"]);
  // it goes on failing: never more than 250 ms between two tries
  for (let i = 1; i < 20; i++) {
    at(i).emit("error", new Error("x"));
    timers.advance(250);
    t.is(streams.length, i + 2);
  }
  t.is(stream.reconnects, 20);
});

test("who is refused says so once, asks once a second, and is taken when a stream lasts", (t) => {
  const { stream, streams, timers, refusals, at } = setup();
  for (let i = 0; i < 5; i++) {
    at(i).take();
    // What was sent is taken before it is read.
    t.is(stream.state, i === 0 ? "ready" : "refused");
    at(i).emit("error", new Error("9 another one"));
    t.like(stream.figures(), { state: "refused", why: "9 another one" });
    timers.advance(999);
    t.is(streams.length, i + 1);
    timers.advance(1);
  }
  t.deepEqual(refusals, ["9 another one"]);
  at(5).emit("error", new Error("14 away"));
  t.like(stream.figures(), { state: "down", why: "14 away" });
  timers.advance(250);
  at(6).emit("error", new Error("9 another one"));
  timers.advance(1000);
  at(7).take();
  t.is(stream.state, "refused");
  timers.advance(500);
  stream.send("1:a");
  timers.advance(500);
  at(7).take();
  t.like(stream.figures(), { state: "ready", why: "" });
  t.deepEqual(refusals, ["9 another one", "9 another one", ""]);
});

test("a stream that lasted is reopened at once; where that fails, after the usual time", (t) => {
  const { streams, timers, at } = setup();
  at(0).take();
  timers.advance(10_000);
  at(0).emit("error", new Error("the connection has aged"));
  timers.advance(0);
  t.is(streams.length, 2);
  at(1).emit("error", new Error("refused"));
  timers.advance(99);
  t.is(streams.length, 2);
  timers.advance(151);
  t.is(streams.length, 3);
});

test("a late error or message of an old stream changes nothing", (t) => {
  const { stream, streams, timers, got, at } = setup();
  at(0).emit("end");
  timers.advance(100);
  at(0).emit("error", new Error("late"));
  at(0).emit("data", "late");
  at(1).take();
  at(1).emit("data", "now");
  timers.advance(1000);
  t.deepEqual(got, ["now"]);
  t.is(stream.state, "ready");
  t.is(streams.length, 2);
});

test("a peer that takes nothing for the stall time is cancelled and opened anew", (t) => {
  const { streams, timers, downs, at } = setup();
  timers.advance(599);
  t.is(streams.length, 1);
  timers.advance(1);
  t.true(at(0).cancelled);
  t.deepEqual(downs, ["takes no messages"]);
  timers.advance(100);
  t.is(streams.length, 2);
});

test("a peer that takes messages slowly is no hung peer", (t) => {
  const { stream, streams, timers, at } = setup();
  for (let i = 0; i < 10; i++) {
    stream.send(`1:${i}`);
    timers.advance(500);
    at(0).take();
  }
  t.is(streams.length, 1);
});

test("after close nothing is opened or sent", (t) => {
  const { stream, streams, timers, at } = setup();
  stream.close();
  t.true(at(0).cancelled);
  at(0).emit("error", new Error("cancelled"));
  timers.advance(10_000);
  t.is(streams.length, 1);
  t.false(stream.send("1:x"));
});

function outlet(batch: number) {
  const timers = new FakeTimers();
  const written: string[] = [];
  const done: (() => void)[] = [];
  const seen = { unread: 0, ended: 0 };
  const sink = {
    write(m: string, fn: () => void) {
      written.push(m);
      done.push(fn);
      return true;
    },
    end: () => seen.ended++,
  };
  const out = new Outlet<string, string>(sink, {
    pack: (items) => items.join(),
    batch,
    timers,
    onUnread: () => seen.unread++,
  });
  return { out, timers, written, seen, take: () => done.shift()?.() };
}

test("outlet: while the reader is slow the newest item of each key waits, and goes in parts", (t) => {
  const { out, written, take } = outlet(2);
  out.put([["a", "a1"]]);
  let made = 0;
  out.putAll(
    (function* () {
      for (const item of ["x", "y", "end1"]) {
        made++;
        yield item;
      }
    })(),
  );
  for (let i = 2; i < 1000; i++)
    out.put([
      ["b", `b${i}`],
      ["c", `c${i}`],
      ["d", `d${i}`],
    ]);
  out.putAll(["never: a list is under way"]);
  t.deepEqual([written, made], [["a1"], 0]);
  take();
  t.is(made, 0, "a list is taken as it is read");
  for (let i = 0; i < 5; i++) take();
  t.deepEqual(written, ["a1", "b999,c999", "d999,x", "y,end1"]);
  out.putAll(["z"]);
  t.is(written.at(-1), "z");
});

test("outlet: ends when nobody read for 10 s, not while somebody reads slowly", (t) => {
  const { out, timers, written, seen, take } = outlet(1);
  for (let i = 0; i < 5; i++) {
    out.put([["a", `a${i}`]]);
    timers.advance(UNREAD_MS - 1);
    take();
  }
  timers.advance(10 * UNREAD_MS);
  t.is(seen.unread, 0, "with nothing to read nobody is late");
  out.put([["a", "last"]]);
  timers.advance(UNREAD_MS);
  t.is(seen.unread, 1);
  out.put([["a", "more"]]);
  t.is(written.at(-1), "last");
});

test("a peer that takes nothing gets twice as long each time in a row, and the usual time again once a stream has lasted", (t) => {
  const { stream, streams, timers, at } = setup();
  const waited = (i: number): number => {
    let ms = 0;
    while (!at(i).cancelled) {
      timers.advance(1);
      ms++;
    }
    while (streams.length === i + 1) timers.advance(1);
    return ms;
  };
  t.deepEqual([0, 1, 2, 3, 4, 5].map(waited), [600, 1200, 2400, 4800, 9600, 9600]);
  // It takes all, for ten seconds.
  at(6).take();
  for (let i = 0; i < 11; i++) {
    timers.advance(1000);
    stream.send(`1:${i}`);
    at(6).take();
  }
  stream.send("1:x");
  timers.advance(599);
  t.false(at(6).cancelled);
  timers.advance(1);
  t.true(at(6).cancelled);
});
