// SPDX-License-Identifier: Apache-2.0
import { inflateSync } from "node:zlib";
import test from "ava";
import { draw, step } from "../plot.js";
import { Picture } from "../png.js";

test("a picture survives as PNG: signature, header, palette and pixels", (t) => {
  const p = new Picture(7, 3, [
    [255, 255, 255],
    [1, 2, 3],
  ]);
  p.rectangle(2, 1, 3, 1, 1);
  const b = p.png();
  t.deepEqual([...b.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < b.length; at += 12 + b.readUInt32BE(at))
    chunks.set(b.toString("latin1", at + 4, at + 8), b.subarray(at + 8, at + 8 + b.readUInt32BE(at)));
  t.deepEqual([...chunks.keys()], ["IHDR", "PLTE", "IDAT", "IEND"]);
  t.is(chunks.get("IHDR")?.readUInt32BE(0), 7);
  t.deepEqual([...inflateSync(chunks.get("IDAT") as Buffer).subarray(8, 16)], [0, 0, 0, 1, 1, 1, 0, 0]);
  // The CRC of an empty IEND is the same in every PNG.
  t.is(b.readUInt32BE(b.length - 4), 0xae426082);
});

test("letters are drawn, and a longer bar covers more", (t) => {
  const p = new Picture(20, 10, [
    [0, 0, 0],
    [9, 9, 9],
  ]);
  p.text(0, 0, "I", 1, 1);
  t.deepEqual(
    [0, 1, 2, 3, 4].map((x) => p.at(x, 0)),
    [0, 1, 1, 1, 0],
  );
  const interval = (v: number) => ({ value: v, low: v, high: v });
  const plot = draw(
    "T",
    ["MEAN"],
    [
      { label: "A", bars: [interval(1.1)] },
      { label: "B", bars: [interval(1.4)] },
    ],
  );
  const covered = (y: number) => Array.from({ length: plot.width }, (_, x) => plot.at(x, y)).filter((c) => c === 3).length;
  const rows = Array.from({ length: plot.height - 100 }, (_, y) => covered(y + 100)).filter((n) => n > 0);
  t.true(Math.max(...rows) > 3 * (rows[0] as number));
});

test("axis steps are round", (t) => {
  t.is(step(8), 1);
  t.is(step(9), 2);
  t.true(Math.abs(step(0.4) - 0.05) < 1e-12);
});
